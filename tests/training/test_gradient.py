"""The gradient of a step is that of the whole batch, in however many parts and processes it is computed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from manifests import restamp
from paths import ROOT

from detect_transfer.config import RunConfig
from detect_transfer.training import epoch

MODELS = {
    "yolo": {"weights": "embedded"},
    "yolo-end-to-end": {"weights": "scratch", "arch": "yolov10n"},
    "faster-rcnn": {
        "family": "torchvision",
        "weights": "scratch",
        "arch": "fasterrcnn_mobilenet_v3_large_320_fpn",
        "sampled_regions": 300,
    },
    "fcos": {"family": "torchvision", "weights": "scratch", "arch": "fcos_resnet50_fpn"},
}


class Seen(Exception):
    """The gradient of the first step is known."""


def half_background(data: Path, folder: Path) -> Path:
    """Return a copy of a data folder in which every second training image has no box."""
    shutil.copytree(data, folder)
    path = folder / "annotations" / "instances_train.json"
    content = json.loads(path.read_text())
    empty = {image["id"] for image in content["images"][::2]}
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] not in empty]
    path.write_text(json.dumps(content))
    restamp(folder)
    return folder


def same_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faster R-CNN samples its regions by chance: take the first ones, whatever part an image is in."""
    monkeypatch.setattr(torch, "randperm", lambda n, **kwargs: torch.arange(n, device=kwargs.get("device")))


def relative_difference(first: torch.Tensor, second: torch.Tensor) -> float:
    return float((first - second).norm() / first.norm())


@pytest.fixture
def gradient(
    few_data: Path, tmp_path: Path, run: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, int], torch.Tensor]:
    """Return what gives the gradient of the first step of a model in so many parts."""
    data = half_background(few_data, tmp_path / "data")
    same_regions(monkeypatch)
    seen: list[torch.Tensor] = []

    def look(parameters: list[torch.nn.Parameter], *_: object) -> torch.Tensor:
        seen.append(torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]))
        raise Seen

    monkeypatch.setattr(epoch.nn.utils, "clip_grad_norm_", look)

    def _gradient(model: str, parts: int) -> torch.Tensor:
        settings = {
            "data": {"path": data},
            "model": MODELS[model],
            "transfer": {"strategy": "full", "batchnorm": "frozen"},
            "train": {"epochs": 1, "batch": 8, "imgsz": 96, "precision": "fp32", "accumulate": parts},
            "augment": "none",
            "out": tmp_path / f"{model}-{parts}",
        }
        with pytest.raises(Seen):
            run(RunConfig.model_validate(settings))
        return seen[-1]

    return _gradient


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.slow
def test_accumulation_with_frozen_batchnorm__gives_the_gradient_of_the_whole_batch(model: str, gradient) -> None:
    whole = gradient(model, 1)
    for parts in (2, 4, 8):
        assert relative_difference(whole, gradient(model, parts)) < 1e-5, parts


SCRIPT = """
import os, sys
import torch
from detect_transfer.cli import main
from detect_transfer.training import epoch
torch.randperm = lambda n, **kwargs: torch.arange(n, device=kwargs.get('device'))
def look(parameters, *_):
    gradient = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
    if os.environ.get('RANK', '0') == '0':
        torch.save(gradient, os.environ['GRADIENT'])
    torch.distributed.is_initialized() and torch.distributed.barrier()
    os._exit(0)
epoch.nn.utils.clip_grad_norm_ = look
main(sys.argv[1:])
"""


@pytest.mark.parametrize("model", ["yolo", "faster-rcnn"])
@pytest.mark.slow
def test_two_processes_with_frozen_batchnorm__give_the_gradient_of_the_whole_batch(
    few_data: Path, tmp_path: Path, model: str
) -> None:
    data = half_background(few_data, tmp_path / "data")
    script = tmp_path / "look.py"
    script.write_text(SCRIPT)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = [f"model.{key}={value}" for key, value in MODELS[model].items()]
    words += ["transfer.strategy=full", "transfer.batchnorm=frozen", "train.batch=8", "train.imgsz=96"]
    words += ["train.epochs=1", "train.precision=fp32", "train.device=cpu", "augment=none"]
    gradients = []
    for name, launcher, parts in (("one", [], 1), ("two", launch, 1), ("two-parts", launch, 2)):
        target = tmp_path / f"{name}.pt"
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "GRADIENT": str(target)}
        command = [sys.executable, *launcher, str(script), "train", *words, f"train.accumulate={parts}"]
        command += [f"data.path={data}", f"out={tmp_path / name}"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200, check=False)
        assert target.exists(), done.stdout + done.stderr
        gradients.append(torch.load(target, weights_only=True))
    assert relative_difference(gradients[0], gradients[1]) < 1e-5
    assert relative_difference(gradients[0], gradients[2]) < 1e-5
    assert np.isfinite(gradients[0].numpy()).all()
