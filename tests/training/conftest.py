"""What the tests of training share: a tiny source, a tiny config, one thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from detect_transfer.config import Model, RunConfig, Transfer
from detect_transfer.models import build_detector, save_weights
from detect_transfer.workflows.train import RunResult, train


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
        monkeypatch.setattr("detect_transfer.workflows.evaluate.write_report", lambda path, _: path.write_text(""))


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random YOLO11n that knows two classes, none of the tiny data."""
    torch.manual_seed(1)
    detector = build_detector(Model(), Transfer(), ["person", "stop"], None)[0]
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_weights(path, detector.module.state_dict(), detector.metadata())
    return path


@pytest.fixture
def config(tiny_data: Path, weights: Path, tmp_path: Path) -> Callable[..., RunConfig]:
    """Return a config of two epochs at 96 px; parts of it can be given."""

    def _config(name: str = "run", **parts: Any) -> RunConfig:
        return RunConfig.model_validate(
            {
                "data": parts.get("data", {"path": tiny_data}),
                "model": parts.get("model", {"weights": str(weights)}),
                "transfer": {"interpolate": "off", **parts.get("transfer", {"strategy": "full"})},
                "train": {"epochs": 2, "batch": 8, "imgsz": 96, "precision": "fp32", **parts.get("train", {})},
                "evaluate": parts.get("evaluate", {}),
                "augment": parts.get("augment", "default"),
                "out": tmp_path / name,
            }
        )

    return _config


@pytest.fixture
def run() -> Callable[..., RunResult]:
    """Return what trains by a config."""

    def _run(settings: RunConfig, **kwargs: Any) -> RunResult:
        return train(settings, name="test", command="test", **kwargs)

    return _run
