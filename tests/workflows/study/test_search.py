"""Rates that are searched: equally many trials an arm, gone on with after a stop, and proven to differ."""

import sys
from pathlib import Path

import numpy as np
import pytest
from fake_runs import plan_of, write_run

from detect_transfer.config import load_config
from detect_transfer.core.errors import InputError, ResourceError
from detect_transfer.core.io import write_json
from detect_transfer.workflows.study import process as study_process
from detect_transfer.workflows.study.cost import cost_of_search
from detect_transfer.workflows.study.folder import StudyFolder
from detect_transfer.workflows.study.plan import make_study_plan
from detect_transfer.workflows.study.report import report_study
from detect_transfer.workflows.study.run import Launcher

pytest.importorskip("optuna")
SEARCH = {"trials": 3, "percent": 50, "rates": {"train.lr": [1e-4, 1e-1]}}


@pytest.fixture
def plan(tiny_data: Path, tmp_path: Path):
    return plan_of(tiny_data, {"arms": ["epoch0", "full"], "search": SEARCH, "seeds": [0]}, tmp_path / "store")


@pytest.fixture
def trials(monkeypatch) -> list[float]:
    """Return the rates of the trials that were run; a trial is the better the nearer its rate is to .01."""
    rates: list[float] = []

    def command(folder, key):
        rate = load_config(folder.run_config(key)).train.lr
        rates.append(rate)
        run = folder.run(key)
        write_json(run.metrics, {"AP": 1 / (1 + abs(np.log10(rate) + 2))})
        write_json(run.manifest, {"files": {"weights/last.safetensors": {"sha256": f"{rate:.12f}"}}})
        return [sys.executable, "-c", "pass"]

    monkeypatch.setattr(study_process, "run_command", command)
    return rates


def searched(plan):
    """Return the plan after its search, without its runs."""
    launcher = Launcher(plan)
    launcher._one = lambda *_, **__: None
    launcher.run()
    return launcher.plan


def test_search__finds_the_best_rate_of_each_arm_that_trains(plan, trials, tiny_data: Path) -> None:
    assert (plan.to_search, plan.searched) == (("full",), ())
    found = searched(plan)
    assert len(trials) == len(set(trials)) == 3
    best = min(trials, key=lambda rate: abs(np.log10(rate) + 2))
    assert found.searched == ("full",)
    assert {found.configs["full", percent].train.lr for percent in (50, 100)} == {best}
    assert found.configs["epoch0", 100].train.lr is None
    for run in found.runs:
        folder = found.folder.run(run.key)
        of_trial = {path: path.read_bytes() for path in (folder.metrics, folder.manifest) if path.is_file()}
        write_run(found, run)
        for path, data in of_trial.items():  # a run that a trial was already
            path.write_bytes(data)
    page = report_study(found).page.read_text()
    assert f"train.lr {best:.2e}" in page
    assert "came from 3 trials each, on 7 images" in page
    study = {"arms": ["epoch0", "full"], "search": {**SEARCH, "trials": 2}, "seeds": [0]}
    fewer = searched(plan_of(tiny_data, study, plan.folder.path))
    assert fewer.searched == ("full",)
    assert fewer.configs["full", 100].train.lr in trials[:2]
    assert len(trials) == 3


def test_search__on_a_cluster_has_a_trial_of_every_arm_at_a_time(
    plan, trials, tiny_data: Path, tmp_path: Path, monkeypatch
) -> None:
    rounds = []

    def run_all(path, keys, options, *, keep_state):
        rounds.append(len(keys))
        for key in keys:
            study_process.do_run(StudyFolder(path), key, keep_state=keep_state)

    monkeypatch.setattr("detect_transfer.workflows.study.slurm.run_all", run_all)
    study = {"arms": ["full", "scratch"], "search": SEARCH, "seeds": [0]}
    there = searched(plan_of(tiny_data, {**study, "launcher": "slurm"}, tmp_path / "there"))
    assert rounds[:3] == [2, 2, 2]
    here = searched(plan_of(tiny_data, study, tmp_path / "here"))
    assert there.searched == here.searched == ("full", "scratch")
    assert [run.train.lr for run in there.configs.values()] == [run.train.lr for run in here.configs.values()]


def test_trials__are_in_the_estimate(plan, tiny_data: Path, tmp_path: Path) -> None:
    more = plan_of(tiny_data, {"arms": ["full"], "search": {**SEARCH, "trials": 6}, "seeds": [0]}, tmp_path / "more")
    three, six = cost_of_search(plan), cost_of_search(more)
    assert three.seconds > 0
    assert (six.seconds, six.megabytes) == (2 * three.seconds, 2 * three.megabytes)


def test_search_that_was_stopped__goes_on_as_if_it_had_not_been(plan, trials, tiny_data: Path, tmp_path: Path) -> None:
    launcher = Launcher(plan, lambda _: launcher.watch.stopped.set())
    assert not launcher.run()
    assert len(trials) == 1
    (journal,) = plan.folder.path.glob("search/*/journal.log")
    import optuna

    store = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    optuna.load_study(study_name=None, storage=store).ask()  # a trial that a killed process left
    searched(make_study_plan(plan.config, plan.folder))
    stopped = list(trials)
    trials.clear()
    searched(plan_of(tiny_data, {"arms": ["full"], "search": SEARCH, "seeds": [0]}, tmp_path / "whole"))
    assert stopped == trials


def test_search_that_was_stopped_before_it_began__has_no_trial(plan, trials) -> None:
    launcher = Launcher(plan)
    launcher.watch.stopped.set()
    assert not launcher.run()
    assert trials == []


def test_key_that_changes_nothing__is_refused(plan, trials, monkeypatch) -> None:
    command = study_process.run_command

    def same(folder, key):
        words = command(folder, key)
        write_json(folder.run(key).manifest, {"files": {"weights/last.safetensors": {"sha256": "one"}}})
        return words

    monkeypatch.setattr(study_process, "run_command", same)
    with pytest.raises(
        InputError, match=r"STUDY_TRIALS .* trials 0 and 1 of the arm 'full' .* train.lr changes nothing"
    ):
        Launcher(plan).run()


def test_search_without_optuna__says_what_to_install(plan, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ResourceError, match=r"SEARCH_MISSING .* pip install 'detect-transfer\[optuna\]'"):
        Launcher(plan).run()


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"rates": {"train.lr": [1e-2, 1e-4]}}, "the first end must be below the second"),
        ({"rates": {"train.epochs": [1, 9]}}, "arms cannot be compared that differ in it"),
        ({"rates": {"train.rate": [1e-4, 1e-2]}}, r"CONFIG_KEY .*train.rate"),
        ({"percent": 10}, r"STUDY_CLASSES study.search.percent=10"),
    ],
)
def test_search__of_what_cannot_be_searched_is_refused(tiny_data: Path, tmp_path: Path, search, message) -> None:
    with pytest.raises(InputError, match=message):
        plan_of(tiny_data, {"search": search}, tmp_path / "store")
