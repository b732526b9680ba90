"""Trackers: the same names of metrics everywhere, nothing that they do ends a run, and the base install loads none."""

import ast
import csv
import importlib.util
import json
import logging
import sys
from pathlib import Path

import pytest

from detect_transfer.config import make_config
from detect_transfer.workflows import trackers
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.study import search as study_search
from detect_transfer.workflows.trackers import METRIC_NAMES, TRACKERS, TrackedRun, tracking
from detect_transfer.workflows.watch import Watch

PACKAGES = {"csv": "csv", "mlflow": "mlflow", "tensorboard": "tensorboard", "trackio": "trackio", "wandb": "wandb"}
ROW = {"epoch": 1, "AP": 0.5, "AP50": 0.75, "loss": 1.25, "train_AP": None, "best": True}


def config_of(*names: str):
    return make_config({"data": {"synthetic": {}}, "track": {"to": list(names), "project_name": "signs"}})


def track(folder: Path, *names: str) -> dict:
    """Track an epoch and an end; return the trackers that still work then."""
    rows = []
    with tracking(config_of(*names), RunFolder(folder), Watch(on_epoch=rows.append), main=True) as tracked:
        tracked.watch.on_epoch(ROW)
        tracked.watch.on_epoch({**ROW, "mix": "interpolated"})
        tracked.finish({"AP": 0.5}, None)
        if "wandb" in tracked.trackers:  # its files cannot be read here, and a run that has ended tells nothing
            (folder / "names.json").write_text(json.dumps(list(tracked.trackers["wandb"]._run.summary.keys())))
    assert len(rows) == 2
    return tracked.trackers


def test_csv__has_a_row_a_metric_and_goes_on_when_resumed(tmp_path: Path) -> None:
    for _ in range(2):
        assert list(track(tmp_path, "csv")) == ["csv"]
    with (tmp_path / "tracking" / "csv" / "metrics.csv").open() as stream:
        rows = list(csv.reader(stream))
    wanted = [
        ["1", "val/AP", "0.5"],
        ["1", "val/AP50", "0.75"],
        ["1", "train/loss", "1.25"],
        ["1", "best_val/AP", "0.5"],
    ]
    assert rows == [["step", "metric", "value"], *wanted, *wanted]


class Fails:
    """Fails at the given call."""

    def __init__(self, at: str, error: BaseException) -> None:
        self.at, self.error, self.calls = at, error, 0

    def log(self, *_) -> None:
        self.calls += 1
        sys.stdout.write("noise")
        if self.at == "log":
            raise self.error

    def end(self) -> None:
        if self.at == "end":
            raise self.error


@pytest.mark.parametrize("error", [OSError("no space"), SystemExit(1), ImportError("no module")], ids=repr)
@pytest.mark.parametrize("at", ["begin", "log", "end"])
def test_tracker_that_fails__is_told_once_and_ends_nothing(
    tmp_path: Path, monkeypatch, caplog, capsys, at: str, error: BaseException
) -> None:
    tracker = Fails(at, error)

    def begin(_: TrackedRun) -> Fails:
        if at == "begin":
            raise error
        return tracker

    monkeypatch.setitem(TRACKERS, "wandb", begin)
    with (
        caplog.at_level(logging.WARNING),
        tracking(config_of("wandb", "csv"), RunFolder(tmp_path), Watch(), main=True) as t,
    ):
        t.note(ROW)
        t.note({**ROW, "epoch": 2})
    assert len([r for r in caplog.records if "goes on without the tracker wandb" in r.message]) == 1
    assert tracker.calls == {"begin": 0, "log": 1, "end": 2}[at]
    assert len((tmp_path / "tracking" / "csv" / "metrics.csv").read_text().splitlines()) == 7
    assert capsys.readouterr().out == ""


def test_package_that_is_missing__is_named(tmp_path: Path, monkeypatch, caplog) -> None:
    monkeypatch.setitem(sys.modules, "trackio", None)
    with caplog.at_level(logging.WARNING):
        assert track(tmp_path, "trackio") == {}
    assert "pip install 'detect-transfer[trackio]'" in caplog.text


@pytest.mark.parametrize("module", [trackers, study_search])
def test_base__loads_no_package_of_an_extra(module) -> None:
    top = ast.parse(Path(module.__file__).read_text()).body
    names = [node.module for node in top if isinstance(node, ast.ImportFrom)]
    names += [name.name for node in top if isinstance(node, ast.Import) for name in node.names]
    assert {name.partition(".")[0] for name in names} <= {*sys.stdlib_module_names, "detect_transfer"}


def test_every_tracker__is_a_choice_of_the_config_and_is_tested() -> None:
    assert sorted(TRACKERS) == sorted(PACKAGES)
    assert config_of(*TRACKERS).track.to == list(TRACKERS)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(set(PACKAGES) - {"csv"}))
def test_tracker__takes_the_metrics_by_the_same_names(tmp_path: Path, monkeypatch, name: str) -> None:
    if importlib.util.find_spec(PACKAGES[name]) is None:
        pytest.skip(f"{name} is not installed")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    for variable in ("MLFLOW_TRACKING_URI", "WANDB_MODE"):
        monkeypatch.delenv(variable, raising=False)
    assert list(track(tmp_path, name)) == [name]
    assert read_back(name, tmp_path) >= {"val/AP", "val/AP50", "train/loss", "best_val/AP"}


def read_back(name: str, folder: Path) -> set[str]:
    """Return the names of metrics that a tracker stored."""
    own = folder / "tracking" / name
    if name == "tensorboard":
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(own))
        events.Reload()
        return set(events.Tags()["scalars"])
    if name == "mlflow":
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=f"sqlite:///{own / 'mlflow.db'}")
        return set(client.get_run((own / "run_id.txt").read_text()).data.metrics)
    if name == "wandb":
        assert len(list(own.glob("wandb/offline-run-*/*.wandb"))) == 1
        return set(json.loads((folder / "names.json").read_text()))
    content = b"".join(path.read_bytes() for path in (folder / "trackio").rglob("*.db*"))
    return {metric for metric in (*METRIC_NAMES.values(), "best_val/AP") if metric.encode() in content}
