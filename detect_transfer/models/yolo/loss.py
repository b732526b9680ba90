"""Ignored regions and class weights in the YOLO loss of ultralytics.

A grid cell whose centre lies in an ignored region is no background: unless the assigner gives it a target, its class
loss is zero. (Cells without a target carry no box loss anyway.)
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from detect_transfer.models.base import LossPart, Target
from detect_transfer.models.device import sent


class IgnoringBce(nn.Module):
    """Binary cross-entropy (B, A, K) that is zero in ignored cells without a target."""

    def __init__(self) -> None:
        super().__init__()
        self.ignored: torch.Tensor | None = None  # (B, A)
        self.count = torch.ones(())  # the sum of the target scores, which ultralytics divides every part by

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the loss of each cell and class."""
        self.count = targets.sum()
        loss = nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        if self.ignored is None:
            return loss
        counts = ~self.ignored | (targets > 0).any(dim=-1)
        return loss * counts.unsqueeze(-1)


def prepare_criterion(module: Any, class_weights: torch.Tensor | None) -> None:
    """Make the criterion of a network, with ours in the place of its cross-entropy."""
    module.criterion = module.init_criterion()
    for part in _parts(module.criterion):
        part.bce = IgnoringBce()
        part.stride = module.stride.tolist()  # numbers of the host: of a tensor each use would wait for the device
        part.class_weights = None if class_weights is None else class_weights.to(part.device).view(1, 1, -1)


def set_ignored(module: Any, targets: Sequence[Target], size_hw: tuple[int, int]) -> None:
    """Tell the criterion which cells of this batch are to be ignored."""
    ignored = None
    if any(len(target.ignored) for target in targets):
        first = _parts(module.criterion)[0]
        centres = _cell_centres(first.stride, size_hw)
        ignored = torch.stack([_inside(centres, torch.as_tensor(target.ignored)) for target in targets])
        ignored = sent(ignored, first.device)
    for part in _parts(module.criterion):
        part.bce.ignored = ignored


def loss_parts(criterion: Any, outputs: Any, targets: torch.Tensor) -> dict[str, LossPart]:
    """Return the parts of the loss of ultralytics with what each is divided by; an end-to-end head has two of each.

    Args:
        criterion: As of `prepare_criterion`.
        outputs: Of the network.
        targets: (N, 6) on the host: image, class, and centre, width and height as shares of the input.
    """
    outputs = _parts(criterion)[0].parse_output(outputs)
    branches = [(criterion, outputs, 1.0)]
    if hasattr(criterion, "one2one"):
        branches = [
            (criterion.one2many, outputs["one2many"], criterion.o2m),
            (criterion.one2one, outputs["one2one"], criterion.o2o),
        ]
    totals, counts = [], []
    for part, own, weight in branches:
        batch = _give_targets(part, own["feats"], targets)
        with part.device:  # what it makes of plain numbers is made there, and not copied
            parts = part.get_assigned_targets_and_loss(own, batch)[1]
        totals.append(parts * part.bce.count.clamp(min=1) * weight)
        counts.append(part.bce.count)
    columns = torch.stack(totals, dim=1)  # (3, branches)
    return {name: LossPart(columns[i], torch.stack(counts)) for i, name in enumerate(("box", "cls", "dfl"))}


def _give_targets(part: Any, maps: Sequence[torch.Tensor], targets: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the batch that a criterion is called with, and let it take targets that are put together on the host.

    How many an image has is known there; on the device ultralytics would wait for their number.
    """
    if part.device.type == "mps":  # there it bounds the number of shapes, by a number of the device
        given = sent(targets, part.device)
    else:
        size_hw = torch.tensor([float(side) for side in maps[0].shape[2:]]) * part.stride[0]
        on_host = SimpleNamespace(device=targets.device)
        padded = type(part).preprocess(on_host, targets, len(maps[0]), size_hw[[1, 0, 1, 0]])
        padded, given = sent(padded, part.device), torch.empty(0, 6, device=part.device)
        part.preprocess = lambda *_, **__: padded
    return {"batch_idx": given[:, 0], "cls": given[:, 1], "bboxes": given[:, 2:]}


def _parts(criterion: Any) -> list[Any]:
    """Return the criteria inside a criterion: an end-to-end head has two."""
    return [criterion.one2many, criterion.one2one] if hasattr(criterion, "one2one") else [criterion]


def _cell_centres(strides: Sequence[float], size_hw: tuple[int, int]) -> torch.Tensor:
    """Return the centres (A, 2) of all cells in network pixels, level by level and row by row."""
    levels = []
    for stride in strides:
        rows, columns = (torch.arange(side // int(stride)) for side in size_hw)
        y, x = torch.meshgrid((rows + 0.5) * stride, (columns + 0.5) * stride, indexing="ij")
        levels.append(torch.stack([x.flatten(), y.flatten()], dim=1))
    return torch.cat(levels).double()


def _inside(points: torch.Tensor, xyxy: torch.Tensor) -> torch.Tensor:
    """Tell which points (A, 2) lie in one of the boxes (M, 4)."""
    xyxy = xyxy.double().reshape(-1, 4)
    after = (points[:, None] >= xyxy[None, :, :2]).all(dim=-1)
    before = (points[:, None] < xyxy[None, :, 2:]).all(dim=-1)
    return (after & before).any(dim=1)
