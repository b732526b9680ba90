"""What a batch must be before a network sees it: a kernel would crash on it, or batch norm keep it for good."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from detect_transfer.core.errors import InputError
from detect_transfer.models.base import Target


def check_inputs(inputs: torch.Tensor) -> None:
    """Raise where an image (B, ...) on the CPU has values that are not finite.

    Elsewhere each step would wait for the device to tell, and images of eight bits are finite.

    Raises:
        InputError: As said.
    """
    if inputs.device.type != "cpu":
        return
    finite = torch.isfinite(inputs.detach().flatten(1).sum(dim=1))
    if not bool(finite.all()):
        raise InputError(
            "INPUT_NOT_FINITE",
            f"image {int((~finite).nonzero()[0])} of the batch has values that are not finite",
            remedy="look at this image and at the augmentations",
        )


def check_targets(targets: Sequence[Target], n_classes: int) -> None:
    """Raise where a box is not finite or has no area, or a label is none of the classes.

    Raises:
        InputError: As said.
    """
    for index, target in enumerate(targets):
        if problem := _problem(target, n_classes):
            raise InputError(
                "TARGET_WRONG", f"image {index} of the batch has {problem}", remedy="fix the boxes of the data set"
            )


def _problem(target: Target, n_classes: int) -> str:
    xyxy, labels = np.asarray(target.xyxy).reshape(-1, 4), np.asarray(target.labels)
    if not (np.isfinite(xyxy).all() and np.isfinite(target.ignored).all()):
        return "a box that is not finite"
    if (xyxy[:, 2:] <= xyxy[:, :2]).any():
        return "a box without area"
    if len(labels) != len(xyxy) or ((labels < 0) | (labels >= n_classes)).any():
        return f"labels that are not one class index in 0..{n_classes - 1} for each box"
    return ""
