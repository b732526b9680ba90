"""F53: no weights that are not finite are saved or loaded, and a roll-back goes back to finite ones."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from detect_transfer.config import RunConfig
from detect_transfer.core.errors import InputError
from detect_transfer.models import save_weights
from detect_transfer.models.checkpoints import EMBEDDED, load_weights
from detect_transfer.models.postprocess import OutputNotFinite, output_not_finite
from detect_transfer.models.tensor_files import first_not_finite
from detect_transfer.training import engine
from detect_transfer.training.checkpoint import Progress, read_states, save_state
from detect_transfer.training.epoch_weights import EpochWeights
from detect_transfer.workflows import run_scores
from detect_transfer.workflows.train import train
from detect_transfer.workflows.trained_detector import load_trained

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_one_value__is_noticed_in_every_kind_of_tensor(value: float, dtype: torch.dtype) -> None:
    tensors = {"a": torch.ones(9, dtype=dtype), "none": torch.ones(0), "n": torch.tensor(2), "b": torch.zeros(3, 5)}
    assert first_not_finite(tensors) is None
    tensors["a"][4] = value
    assert first_not_finite(tensors) == "a"


def test_largest_numbers__are_finite() -> None:
    largest = torch.full((1000,), torch.finfo(torch.float32).max)
    assert first_not_finite({"a": largest, "b": -largest}) is None


def test_nothing_is_saved_or_loaded(tmp_path: Path) -> None:
    bad = {"a": torch.tensor([1.0, NAN])}
    states = {"module": {"a": torch.ones(2)}, "average": bad}
    for save in (
        lambda: save_weights(tmp_path / "w.safetensors", bad, {}),
        lambda: save_weights(tmp_path / "w.safetensors", {"a": torch.tensor([1e5])}, {}, half=True),
        lambda: EpochWeights(tmp_path).write(1, bad),
        lambda: save_state(tmp_path / "state.pt", Progress(), "", states),
    ):
        with pytest.raises(InputError, match="WEIGHTS_NOT_FINITE"):
            save()
    assert not list(tmp_path.iterdir())
    torch.save({"fingerprint": "", "progress": asdict(Progress()), **states}, tmp_path / "state.pt")
    with pytest.raises(InputError, match=r"RESUME_DAMAGED.*a is not finite"):
        read_states(tmp_path / "state.pt")


def test_predict__says_so(tmp_path: Path, data_folder: Path, command: Callable) -> None:
    state = load_weights(EMBEDDED).tensors
    state[next(name for name, t in state.items() if t.is_floating_point())].view(-1)[0] = NAN
    torch.save(state, tmp_path / "w.pt")
    ended = command("predict", tmp_path / "w.pt", data_folder / "images" / "val", "--out", tmp_path / "out")
    assert (ended.code, "not finite" in ended.err) == (2, True)


@pytest.mark.parametrize("name", ["predict", "rank-images"])
def test_finite_weights_with_outputs_that_are_not__are_no_detector_that_finds_nothing(
    name: str, tmp_path: Path, data_folder: Path, command: Callable
) -> None:
    """A variance below zero gives NaN, which no threshold lets through: 0 detections, an AP of 0."""
    source = load_weights(EMBEDDED)
    tensors = {name: -t - 1 if "running_var" in name else t for name, t in source.tensors.items()}
    save_weights(tmp_path / "w.safetensors", tensors, dict(source.metadata))
    images = data_folder / "images" / "val"
    ended = command(name, tmp_path / "w.safetensors", images, "--out", tmp_path / "out")
    assert (ended.code, "OUTPUT_NOT_FINITE" in ended.err) == (2, True), ended
    files = list(enumerate(sorted(images.iterdir())))
    with pytest.raises(OutputNotFinite):  # as evaluate does
        load_trained(tmp_path / "w.safetensors").find(files, range(1, 99))


@pytest.mark.parametrize("policy", ["roll_back", "stop"])
def test_weights_that_the_last_step_of_an_epoch_broke(
    few_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    """The loss of every step was finite, so nothing but the weights themselves tells."""
    run_epoch, calls = engine.run_epoch, []

    def broken(context: Any, *rest: Any) -> Any:
        facts = run_epoch(context, *rest)
        calls.append(context.progress.epoch)
        if len(calls) == 1:
            next(context.detector.module.buffers())[0] = NAN
        return facts

    monkeypatch.setattr(engine, "run_epoch", broken)
    monkeypatch.setattr("detect_transfer.workflows.evaluate.write_report", lambda path, _: path.write_text(""))
    settings = {"epochs": 1, "imgsz": 64, "batch": 8, "on_not_finite": policy}
    config = {"data": {"path": few_data}, "model": {"weights": "embedded"}, "out": tmp_path / "run"}
    config |= {"train": settings, "transfer": {"strategy": "full", "interpolate": "off"}}
    with pytest.raises(InputError, match="WEIGHTS_NOT_FINITE") if policy == "stop" else nullcontext():
        train(RunConfig.model_validate(config), name="test", command="test")
    assert calls == ([0] if policy == "stop" else [0, 0])
    weights = tmp_path / "run" / "weights"
    for path in weights.glob("*.safetensors"):
        load_weights(path)
    assert read_states(weights / "state.pt")["progress"]["epoch"] == len(calls) - 1


def test_epoch_whose_outputs_are_not_finite__is_told_and_not_chosen(
    few_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, calls = run_scores.predict, []

    def overflowing(*given: Any, **more: Any) -> Any:
        calls.append(given)
        if len(calls) == 2:
            raise output_not_finite("scores")
        return real(*given, **more)

    monkeypatch.setattr(run_scores, "predict", overflowing)
    monkeypatch.setattr("detect_transfer.workflows.evaluate.write_report", lambda path, _: path.write_text(""))
    config = {"data": {"path": few_data}, "model": {"weights": "embedded"}, "out": tmp_path / "run"}
    config |= {"train": {"epochs": 1, "imgsz": 64, "batch": 8}, "transfer": {"strategy": "full", "interpolate": "off"}}
    train(RunConfig.model_validate(config), name="test", command="test")
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [0, 1]
    assert rows[1]["AP"] == 0
    assert "OUTPUT_NOT_FINITE" in caplog.text
