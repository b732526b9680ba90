"""F46: one flipped bit in what a study keeps or a finished run states gives no other number without a word."""

import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fake_runs import fake_command, plan_of, write_run

from detect_transfer.core.errors import InputError
from detect_transfer.core.io import read_json, sha256_file, write_json
from detect_transfer.core.sealed import SEAL, read_kept, read_sealed, write_sealed
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.study import process as study_process
from detect_transfer.workflows.study.plan import StudyPlan, make_study_plan
from detect_transfer.workflows.study.run import Launcher, prepare_store
from detect_transfer.workflows.study.runs import read_runs
from detect_transfer.workflows.study.search import _ArmSearch
from detect_transfer.workflows.study.trials_file import read_trials
from detect_transfer.workflows.study.verify import verify_study

FLIPS_A_FILE = 3
SEARCH = {"trials": 3, "percent": 50, "rates": {"train.lr": [1e-4, 1e-1]}}


@contextmanager
def flipped(path: Path, position: int, bit: int) -> Iterator[None]:
    """Flip a bit of a file, and set it right again."""
    before = path.read_bytes()
    data = bytearray(before)
    data[position] ^= 1 << bit
    path.write_bytes(data)
    yield
    path.write_bytes(before)


def seal_run(folder: RunFolder) -> None:
    """Let the manifest of a run name its files, as training does."""
    names = [path for path in sorted(folder.path.rglob("*")) if path.is_file() and path != folder.manifest]
    files = {path.relative_to(folder.path).as_posix(): {"sha256": sha256_file(path)} for path in names}
    write_sealed(folder.manifest, {**read_json(folder.manifest), "files": files})


@pytest.fixture(scope="module")
def plan(few_data: Path, tmp_path_factory: pytest.TempPathFactory) -> StudyPlan:
    """A study whose runs are done and reported."""
    plan = plan_of(few_data, {"sizes": [100], "seeds": [0, 1]}, tmp_path_factory.mktemp("study") / "store")
    prepare_store(plan)
    for run in plan.runs:
        write_run(plan, run)
        seal_run(plan.folder.run(run.key))
    read_runs(plan)
    return plan


def said(plan: StudyPlan) -> dict[str, tuple]:
    """Return what the report takes of each run; of one that counts as failed nothing."""
    finished, failed = read_runs(plan)
    assert len(finished) + len(failed) == len(plan.runs)
    return {run.plan.key: (run.facts, run.draws.tolist()) for run in finished}


@pytest.mark.parametrize("kept", [True, False], ids=["with digests", "without digests"])
def test_report__says_the_same_or_leaves_the_run_out(plan: StudyPlan, kept: bool) -> None:
    rng, whole, digests = random.Random(0), said(plan), plan.folder.path / "digests"
    folders = [digests] if kept else [plan.folder.run(run.key).path for run in plan.runs[:1]]
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    assert len(files) >= len(plan.runs)
    left_out = 0
    for path in files * FLIPS_A_FILE:
        for digest in () if kept else digests.iterdir():
            digest.unlink()
        with flipped(path, rng.randrange(path.stat().st_size), rng.randrange(8)):
            runs = said(plan)
        assert {**whole, **runs} == whole, path
        left_out += len(whole) - len(runs)
    assert (left_out == 0) == kept


def test_config_of_a_run__is_that_of_the_plan_when_it_starts(plan: StudyPlan) -> None:
    path = plan.folder.run_config(plan.runs[0].key)
    before = path.read_bytes()
    path.write_bytes(before.replace(b"imgsz: 640", b"imgsz: 672"))
    assert path.read_bytes() != before
    prepare_store(plan)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [[], {"trials": []}, {"question": "a", "best": {}, "trials": [5]}, 5])
def test_trials_of_another_form__are_refused(content: object, searched: StudyPlan) -> None:
    path = searched.folder.trials("full")
    before = path.read_bytes()
    write_json(path, content)
    with pytest.raises(InputError, match=r"FILE_CHANGED .*detect-transfer study resume "):
        make_study_plan(searched.config, searched.folder)
    path.write_bytes(before)


@pytest.fixture(scope="module")
def searched(few_data: Path, tmp_path_factory: pytest.TempPathFactory) -> StudyPlan:
    """A study whose rates were searched, by trials of which the third is the best."""
    pytest.importorskip("optuna")
    study = {"arms": ["epoch0", "full"], "search": SEARCH, "seeds": [0]}
    plan, done = plan_of(few_data, study, tmp_path_factory.mktemp("search") / "store"), []
    good = fake_command(plan)

    def command(folder: object, key: str) -> list[str]:
        if key in plan.by_key:
            return good(folder, key)
        run = plan.folder.run(key)
        done.append(key)
        write_json(run.metrics, {"AP": 0.1 * len(done)})
        write_json(run.manifest, {"files": {"weights/last.safetensors": {"sha256": key}}})
        return [sys.executable, "-c", "pass"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study_process, "run_command", command)
        launcher = Launcher(plan)
        launcher._one = lambda *_, **__: None
        launcher.run()
    assert len(done) == SEARCH["trials"]
    return launcher.plan


def test_bit_in_the_trials__is_found(searched: StudyPlan) -> None:
    path, rng = searched.folder.trials("full"), random.Random(0)
    for position in range(0, path.stat().st_size, 7):
        expected = pytest.raises(InputError, match=r"FILE_CHANGED|JSON_|TEXT_ENCODING")
        with flipped(path, position, rng.randrange(8)), expected:
            read_trials(path)
    assert make_study_plan(searched.config, searched.folder).searched == ("full",)


def test_bit_in_the_journal__is_found_or_changes_no_trial(searched: StudyPlan) -> None:
    """A journal has no hash: each of its trials is compared with its run."""
    path, rng = searched.folder.search("full") / "journal.log", random.Random(0)
    trials, found = _ArmSearch.opened(searched, "full").trials, 0
    assert len(trials) == SEARCH["trials"]
    for position in range(0, path.stat().st_size, 13):
        with flipped(path, position, rng.randrange(8)):
            try:
                now = _ArmSearch.opened(searched, "full").trials
            except InputError as error:
                now, found = [], found + (error.code == "STUDY_JOURNAL")
            assert all(trial in trials for trial in now), position
    assert found > 25
    assert _ArmSearch.opened(searched, "full").trials == trials


@pytest.mark.timeout(30)
def test_pipe_in_the_place_of_the_journal__is_refused(searched: StudyPlan) -> None:
    path = searched.folder.search("full") / "journal.log"
    path.rename(path.with_name("kept"))
    os.mkfifo(path)
    with pytest.raises(InputError, match=r"FILE_KIND .*it is a pipe"):
        _ArmSearch.opened(searched, "full")
    path.with_name("kept").replace(path)


def test_sealed_object__says_what_was_written_or_is_refused(tmp_path: Path) -> None:
    path, content = tmp_path / "a.json", {"b": [1.5, 0.1, None], "a": {"é": 1e-12}, "n": 10**15}
    write_sealed(path, content)
    assert read_sealed(path, remedy="") == content
    assert json.loads(path.read_text()).keys() == {*content, SEAL}
    for position in range(path.stat().st_size):
        with flipped(path, position, position % 8):
            assert read_kept(path) in (content, {})
    write_json(path, content)
    assert read_sealed(path, remedy="", seal=False) == content
    with pytest.raises(InputError, match="FILE_CHANGED"):
        read_sealed(path, remedy="")


@pytest.mark.parametrize("name", ["manifest.json", "config.yaml"])
def test_settings_and_manifest_of_a_run__are_found(
    name: str, plan: StudyPlan, tmp_path: Path, command: Callable
) -> None:
    from detect_transfer.config import dump_config, settings_sha256

    run, config = RunFolder(tmp_path / "run"), plan.configs["full", 100]
    run.path.mkdir()
    run.config.write_text(dump_config(config))
    stated = {"settings_sha256": settings_sha256(run.config), "peak_memory_mb": 512}
    write_sealed(run.manifest, stated)
    run.config.write_text(dump_config(config).replace(str(config.data.path), "/moved/data"))
    assert run.read_config().data.path == Path("/moved/data")
    path = run.path / name
    before = path.read_text()
    path.write_text(before.replace("512", "513").replace("imgsz: 640", "imgsz: 672"))
    assert path.read_text() != before
    with pytest.raises(InputError, match=r"RUN_CHANGED|FILE_CHANGED .*remove content_sha256 in "):
        run.read_config()
    write_json(run.manifest, {"peak_memory_mb": 513})  # as the remedies say
    assert run.read_manifest() == {"peak_memory_mb": 513}
    run.read_config()


def test_settings_of_a_study__are_told_where_they_were_changed(plan: StudyPlan, command: Callable) -> None:
    """The margin changes the verdicts on runs that are done, and the name of none."""
    path = plan.folder.config
    before = path.read_text()
    changed = before.replace("margin: 0.01", "margin: 0.91")
    assert changed != before
    for text in (before, before.replace(str(plan.config.data.path), "/moved"), changed):
        path.write_text(text)
        assert bool(plan.folder.config_warning) == (text == changed)
    ended = command("study", "report", plan.folder.path)
    assert (ended.code, f"warning: the settings in {path} were changed" in ended.out) == (0, True), ended
    (check,) = (check for check in verify_study(plan.folder.path, predict=False) if check.name == "study.yaml")
    assert check.outcome == "denied"
    prepare_store(plan)
    assert path.read_text() == before
    path.write_text(before.rpartition("#")[0].replace("margin: 0.01", "margin: 0.91"))  # as earlier versions wrote it
    assert not plan.folder.config_warning
    path.write_text(before)
