"""The `.pt` file of ultralytics: a pickled network, as its own trainer saves it."""

from __future__ import annotations

import copy
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from detect_transfer.core.io import write_atomic
from detect_transfer.models.yolo.detector import YoloDetector
from detect_transfer.models.yolo.ultralytics import load_ultralytics

_LICENCE = "AGPL-3.0 License (https://ultralytics.com/license)"


def save_ultralytics(detector: YoloDetector, path: Path, *, imgsz: int | tuple[int, int]) -> None:
    """Write a file that ultralytics trains on, predicts with and exports."""
    module: Any = copy.deepcopy(detector.module).cpu().eval().float()
    module.criterion = None
    module.names = dict(enumerate(detector.class_names))
    module.model[-1].xyxy = False  # its own suppression takes centres
    arguments = {"task": "detect", "mode": "train", "model": f"{detector.arch}.pt", "data": None, "imgsz": imgsz}
    module.args = arguments
    module.task = "detect"
    content = {
        "epoch": -1,
        "best_fitness": None,
        "model": module,
        "ema": None,
        "updates": None,
        "optimizer": None,
        "train_args": arguments,
        "version": load_ultralytics().version,
        "license": _LICENCE,
    }
    data = io.BytesIO()  # torch raises errors of its own where a disk is full
    torch.save(content, data)
    write_atomic(path, data.getvalue())


def load_with_ultralytics(path: Path, arch: str, class_names: Sequence[str]) -> YoloDetector:
    """Load a file that we wrote by the loader of ultralytics itself, which unpickles it."""
    logger = logging.getLogger("ultralytics")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        module, _ = load_ultralytics().load_checkpoint(path)
    finally:
        logger.setLevel(level)
    return YoloDetector(module, arch, class_names)
