"""A study goes on where it stopped, does nothing twice, lets failed runs stand, and reports what has ended."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import psutil
import pytest
from fake_runs import fake_command, plan_of, write_run
from paths import ROOT

from detect_transfer.cli.main import main
from detect_transfer.core.errors import DetectTransferError, InputError, ResourceError
from detect_transfer.workflows.study import process as study_process
from detect_transfer.workflows.study.folder import StudyFolder
from detect_transfer.workflows.study.report import report_study
from detect_transfer.workflows.study.run import Launcher, prepare_store
from detect_transfer.workflows.study.runs import read_runs, state_of, work_out

TIMES = {"seconds", "images_per_second", "peak_memory_mb", "energy_joules", "Machines", "Code sha256"}


@pytest.fixture
def plan(tiny_data: Path, tmp_path: Path):
    return plan_of(tiny_data, {}, tmp_path / "store")


def test_launcher__does_each_run_once_and_goes_on(plan, monkeypatch) -> None:
    done: list[str] = []
    command = fake_command(plan)

    def counted(folder, key):
        done.append(key)
        if len(done) == 5:
            launcher.watch.stopped.set()
        return command(folder, key)

    monkeypatch.setattr(study_process, "run_command", counted)
    launcher = Launcher(plan)
    assert not launcher.run()
    assert len(done) == 5
    assert Launcher(plan).run()
    assert sorted(done) == sorted(plan.by_key)
    assert Launcher(plan).run()
    assert len(done) == len(plan.runs)


def test_runs_whose_time_was_over_before_an_epoch__are_told(plan) -> None:
    for run in plan.runs:
        write_run(plan, run)
        history = plan.folder.run(run.key).history
        if run.arm == "full":
            history.write_text(history.read_text().splitlines()[0] + "\n")
    report_study(plan)
    said = " ".join(json.loads(plan.folder.answers.read_text())["not_tested"])
    assert "6 runs trained no epoch, as their time was over before: full." in said


def test_images_seen__are_those_that_each_epoch_showed(plan) -> None:
    run = next(run for run in plan.runs if run.arm == "full")
    write_run(plan, run)
    history = plan.folder.run(run.key).history
    rows = [json.loads(line) for line in history.read_text().splitlines()]
    shown = [run.n_images + 3, 2]  # some repeated, and an epoch that time cut short
    rows = [{**row, **({"images": shown[row["epoch"] - 1]} if row["epoch"] else {})} for row in rows]
    history.write_text("".join(json.dumps(row) + "\n" for row in rows))
    seen = [row["images_seen"] for row in work_out(plan, run).facts["epochs"]]
    assert seen == [0, run.n_images + 3, run.n_images + 5]


@pytest.mark.parametrize("keep", [False, True])
def test_state_that_a_killed_launcher_left_of_a_finished_run__goes(tiny_data: Path, tmp_path: Path, keep: bool) -> None:
    plan = plan_of(tiny_data, {"keep_state": keep}, tmp_path / "store")
    for run in plan.runs:
        write_run(plan, run)
    left = plan.folder.run(plan.runs[0].key).state
    left.parent.mkdir(exist_ok=True)
    left.touch()
    assert Launcher(plan).run()
    assert left.exists() == keep


def test_run_that_another_process_does__is_waited_for(plan, monkeypatch) -> None:
    prepare_store(plan)
    first = plan.runs[0]
    claim = study_process._claim(plan.folder.run_config(first.key))
    assert claim is not None
    started = []
    command = fake_command(plan)
    monkeypatch.setattr(study_process, "run_command", lambda folder, key: started.append(key) or command(folder, key))

    def other() -> None:
        time.sleep(0.3)
        write_run(plan, first)
        os.close(claim)

    threading.Thread(target=other).start()
    assert Launcher(plan).run()
    assert first.key not in started
    assert len(started) == len(plan.runs) - 1


def test_failed_run__stands_with_its_message_and_is_tried_again_when_asked(plan, monkeypatch, tmp_path: Path) -> None:
    failing = next(run for run in plan.runs if run.arm == "full" and run.seed == 1)
    good = fake_command(plan)

    def command(folder, key):
        if key == failing.key:
            return [sys.executable, "-c", "import sys; print('LOSS - it is not finite', file=sys.stderr); sys.exit(2)"]
        return good(folder, key)

    monkeypatch.setattr(study_process, "run_command", command)
    assert Launcher(plan).run()
    assert state_of(plan.folder, failing.key) == "failed"
    report = report_study(plan)
    assert [(run.plan, run.message) for run in report.failed] == [(failing, "LOSS - it is not finite")]
    content = json.loads(plan.folder.answers.read_text())
    assert content["failed"][0]["message"] == "LOSS - it is not finite"
    assert "1 run failed" in " ".join(content["not_tested"])
    assert "LOSS - it is not finite" in plan.folder.report.read_text()
    monkeypatch.setattr(study_process, "run_command", good)
    assert Launcher(plan).run()
    assert state_of(plan.folder, failing.key) == "failed"
    assert Launcher(plan).run(retry_failed=True)
    assert state_of(plan.folder, failing.key) == "done"


@pytest.mark.parametrize(("codes", "expected"), [((3, 3), 3), ((3, 2), 2), ((-9, 3), 3)])
def test_study_whose_runs_all_fail__says_why_with_the_code_of_the_machine(
    codes: tuple[int, int], expected: int, plan, monkeypatch
) -> None:
    order = [run.key for run in plan.runs]

    def command(_: object, key: str) -> list[str]:
        code = codes[order.index(key) % 2]
        leave = f"os.kill(os.getpid(), {-code})" if code < 0 else f"sys.exit({code})"
        return [sys.executable, "-c", f"import os, sys; print('DISK_FULL - no room', flush=True); {leave}"]

    monkeypatch.setattr(study_process, "run_command", command)
    assert Launcher(plan).run()
    with pytest.raises(
        DetectTransferError, match=r"STUDY_EMPTY .* failed, the first with: .*; see what .* resume "
    ) as caught:
        report_study(plan)
    assert caught.value.exit_code == expected
    assert "--retry-failed" in str(caught.value)


def test_report__is_the_same_however_often_and_in_which_order_runs_ended(plan) -> None:
    prepare_store(plan)
    for run in reversed(plan.runs):
        write_run(plan, run)
    report_study(plan)
    first = plan.folder.answers.read_bytes()
    for path in plan.folder.digest("x").parent.iterdir():
        path.unlink()
    report_study(plan)
    assert plan.folder.answers.read_bytes() == first
    content = json.loads(first)
    assert [row["key"] for row in content["runs"]] == [run.key for run in plan.runs]
    assert content["against"][0]["second"] == "full"
    table = pl.read_parquet(plan.folder.runs_table)
    assert table.height == len(plan.runs)
    assert table["state"].unique().to_list() == ["done"]
    assert pl.read_parquet(plan.folder.epochs_table).height == 3 * len(plan.runs)


def test_folds__give_a_verdict_on_all_images(tiny_data: Path, tmp_path: Path) -> None:
    plan = plan_of(tiny_data, {"folds": 4, "sizes": [100], "seeds": [0, 1]}, tmp_path / "store")
    prepare_store(plan)
    for run in plan.runs[:-1]:
        write_run(plan, run)
    report = report_study(plan)
    verdict = report.answers.against[0].comparison.overall
    assert (verdict.n_pairs, report.failed) == (4, ())
    assert verdict.verdict == "better"
    page = plan.folder.report.read_text()
    assert "4 folds · 2 seeds" in page
    assert "at the one size and 4 folds: better" in page
    assert "38 images, each tested once" in report.paragraph


def test_seconds__are_a_comparison_of_their_own(tiny_data: Path, tmp_path: Path) -> None:
    plan = plan_of(tiny_data, {"sizes": [100], "seconds": 30}, tmp_path / "store")
    prepare_store(plan)
    for run in plan.runs:
        write_run(plan, run)
    report = report_study(plan)
    assert [row.comparison.second for row in report.answers.against] == ["full"]
    (against,) = json.loads(plan.folder.answers.read_text())["equal_seconds"]["against"]
    assert (against["first"], against["second"]) == ("scratch, 30 s", "full, 30 s")
    page = plan.folder.report.read_text()
    assert "12 finished runs of 12" in page
    assert page.count("<b>full, 30 s</b> against scratch, 30 s at the one size and 3 seeds:") == 1


def test_report__says_once_why_no_number_of_images_can_be_told(plan) -> None:
    for run in plan.runs:
        write_run(plan, run)
    page = report_study(plan).page.read_text()
    (paragraph,) = [line for line in page.splitlines() if "It cannot be said: " in line]
    assert "It cannot be said: 2 sizes were measured" in paragraph
    assert paragraph.count("a learning curve needs 3") == 1
    assert 'class="words">verdict</th>' in page


def test_report__names_what_is_missing_and_refuses_an_empty_study(plan) -> None:
    prepare_store(plan)
    with pytest.raises(InputError, match=r"STUDY_EMPTY .* - none of 12 runs has finished; run the study first"):
        report_study(plan)
    (plan.folder.runs / "of_another_version").mkdir(parents=True)
    with pytest.raises(InputError, match="none of 12 runs has finished; 1 run there of another config, other data, w"):
        report_study(plan)
    for run in plan.runs[:-2]:
        write_run(plan, run)
    report = report_study(plan)
    assert report.missing == plan.runs[-2:]
    assert "2 of 12 planned runs have not ended" in " ".join(json.loads(plan.folder.answers.read_text())["not_tested"])


def test_folder_of_a_study__is_the_study(plan, capsys) -> None:
    prepare_store(plan)
    for run in plan.runs:
        write_run(plan, run)
    with pytest.raises(SystemExit) as caught:
        main(["study", "report", str(plan.folder.path)])
    text = capsys.readouterr().out
    assert caught.value.code == 0, text
    assert "full against scratch, over all sizes: +0." in text
    assert f"report: {plan.folder.report}" in text
    with pytest.raises(SystemExit):
        main(["study", "plan", str(plan.folder.path), "study.seeds=[0,1,2,3]"])
    assert "16 runs, 12 done" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["study", "plan", str(plan.folder.path), "train.batch=4"])
    text = capsys.readouterr().out
    assert "12 runs, 0 done" in text
    assert "12 run folders there are not used: of another config, other data, weights or code" in text


def test_run_whose_scores_are_not_those_of_its_detections__fails(plan) -> None:
    prepare_store(plan)
    for run in plan.runs:
        write_run(plan, run)
    first = plan.folder.run(plan.runs[0].key)
    metrics = json.loads(first.test.metrics.read_text())
    first.test.metrics.write_text(json.dumps({**metrics, "AP": metrics["AP"] + 0.1}))
    finished, failed = read_runs(plan)
    assert len(finished) == 11
    assert "STUDY_SCORES" in failed[0].message


def test_two_seeds__cannot_tell(tiny_data: Path, tmp_path: Path) -> None:
    plan = plan_of(tiny_data, {"seeds": [0]}, tmp_path / "store")
    for run in plan.runs:
        write_run(plan, run)
    report = report_study(plan)
    assert report.answers.against[0].comparison.overall.verdict == "cannot tell"
    assert "cannot tell" in report.paragraph


@pytest.mark.slow
def test_many_runs__are_reported_within_half_a_minute(tiny_data: Path, tmp_path: Path) -> None:
    arms = ["scratch", "full", "head_only", "discriminative"]
    plan = plan_of(tiny_data, {"arms": arms, "seeds": [*range(25)]}, tmp_path / "store")
    for run in plan.runs:
        write_run(plan, run)
    read_runs(plan)  # as each run does when it ends
    started = time.process_time()
    report_study(plan)
    assert time.process_time() - started < 30  # 200 runs: a page takes seconds, a run a hundredth


TRAIN = {"epochs": 1, "imgsz": 64, "batch": 8, "precision": "fp32"}
TWO_RUNS = {"arms": ["epoch0", "full"], "sizes": [100], "seeds": [0], "held_out": 0.3, "budget": "epochs", "jobs": 1}


@pytest.fixture(scope="module")
def killed(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study that was killed in its second run."""
    folder = tmp_path_factory.mktemp("killed")
    content = {"data": {"path": str(tiny_data)}, "model": {"weights": "embedded"}, "train": TRAIN, "study": TWO_RUNS}
    (folder / "study.yaml").write_text(json.dumps(content))
    words = ["study", "run", str(folder / "study.yaml"), f"out={folder / 'out'}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "detect_transfer", *words], cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 300
    while not in_second_run(folder / "out") and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return folder


@pytest.fixture(scope="module")
def whole(killed: Path) -> Path:
    """The folder of the same study, whose second run was not stopped; its first run is that of the other."""
    (ended,) = (path.parent for path in (killed / "out" / "runs").glob("*/manifest.json"))
    shutil.copytree(ended, killed / "whole" / "runs" / ended.name)
    do_study(killed / "study.yaml", killed / "whole")
    return killed / "whole"


def do_study(config: Path, out: Path) -> None:
    """Run what is left of a study, and report it."""
    with pytest.raises(SystemExit) as ended:
        main(["study", "run", str(config), f"out={out}"])
    assert ended.value.code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "options"), [("slurm", {"cluster": "local", "timeout_min": 20}), ("ray", {"num_cpus": 1})]
)
def test_cluster__does_what_is_done_here(
    whole: Path, tiny_data: Path, tmp_path: Path, launcher: str, options: dict
) -> None:
    pytest.importorskip({"slurm": "submitit"}.get(launcher, launcher))
    study = {**TWO_RUNS, "launcher": launcher, "launcher_options": options}
    plan = plan_of(tiny_data, study, tmp_path / "there", **TRAIN)
    killed: list[int] = []
    ended = threading.Event()
    killer = threading.Thread(target=_kill_first_task, args=(killed, ended), daemon=True)
    if launcher == "ray":
        killer.start()
    assert Launcher(plan).run()
    ended.set()
    assert launcher != "ray" or killed
    (there, failed), (here, _) = read_runs(plan), read_runs(replace(plan, folder=StudyFolder(whole)))
    assert failed == []
    assert [run.plan.key for run in there] == [run.plan.key for run in here]
    assert [run.facts["test"] for run in there] == [run.facts["test"] for run in here]


def _kill_first_task(killed: list[int], ended: threading.Event) -> None:
    """Kill the first worker of Ray that does a run: of those that this test started, until it has ended."""
    while not killed and not ended.wait(0.1):
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if (process.cmdline() or [""])[0].startswith("ray::do_run"):
                    process.kill()
                    killed.append(process.pid)
                    return


def test_launcher_that_is_not_there__is_named(tiny_data: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    plan = plan_of(tiny_data, {"launcher": "slurm"}, tmp_path / "store")
    with pytest.raises(ResourceError, match=r"LAUNCHER_MISSING - submitit is not installed; pip install"):
        Launcher(plan).run()


@pytest.mark.slow
def test_study__killed_and_gone_on_with_reports_the_same(killed: Path, whole: Path) -> None:
    do_study(killed / "study.yaml", killed / "out")
    contents = [without_times(json.loads((folder / "study.json").read_text())) for folder in (whole, killed / "out")]
    assert contents[0] == contents[1]


def in_second_run(folder: Path) -> bool:
    """Tell whether one run has ended and another has kept a state."""
    begun = [path.parents[1] for path in folder.rglob("state.pt")]
    return any(folder.rglob("manifest.json")) and any(not (run / "manifest.json").exists() for run in begun)


def without_times(value):
    """Return the content of `study.json` without what depends on the clock, such as the hashes of the tables."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in TIMES | {"to_targets", "cost", "files"}}
    return [without_times(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_that_was_asked_to_stop_as_it_started__does_not_stand_as_failed(plan, monkeypatch, number: int) -> None:
    prepare_store(plan)
    key = plan.runs[0].key
    program = f"import os, signal; signal.signal({number:d}, signal.SIG_DFL); os.kill(os.getpid(), {number:d})"
    monkeypatch.setattr(study_process, "run_command", lambda *_: [sys.executable, "-c", program])
    study_process.do_run(plan.folder, key)
    assert state_of(plan.folder, key) == "planned"


def test_report__says_which_arm_cannot_fill_the_budget(tiny_data: Path, tmp_path: Path) -> None:
    arms = {"full": {}, "epoch0": {}, "large": {"train.imgsz": 96}}
    plan = plan_of(tiny_data, {"arms": arms, "sizes": [100], "seeds": [0]}, tmp_path / "store")
    prepare_store(plan)
    for run in plan.runs:
        write_run(plan, run)
    paragraph = report_study(plan).paragraph
    assert "Some arms cannot fill the budget and see as little of it as: epoch0 0%." in paragraph
    assert "The input was 96 or 640 px." in paragraph


def test_run_of_code_that_changed_while_the_study_ran__is_in_no_number(plan) -> None:
    prepare_store(plan)
    for run in plan.runs:
        write_run(plan, run)
    path = plan.folder.run(plan.runs[0].key).manifest
    path.write_text(json.dumps({**json.loads(path.read_text()), "code_sha256": "0" * 64}))
    finished, failed = read_runs(plan)
    assert len(finished) == len(plan.runs) - 1
    assert "STUDY_CODE" in failed[0].message
