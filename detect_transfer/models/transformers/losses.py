"""What a query counts in the losses of the transformers family.

One whose box lies in an ignored region and that has no target is neither target nor background: it carries no loss.
All is computed in single precision, as sums; the counts that they are divided by go with them. Queries are matched with
targets layer by layer, by the library's matchers.

Sources: the varifocal, box and corner losses are those of RT-DETR (Zhao et al. 2024) and D-FINE (Peng et al. 2024), the
class loss of RF-DETR is that of LW-DETR (Chen et al. 2024). Differences from the library: the last layer of D-FINE has
a corner loss too, as in the paper; its self-distillation is put together an image, not a batch, so that it does not
depend on which images share a batch; and denoising queries that only fill up the batch carry no loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional
from torchvision.ops import box_convert, generalized_box_iou_loss

from detect_transfer.models.device import sent
from detect_transfer.models.torchvision.losses import TargetDict, in_ignored

Pairs = Sequence[tuple[torch.Tensor, torch.Tensor]]  # of each image, the queries that have a target, and the targets

_TEMPERATURE = 5.0  # of the distillation of corners, as published
_LEAST_QUALITY = 0.01  # of a positive in the class loss of LW-DETR


@dataclass(frozen=True)
class Layer:
    """What a layer of the decoder, or the selection of queries, gives.

    Args:
        logits: (B, Q, K).
        boxes: (B, Q, 4) centre, width and height as shares of the input.
        corners: (B, Q, 4 * bins) of D-FINE: the distribution of each edge.
        starts: (B, Q, 4) of D-FINE: the boxes that these edges are measured from.
    """

    logits: torch.Tensor
    boxes: torch.Tensor
    corners: torch.Tensor | None = None
    starts: torch.Tensor | None = None


@dataclass(frozen=True)
class Matches:
    """The matched queries of a batch, M in all.

    Args:
        image: (M,).
        query: (M,).
        boxes: (M, 4) of their targets, centre, width and height as shares of the input.
        labels: (M,).
        counted: (B, Q) whether a query carries loss: it has a target, or it lies in no ignored region.
    """

    image: torch.Tensor
    query: torch.Tensor
    boxes: torch.Tensor
    labels: torch.Tensor
    counted: torch.Tensor

    @classmethod
    def of(cls, layer: Layer, pairs: Pairs, targets: Sequence[TargetDict], real: torch.Tensor | None = None) -> Matches:
        """Put together the matches of a batch.

        Args:
            layer: Says where the queries are.
            pairs: Of each image.
            targets: With `boxes`, `class_labels` and `ignored`.
            real: (B, Q) queries that are there at all; None are all.
        """
        firsts = np.cumsum([0, *(len(target["boxes"]) for target in targets[:-1])]).tolist()  # in those of all images
        matched = [
            torch.stack([torch.full_like(query, i), query, chosen + first])
            for i, ((query, chosen), first) in enumerate(zip(pairs, firsts, strict=True))
        ]
        image, query, chosen = sent(torch.cat(matched, dim=1), layer.boxes.device)
        corners = box_convert(layer.boxes.detach(), "cxcywh", "xyxy")
        hidden = torch.stack([in_ignored(c, t["ignored"]) for c, t in zip(corners, targets, strict=True)])
        counted = ~hidden if real is None else ~hidden & real
        counted[image, query] = True
        boxes, labels = (torch.cat([target[name] for target in targets])[chosen] for name in ("boxes", "class_labels"))
        return cls(image, query, boxes, labels, counted)

    def overlap(self, boxes: torch.Tensor) -> torch.Tensor:
        """Return the IoU (M,) of the matched boxes of (B, Q, 4) with their targets."""
        ours, theirs = self._corners(boxes.detach())
        low, high = torch.maximum(ours[:, :2], theirs[:, :2]), torch.minimum(ours[:, 2:], theirs[:, 2:])
        common = (high - low).clamp(min=0).prod(dim=1)
        areas = [(each[:, 2:] - each[:, :2]).prod(dim=1) for each in (ours, theirs)]
        return common / (areas[0] + areas[1] - common).clamp(min=1e-9)

    def box_losses(self, boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the sums of L1 and generalised IoU loss of the matched boxes of (B, Q, 4)."""
        distance = functional.l1_loss(boxes[self.image, self.query], self.boxes, reduction="sum")
        return distance, generalized_box_iou_loss(*self._corners(boxes), reduction="sum")

    def _corners(self, boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return (
            box_convert(boxes[self.image, self.query], "cxcywh", "xyxy"),
            box_convert(self.boxes, "cxcywh", "xyxy"),
        )


def varifocal(layer: Layer, matches: Matches, alpha: float, gamma: float, weights: torch.Tensor | None) -> torch.Tensor:
    """Return the sum of the varifocal loss, whose targets are overlaps; `weights` are of the K classes."""
    logits = layer.logits
    quality = torch.zeros_like(logits)
    quality[matches.image, matches.query, matches.labels] = matches.overlap(layer.boxes).to(logits.dtype)
    is_target = torch.zeros_like(logits)
    is_target[matches.image, matches.query, matches.labels] = 1
    weight = alpha * logits.detach().sigmoid().pow(gamma) * (1 - is_target) + quality
    loss = functional.binary_cross_entropy_with_logits(logits, quality, weight=weight, reduction="none")
    return _summed(loss, matches, weights)


def overlap_aware(layer: Layer, matches: Matches, alpha: float, weights: torch.Tensor | None) -> torch.Tensor:
    """Return the sum of the class loss of LW-DETR, whose targets mix score and overlap."""
    logits = layer.logits
    matched = (matches.image, matches.query, matches.labels)
    score = logits.sigmoid()
    overlap = matches.overlap(layer.boxes)
    quality = (score[matched].pow(alpha) * overlap.pow(1 - alpha)).clamp(min=_LEAST_QUALITY).detach()
    positive, negative = torch.zeros_like(logits), score.square()
    positive[matched], negative[matched] = quality, 1 - quality
    loss = -positive * functional.logsigmoid(logits) - negative * functional.logsigmoid(-logits)
    return _summed(loss, matches, weights)


def corner_loss(
    layer: Layer, matches: Matches, targets: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
) -> torch.Tensor:
    """Return the sum of the loss of the edges of matched boxes, weighted by their overlap.

    Args:
        layer: With corners.
        matches: Of the layer.
        targets: (4 M,) each: the bin left of the true edge, and the weights of the bin right and left of it.
    """
    assert layer.corners is not None
    bins, right, left = targets
    bins = bins.long()
    edges = layer.corners[matches.image, matches.query].reshape(len(bins), layer.corners.shape[-1] // 4)
    loss = functional.cross_entropy(edges, bins, reduction="none") * left
    loss = loss + functional.cross_entropy(edges, bins + 1, reduction="none") * right
    return (loss * matches.overlap(layer.boxes).repeat_interleave(4)).sum()


def distillation(layer: Layer, last: Layer, matches: Matches) -> torch.Tensor:
    """Return the sum over images of the loss by which a layer's edges follow those of the last layer.

    Matched and other queries are weighted by the roots of their numbers, as published, but in each image.
    """
    assert layer.corners is not None
    assert last.corners is not None
    batch, queries = layer.boxes.shape[:2]
    ours, theirs = (
        each.reshape(batch, queries, 4, -1) / _TEMPERATURE for each in (layer.corners, last.corners.detach())
    )
    divergence = (theirs.softmax(-1) * (theirs.log_softmax(-1) - ours.log_softmax(-1))).sum(-1).mean(-1)  # (B, Q)
    weight = last.logits.detach().sigmoid().amax(dim=-1)
    weight[matches.image, matches.query] = matches.overlap(layer.boxes).to(weight.dtype)
    loss = weight * _TEMPERATURE**2 * divergence
    matched = torch.zeros_like(matches.counted)
    matched[matches.image, matches.query] = True
    sums, roots = [], []
    for mask in (matched, matches.counted & ~matched):
        count = mask.sum(dim=1).to(loss.dtype)
        roots.append(count.sqrt())
        sums.append((loss * mask).sum(dim=1) / count.clamp(min=1) * roots[-1])
    return (torch.stack(sums).sum(dim=0) / torch.stack(roots).sum(dim=0).clamp(min=1e-9)).sum()


def _summed(loss: torch.Tensor, matches: Matches, weights: torch.Tensor | None) -> torch.Tensor:
    """Return the sum of (B, Q, K) over the queries that count."""
    if weights is not None:
        loss = loss * weights.to(loss)
    return (loss * matches.counted[..., None]).sum()
