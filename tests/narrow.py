"""Networks of the same graph and names with fewer numbers, for what does not depend on how wide they are."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from torch import nn
from torchvision.models import resnet18
from torchvision.models.detection.faster_rcnn import TwoMLPHead

from detect_transfer.models.yolo.ultralytics import load_ultralytics


@functools.cache
def load_yaml() -> Callable[[str], dict[str, Any]]:
    """Return what ultralytics reads architectures with; imported by itself it would replace `PIL.Image.open`."""
    load_ultralytics()
    from ultralytics.nn import tasks

    return tasks.yaml_model_load


def narrow_yolo(patch: pytest.MonkeyPatch) -> None:
    """Build every YOLO at a quarter of its width: an eighth of the parameters."""

    def narrow(path: str) -> dict[str, Any]:
        content = read(path)
        scales = {name: [depth, width / 4, most] for name, (depth, width, most) in content["scales"].items()}
        return {**content, "scales": scales}

    read = load_yaml()
    patch.setattr("ultralytics.nn.tasks.yaml_model_load", narrow)


class _NarrowHead(TwoMLPHead):
    def __init__(self, in_channels: int, representation_size: int) -> None:
        nn.Module.__init__(self)
        self.fc6, self.fc7 = nn.Linear(in_channels, 64), nn.Linear(64, representation_size)


def narrow_torchvision(patch: pytest.MonkeyPatch) -> None:
    """Build Faster R-CNN with 64 numbers a region in the middle of its head, and FCOS on the smaller ResNet."""
    patch.setattr("torchvision.models.detection.faster_rcnn.TwoMLPHead", _NarrowHead)
    patch.setattr("torchvision.models.detection.fcos.resnet50", resnet18)
