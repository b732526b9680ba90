"""What the tests of training share: a tiny source, tiny data, a tiny config, one thread, a stopped and a finished run.

A test that only goes on with a run takes a copy of the shared one, as a training takes seconds and a copy none.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from narrow import narrow_yolo
from watches import stop_after

from detect_transfer.config import Model, RunConfig, Synthetic, Transfer
from detect_transfer.data.run_data import draw_data
from detect_transfer.models import build_detector, save_weights
from detect_transfer.training.context import Interrupted
from detect_transfer.workflows.train import RunResult, Watch, train

WRITE_REPORT = "detect_transfer.workflows.evaluate.write_report"


@pytest.fixture(autouse=True)
def runs_are_equal(one_thread: None) -> None:
    """Train on one thread."""


@pytest.fixture
def page() -> None:
    """Ask for the page of a run, for a test that reads it."""


@pytest.fixture(autouse=True)
def no_page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the page of a run empty, as it takes a third of a tiny run and has tests of its own."""
    if "page" not in request.fixturenames:
        monkeypatch.setattr(WRITE_REPORT, lambda path, _: path.write_text(""))


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build the networks that the shared weights are of."""
    narrow_yolo(monkeypatch)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random narrow YOLO11n that knows two classes, none of the tiny data."""
    torch.manual_seed(1)
    with pytest.MonkeyPatch.context() as patch:
        narrow_yolo(patch)
        detector = build_detector(Model(), Transfer(), ["person", "stop"], None)[0]
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_weights(path, detector.module.state_dict(), detector.metadata())
    return path


@pytest.fixture(scope="session")
def train_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three steps of four, four and two images to train on, and eight to score."""
    folder = tmp_path_factory.mktemp("train") / "data"
    draw_data(Synthetic(task="target", train_images=10, val_images=8, size=96), folder, seed=3)
    return folder


def config_of(data: Path, weights: Path, out: Path, /, **parts: Any) -> RunConfig:
    """Return a config of two epochs at 96 px; parts of it can be given."""
    return RunConfig.model_validate(
        {
            "data": parts.get("data", {"path": data}),
            "model": parts.get("model", {"weights": str(weights)}),
            "transfer": {"interpolate": "off", **parts.get("transfer", {"strategy": "full"})},
            "train": {"epochs": 2, "batch": 4, "imgsz": 96, "precision": "fp32", **parts.get("train", {})},
            "evaluate": parts.get("evaluate", {}),
            "augment": parts.get("augment", "default"),
            "out": out,
        }
    )


@pytest.fixture
def config(train_data: Path, weights: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., RunConfig]:
    """Return a config of a run in the temporary folder; one that names a model builds it as wide as it is."""

    def _config(name: str = "run", **parts: Any) -> RunConfig:
        if "model" not in parts:
            request.getfixturevalue("narrow")
        return config_of(train_data, weights, tmp_path / name, **parts)

    return _config


@pytest.fixture
def run() -> Callable[..., RunResult]:
    """Return what trains by a config."""

    def _run(settings: RunConfig, **kwargs: Any) -> RunResult:
        return train(settings, name="test", command="test", **kwargs)

    return _run


@pytest.fixture(scope="session")
def shared_runs(
    train_data: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int | None], Path]:
    """Return what trains by the plain config once: stopped after the second step of an epoch, or to its end."""
    made: dict[int | None, Path] = {}

    def _run(stopped_in: int | None) -> Path:
        if stopped_in not in made:
            folder = made[stopped_in] = tmp_path_factory.mktemp("shared") / "run"
            watch = Watch() if stopped_in is None else stop_after(stopped_in)
            with pytest.MonkeyPatch.context() as patch:
                narrow_yolo(patch)
                patch.setattr(WRITE_REPORT, lambda path, _: path.write_text(""))
                ends = nullcontext() if stopped_in is None else pytest.raises(Interrupted)
                with ends:
                    train(config_of(train_data, weights, folder), name="test", command="test", watch=watch)
        return made[stopped_in]

    return _run


@pytest.fixture
def stopped(shared_runs: Callable[[int | None], Path], narrow: None, tmp_path: Path) -> Path:
    """A copy of the plain run, stopped after the second step of its first epoch."""
    return Path(shutil.copytree(shared_runs(1), tmp_path / "run"))


@pytest.fixture
def stopped_in_epoch_2(shared_runs: Callable[[int | None], Path], narrow: None, tmp_path: Path) -> Path:
    """A copy of the plain run, stopped after the second step of its second epoch."""
    return Path(shutil.copytree(shared_runs(2), tmp_path / "run"))


@pytest.fixture
def finished(shared_runs: Callable[[int | None], Path], narrow: None, tmp_path: Path) -> Path:
    """A copy of the plain run that has finished."""
    return Path(shutil.copytree(shared_runs(None), tmp_path / "run"))
