"""The torchvision family through the same loop: frozen stages, resuming, kept features, anchors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from narrow import narrow_torchvision
from watches import stop_after

from detect_transfer.config import Model, Transfer
from detect_transfer.models import build_detector, load_detector, load_weights, save_weights
from detect_transfer.training.context import Interrupted

ARCH = "fasterrcnn_mobilenet_v3_large_320_fpn"


@pytest.fixture(scope="module", autouse=True)
def narrow_head() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        narrow_torchvision(patch)
        yield


@pytest.fixture(scope="module")
def model(narrow_head: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A random Faster R-CNN that knows two classes, as the model part of a config."""
    torch.manual_seed(1)
    model = Model(family="torchvision", arch=ARCH, weights="scratch")
    detector = build_detector(model, Transfer(), ["a", "b"], None)[0]
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_weights(path, detector.module.state_dict(), detector.metadata())
    return {"family": "torchvision", "weights": str(path)}


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return load_weights(folder / "weights" / "last.safetensors").tensors


@pytest.mark.slow
def test_resumed_inside_an_epoch__equals_the_uninterrupted_run(config, run, model, tmp_path: Path) -> None:
    transfer = {"phases": [{"epochs": 1, "train": ["rpn", "head"]}, {"epochs": 1, "train": "all", "lr": 1e-4}]}
    run(config("whole", model=model, transfer=transfer))
    with pytest.raises(Interrupted):
        run(config("cut", model=model, transfer=transfer), watch=stop_after(2, 1))
    run(config("cut", model=model, transfer=transfer), resume=True)
    first, second = tensors(tmp_path / "whole"), tensors(tmp_path / "cut")
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_head_only__leaves_body_and_neck_to_the_bit(config, run, model, tmp_path: Path) -> None:
    transfer = {"strategy": "head_only", "cache_features": 1}
    run(config(model=model, transfer=transfer, train={"epochs": 1}))
    record = json.loads((tmp_path / "run" / "transfer.json").read_text())
    assert record["frozen"]["identical"] is True
    assert record["frozen"]["tensors"] > 200
    source, last = load_weights(Path(model["weights"])).tensors, tensors(tmp_path / "run")
    changed = {name.split(".")[0] for name, tensor in last.items() if not torch.equal(tensor, source.get(name, tensor))}
    assert changed == {"rpn", "roi_heads"}


def test_fitted_anchors__come_back_with_the_weights(config, run, model, tmp_path: Path) -> None:
    run(config(model={**model, "anchors": "fit"}, train={"epochs": 1}))
    best = load_weights(tmp_path / "run" / "weights" / "best.safetensors")
    assert "anchors" in best.metadata
    stock = load_detector(load_weights(Path(model["weights"])))
    assert load_detector(best).module.rpn.anchor_generator.sizes != stock.module.rpn.anchor_generator.sizes
