"""The library's matchers and corner targets, as functions of a layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torchvision.ops import box_convert

from detect_transfer.models.torchvision.losses import TargetDict
from detect_transfer.models.transformers.losses import Layer, Matches, Pairs


def one_matcher(settings: Any) -> Callable[[Layer, Sequence[TargetDict]], Pairs]:
    """Return what gives each target one query, by the costs of RT-DETR."""
    from transformers.loss.loss_rt_detr import RTDetrHungarianMatcher

    matcher = RTDetrHungarianMatcher(settings)
    return lambda layer, targets: matcher(_outputs(layer), targets)


def group_matcher(settings: Any) -> Callable[[Layer, Sequence[TargetDict], int], Pairs]:
    """Return what gives each target one query of each group, by the costs of LW-DETR."""
    from transformers.loss.loss_lw_detr import LwDetrHungarianMatcher

    matcher = LwDetrHungarianMatcher(
        class_cost=settings.class_cost, bbox_cost=settings.bbox_cost, giou_cost=settings.giou_cost
    )
    return lambda layer, targets, groups: matcher(_outputs(layer), targets, groups)


class CornerTargets:
    """Turns the targets of matched queries into bins of edges.

    Args:
        bins: The largest bin.
    """

    def __init__(self, bins: int) -> None:
        from transformers.loss.loss_d_fine import bbox2distance

        self._bins = bins
        self._convert = bbox2distance

    @torch.no_grad()
    def __call__(self, layer: Layer, matches: Matches, decoder: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the left bin and the weights of right and left bin, (4 M,) each.

        Args:
            layer: With the boxes that edges are measured from.
            matches: Of the layer.
            decoder: Holds the form of the bins.
        """
        assert layer.starts is not None
        starts = layer.starts[matches.image, matches.query].detach()
        corners = box_convert(matches.boxes, "cxcywh", "xyxy")
        bins, right, left = self._convert(starts, corners, self._bins, decoder.reg_scale, decoder.up)
        return bins, right, left


def _outputs(layer: Layer) -> dict[str, torch.Tensor]:
    """Return what a matcher asks for; numbers that are not finite are refused later, with the loss."""
    return {"logits": layer.logits.detach(), "pred_boxes": layer.boxes.detach().nan_to_num(0.5, 0.5, 0.5)}
