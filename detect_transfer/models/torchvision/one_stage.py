"""RetinaNet, FCOS and SSD, composed of torchvision's parts; `faster_rcnn` says what differs from stock."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional
from torchvision.models import detection
from torchvision.ops import box_iou, clip_boxes_to_image

from detect_transfer.models.base import LossPart
from detect_transfer.models.torchvision.anchors import Anchors
from detect_transfer.models.torchvision.losses import (
    TargetDict,
    focal,
    leave_out,
    match_anchors,
    mined_cross_entropy,
    not_finite,
)
from detect_transfer.models.torchvision.network import Network, ScoredBoxes

Outputs = dict[str, torch.Tensor]  # (B, A, ...) by torchvision's names


class OneStageDetector(Network):
    """A network whose head predicts at every cell.

    Args:
        stock: Gives the parts.
    """

    def __init__(self, stock: Any) -> None:
        super().__init__(stock.backbone)
        self.head = stock.head
        self.anchor_generator = stock.anchor_generator
        self.box_coder = stock.box_coder
        self.anchors = Anchors(stock.anchor_generator)

    def heads(self, maps: Sequence[torch.Tensor], size_hw: tuple[int, int], targets: Any) -> Any:
        """Return the loss parts, or the scored boxes of each image."""
        outputs = {name: each.float() for name, each in self.head(list(maps)).items()}
        anchors = self.anchors.of(maps, size_hw)
        if targets is not None:
            losses = self.losses(outputs, anchors, targets, [each.shape[2] * each.shape[3] for each in maps])
            part = losses["class"]
            return {**losses, "class": LossPart(part.total + not_finite(*outputs.values()), part.count)}
        scores = self.scores(outputs)
        return [
            ScoredBoxes(clip_boxes_to_image(self.decode(own, anchors), size_hw)[:, None], score)
            for own, score in zip(outputs["bbox_regression"], scores, strict=True)
        ]

    def losses(
        self, outputs: Outputs, anchors: torch.Tensor, targets: Sequence[TargetDict], cells: list[int]
    ) -> dict[str, LossPart]:
        """Return the loss parts; `cells` are the cells of each level."""
        raise NotImplementedError

    def scores(self, outputs: Outputs) -> torch.Tensor:
        """Return the scores (B, A, K)."""
        return outputs["cls_logits"].sigmoid()

    def decode(self, offsets: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
        """Return the boxes (A, 4) of one image."""
        return torch.as_tensor(self.box_coder.decode_single(offsets, anchors))


class RetinaNet(OneStageDetector):
    """RetinaNet."""

    def __init__(self, stock: detection.RetinaNet) -> None:
        super().__init__(stock)
        self.matcher = stock.proposal_matcher

    def losses(
        self, outputs: Outputs, anchors: torch.Tensor, targets: Sequence[TargetDict], cells: list[int]
    ) -> dict[str, LossPart]:
        """Return focal and box loss, each by the positives of its image."""
        matched = match_anchors(self.matcher, box_iou, anchors, targets)
        positives = (matched >= 0).sum(dim=1).clamp(min=1)
        class_loss = focal(outputs["cls_logits"], matched, targets, self.class_weights) / positives
        repeated = [anchors] * len(targets)
        box_loss = self.head.regression_head.compute_loss(targets, outputs, repeated, list(matched))
        n_images = len(targets)
        return {"class": LossPart.of(class_loss.sum(), n_images), "box": LossPart.of(box_loss * n_images, n_images)}


class FCOS(OneStageDetector):
    """FCOS, whose anchors are cells."""

    def __init__(self, stock: detection.FCOS) -> None:
        super().__init__(stock)
        self._radius = stock.center_sampling_radius

    def losses(
        self, outputs: Outputs, anchors: torch.Tensor, targets: Sequence[TargetDict], cells: list[int]
    ) -> dict[str, LossPart]:
        """Return focal, box and centre loss, by the positives of the batch."""
        matched = torch.stack(
            [
                leave_out(each, anchors, target)
                for each, target in zip(self._match(anchors, targets, cells), targets, strict=True)
            ]
        )
        stock = self.head.compute_loss(targets, outputs, [anchors] * len(targets), list(matched))
        class_loss = focal(outputs["cls_logits"], matched, targets, self.class_weights).sum()
        positives = (matched >= 0).sum()
        box, centre = (stock[name] * positives.clamp(min=1) for name in ("bbox_regression", "bbox_ctrness"))
        parts = {"class": class_loss, "box": box, "centre": centre}
        return {name: LossPart.of(total, positives) for name, total in parts.items()}

    def _match(self, anchors: torch.Tensor, targets: Sequence[TargetDict], cells: list[int]) -> list[torch.Tensor]:
        """Return the target of each cell (A,): stock gives its matches to the loss of its head alone."""
        matches: list[list[torch.Tensor]] = []
        head = types.SimpleNamespace(compute_loss=lambda _t, _o, _a, matched: matches.append(matched))
        stock = types.SimpleNamespace(center_sampling_radius=self._radius, head=head)
        detection.FCOS.compute_loss(stock, targets, {}, [anchors] * len(targets), cells)
        return matches[0]

    def scores(self, outputs: Outputs) -> torch.Tensor:
        """Return the geometric mean of class and centre."""
        return (outputs["cls_logits"].sigmoid() * outputs["bbox_ctrness"].sigmoid()).sqrt()

    def decode(self, offsets: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
        """Return the boxes (A, 4) of one image."""
        return torch.as_tensor(self.box_coder.decode(offsets, anchors))


class SSD(OneStageDetector):
    """SSD on a backbone with extra layers in the place of a pyramid."""

    has_background = True
    any_size = False  # torchvision makes its boxes of plain numbers

    def __init__(self, stock: detection.ssd.SSD) -> None:
        super().__init__(stock)
        self.matcher = stock.proposal_matcher
        self._negatives = float(stock.neg_to_pos_ratio)

    def body(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the two maps of the backbone."""
        maps = []
        for block in self.backbone.features:
            images = block(images)
            maps.append(images)
        return tuple(maps)

    def neck(self, maps: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Return these and those of the extra layers."""
        every = list(maps)
        for block in self.backbone.extra:
            every.append(block(every[-1]))
        return tuple(every)

    def losses(
        self, outputs: Outputs, anchors: torch.Tensor, targets: Sequence[TargetDict], cells: list[int]
    ) -> dict[str, LossPart]:
        """Return class and box loss, by the positives of the batch."""
        matched = match_anchors(self.matcher, box_iou, anchors, targets)
        positives = (matched >= 0).sum()
        class_loss = mined_cross_entropy(outputs["cls_logits"], matched, targets, self.class_weights, self._negatives)
        box_losses = []
        for row, target, offsets in zip(matched, targets, outputs["bbox_regression"], strict=True):
            positive = torch.where(row >= 0)[0]
            true_offsets = self.box_coder.encode_single(target["boxes"][row[positive]], anchors[positive])
            box_losses.append(functional.smooth_l1_loss(offsets[positive], true_offsets, reduction="sum"))
        box_loss = torch.stack(box_losses).sum()
        return {"class": LossPart.of(class_loss.sum(), positives), "box": LossPart.of(box_loss, positives)}

    def scores(self, outputs: Outputs) -> torch.Tensor:
        """Return the scores (B, A, K) without the background."""
        return outputs["cls_logits"].softmax(dim=2)[..., 1:]
