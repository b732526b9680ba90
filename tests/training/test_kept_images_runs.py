"""A run whose images another one kept is that run, to the last bit, and decodes none of them."""

from pathlib import Path
from typing import Any

import pytest
import torch

from detect_transfer.models import load_weights
from detect_transfer.training import dataset, fitted_images


@pytest.mark.yolo
def test_second_run__decodes_nothing_and_trains_the_same_weights(
    config: Any, run: Any, few_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitted_images, "_CLOCK_NS", -(10**9))
    trained = []
    for name in ("plain", "first", "second"):
        folder = {} if name == "plain" else {"cache_folder": tmp_path / "kept"}
        if name == "second":
            monkeypatch.setattr(dataset, "read_rgb", None)
        run(config(name, data={"path": few_data}, train={"epochs": 1, "imgsz": 64, **folder}))
        trained.append(load_weights(tmp_path / name / "weights" / "last.safetensors").tensors)
    for other in trained[1:]:
        assert all(torch.equal(tensor, other[name]) for name, tensor in trained[0].items())
