"""What an anchor or proposal counts in the losses of the torchvision family.

One that lies in an ignored region and is no positive is neither target nor background: its loss and its gradient are
zero. All is computed in single precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

TargetDict = dict[str, torch.Tensor]  # boxes (N, 4), labels (N,) as the network counts them, ignored (M, 4)

IGNORED_SHARE = 0.5  # of the area of an anchor or proposal that lies in the region
BACKGROUND, NEITHER = -1, -2  # what torchvision's matchers give an anchor without a target
_FEWEST_MINED = 3  # background anchors of an image without targets


def in_ignored(boxes: torch.Tensor, ignored: torch.Tensor) -> torch.Tensor:
    """Tell which boxes (A, 4) lie for half of their area or more in one of the regions (M, 4)."""
    if not len(ignored):
        return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    low = torch.maximum(boxes[:, None, :2], ignored[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], ignored[None, :, 2:])
    common = (high - low).clamp(min=0).prod(dim=2)  # (A, M)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    return ((common >= IGNORED_SHARE * area[:, None]) & (common > 0)).any(dim=1)


def match_anchors(matcher: Any, similarity: Any, anchors: torch.Tensor, targets: Sequence[TargetDict]) -> torch.Tensor:
    """Return the target of each anchor (B, A), `BACKGROUND`, or `NEITHER` for those between and those ignored."""
    rows = []
    for target in targets:
        if len(target["boxes"]):
            matched = matcher(similarity(target["boxes"], anchors))
        else:
            matched = torch.full((len(anchors),), BACKGROUND, dtype=torch.int64, device=anchors.device)
        rows.append(leave_out(matched, anchors, target))
    return torch.stack(rows)


def leave_out(matched: torch.Tensor, anchors: torch.Tensor, target: TargetDict) -> torch.Tensor:
    """Turn the background among matches (A,) that lies in ignored regions into `NEITHER`."""
    return torch.where((matched == BACKGROUND) & in_ignored(anchors, target["ignored"]), NEITHER, matched)


def labels_of(matched: torch.Tensor, targets: Sequence[TargetDict], *, background: int) -> torch.Tensor:
    """Return the label of each anchor (B, A) from its match (B, A)."""
    rows = []
    for row, target in zip(matched, targets, strict=True):
        labels = torch.cat([target["labels"], target["labels"].new_full((1,), background)])
        rows.append(labels[torch.where(row >= 0, row, len(labels) - 1)])
    return torch.stack(rows)


def focal(
    logits: torch.Tensor, matched: torch.Tensor, targets: Sequence[TargetDict], weights: torch.Tensor | None
) -> torch.Tensor:
    """Return the focal loss of each image (B,), summed over anchors and classes.

    Args:
        logits: (B, A, K), without a background class.
        matched: (B, A) as of `match_anchors`.
        targets: Of each image.
        weights: (K,) of each class; None weighs all alike.
    """
    n_classes = logits.shape[-1]
    labels = labels_of(matched, targets, background=n_classes)
    true_classes = functional.one_hot(labels, n_classes + 1)[..., :n_classes].to(logits.dtype)
    loss = sigmoid_focal_loss(logits, true_classes, reduction="none")
    if weights is not None:
        loss = loss * weights.to(loss)
    summed: torch.Tensor = (loss.sum(dim=2) * (matched != NEITHER)).sum(dim=1)
    return summed


def mined_cross_entropy(
    logits: torch.Tensor,
    matched: torch.Tensor,
    targets: Sequence[TargetDict],
    weights: torch.Tensor | None,
    negatives: float,
) -> torch.Tensor:
    """Return the cross-entropy of each image (B,): of its positives and of the hardest background.

    An image without targets gives a few background anchors too; stock SSD learns nothing from it.

    Args:
        logits: (B, A, K + 1), background first.
        matched: (B, A) as of `match_anchors`.
        targets: Of each image.
        weights: (K,) of each class; None weighs all alike.
        negatives: Background anchors for each positive.
    """
    labels = labels_of(matched, targets, background=0)
    loss = cross_entropy(logits.flatten(0, 1), labels.flatten(), weights).view_as(labels)
    positive = matched >= 0
    hardness = torch.where(matched == BACKGROUND, loss.detach(), -torch.inf)
    rank = hardness.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    n_mined = (negatives * positive.sum(dim=1, keepdim=True)).clamp(min=_FEWEST_MINED)
    mined = (rank < n_mined) & (matched == BACKGROUND)
    return (loss * (positive | mined)).sum(dim=1)


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Return the loss (N,) of logits (N, K + 1), background first and of weight 1; `weights` are of the K classes."""
    loss = functional.cross_entropy(logits, labels, reduction="none")
    if weights is None:
        return loss
    return loss * torch.cat([loss.new_ones(1), weights.to(loss)])[labels]


def not_finite(*outputs: torch.Tensor) -> torch.Tensor:
    """Return 0, or NaN where an output is not finite: added to a loss, it lets no broken output go unseen."""
    return torch.stack([(each.detach() * 0).sum() for each in outputs]).sum()
