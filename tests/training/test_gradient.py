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
from narrow import narrow_torchvision
from paths import ROOT

from detect_transfer.config import RunConfig
from detect_transfer.training import engine, epoch

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


def no_score(trainer: engine._Trainer, *_: object) -> None:
    """Neither score the source nor write its weights, which takes seconds and no gradient needs."""
    trainer.context.progress.history.append({"score_seconds": 0.0, "epoch_seconds": 0.0})


def relative_difference(first: torch.Tensor, second: torch.Tensor) -> float:
    return float((first - second).norm() / first.norm())


@pytest.fixture
def gradient(
    few_data: Path, tmp_path: Path, run: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, int], torch.Tensor]:
    """Return what gives the gradient of the first step of a model in so many parts."""
    data = half_background(few_data, tmp_path / "half")
    narrow_torchvision(monkeypatch)
    same_regions(monkeypatch)
    monkeypatch.setattr(engine._Trainer, "_end_epoch", no_score)
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
            "out": tmp_path / f"alone-{model}-{parts}",
        }
        with pytest.raises(Seen):
            run(RunConfig.model_validate(settings))
        return seen[-1]

    return _gradient


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.slow
def test_accumulation_with_frozen_batchnorm__gives_the_gradient_of_the_whole_batch(model: str, gradient) -> None:
    whole = gradient(model, 1)
    for parts in (2, 8):
        assert relative_difference(whole, gradient(model, parts)) < 1e-5, parts


SCRIPT = """
import os, sys
import pytest, torch
from narrow import narrow_torchvision
from detect_transfer.training import engine, epoch
from detect_transfer.workflows.run_config import config_of_words
from detect_transfer.workflows.train import train
class Seen(Exception):
    pass
def no_score(trainer, *_):
    trainer.context.progress.history.append({'score_seconds': 0.0, 'epoch_seconds': 0.0})
def look(parameters, *_):
    if os.environ['RANK'] == '0':
        torch.save(torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]), f'{out}.pt')
    raise Seen
narrow_torchvision(pytest.MonkeyPatch())
torch.randperm = lambda n, **kwargs: torch.arange(n, device=kwargs.get('device'))
engine._Trainer._end_epoch = no_score
epoch.nn.utils.clip_grad_norm_ = look
for words in open(sys.argv[1]).read().splitlines():
    *words, out = words.split()
    try:
        train(config_of_words(None, [*words, f'out={out}'])[0], name='', command='')
    except Seen:
        torch.distributed.barrier()
"""


@pytest.mark.slow
def test_two_processes_with_frozen_batchnorm__give_the_gradient_of_the_whole_batch(
    few_data: Path, tmp_path: Path, gradient: Callable[[str, int], torch.Tensor]
) -> None:
    data = half_background(few_data, tmp_path / "data")
    script, runs = tmp_path / "look.py", tmp_path / "runs.txt"
    script.write_text(SCRIPT)
    words = [f"data.path={data}", "transfer.strategy=full", "transfer.batchnorm=frozen", "train.batch=8"]
    words += ["train.imgsz=96", "train.epochs=1", "train.precision=fp32", "train.device=cpu", "augment=none"]
    cases = [(model, parts) for model in ("yolo", "faster-rcnn") for parts in (1, 2)]
    lines = []
    for model, parts in cases:
        of_model = [f"model.{key}={value}" for key, value in MODELS[model].items()]
        out = str(tmp_path / f"{model}-{parts}")
        lines.append(" ".join([*words, *of_model, f"train.accumulate={parts}", out]))
    runs.write_text("\n".join(lines))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", script, runs]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    whole = {model: gradient(model, 1) for model in ("yolo", "faster-rcnn")}
    for model, parts in cases:
        shared = torch.load(tmp_path / f"{model}-{parts}.pt", weights_only=True)
        assert relative_difference(whole[model], shared) < 1e-5, (model, parts)
        assert np.isfinite(shared.numpy()).all()
