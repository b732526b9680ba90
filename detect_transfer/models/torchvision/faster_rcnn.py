"""Faster R-CNN, composed of torchvision's parts.

What differs from stock: images arrive fitted and normalised, so there is no resizing inside; boxes are decoded in
single precision whatever the network computes in; ignored regions carry no loss; boxes that are not finite never reach
a kernel; the head learns from fewer regions; and evaluation gives the raw boxes and scores, so that no floor or cap of
torchvision's comes before ours.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torchvision.models import detection
from torchvision.models.detection import roi_heads, rpn
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler
from torchvision.ops import clip_boxes_to_image

from detect_transfer.models.base import LossPart
from detect_transfer.models.torchvision.anchors import Anchors, AnchorShapes
from detect_transfer.models.torchvision.losses import TargetDict, cross_entropy, in_ignored, not_finite
from detect_transfer.models.torchvision.network import Network, ScoredBoxes

_LOW = -1e4  # the objectness of what is no proposal
_SMOOTH_L1_BETA = 1 / 9


@dataclass(frozen=True)
class Options:
    """What is chosen about an architecture of the family.

    Args:
        backbone: The classification network of `fasterrcnn`; None for all others.
        anchors: None keeps those of the architecture.
        sampled_regions: How many regions of an image the head of a Faster R-CNN learns from.
        training_proposals: From how many proposals of an image they are sampled; stock takes 2000 for 512.
        proposals: Of an image in evaluation; None is torchvision's number for the architecture.
    """

    backbone: str | None = None
    anchors: AnchorShapes | None = None
    sampled_regions: int = 64
    training_proposals: int = 256
    proposals: int | None = None


class RegionProposalNetwork(rpn.RegionProposalNetwork):  # type: ignore[misc] # torchvision has no types
    """The region proposal network; its head and its losses are torchvision's."""

    def __init__(self, stock: rpn.RegionProposalNetwork, *, training: int, testing: int | None) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(stock.__dict__)  # its parts are used as they are
        self._pre_nms_top_n = {"training": 2 * training, "testing": max(stock._pre_nms_top_n["testing"], testing or 0)}
        self._post_nms_top_n = {"training": training, "testing": testing or stock._post_nms_top_n["testing"]}
        self.anchors = Anchors(stock.anchor_generator)

    def forward(
        self, maps: Sequence[torch.Tensor], size_hw: tuple[int, int], targets: Sequence[TargetDict] | None
    ) -> tuple[list[torch.Tensor], dict[str, LossPart]]:
        """Return the proposals (P, 4) of each image and, where targets are given, the loss parts."""
        per_level, deltas_per_level = self.head(list(maps))
        counts = [each[0].numel() for each in per_level]
        objectness, deltas = rpn.concat_box_prediction_layers(per_level, deltas_per_level)
        objectness, deltas = objectness.float(), deltas.float()
        anchors = [self.anchors.of(maps, size_hw)] * len(maps[0])
        proposals = self.box_coder.decode(deltas.detach(), anchors).view(len(anchors), -1, 4)
        boxes, _ = self.filter_proposals(proposals, objectness, [size_hw] * len(anchors), counts)
        if targets is None:
            return boxes, {}
        labels, matched = self.assign_targets_to_anchors(anchors, targets)
        true_deltas = self.box_coder.encode(matched, anchors)
        losses = self.compute_loss(objectness, deltas, labels, true_deltas)
        sampled = self._sampled(labels)
        # where every anchor of the batch lies in an ignored region they are means of nothing
        object_loss, box_loss = (torch.where(sampled > 0, each, 0.0) * sampled for each in losses)
        return boxes, {
            "objectness": LossPart.of(object_loss + not_finite(objectness, deltas), sampled),
            "rpn_box": LossPart.of(box_loss, sampled),
        }

    def _sampled(self, labels: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return how many anchors the sampler takes of all images, as a number on their device."""
        size, most = self.fg_bg_sampler.batch_size_per_image, self.fg_bg_sampler.positive_fraction
        counts = []
        for each in labels:
            positives = (each >= 1).sum().clamp(max=int(size * most))
            counts.append(positives + torch.minimum((each == 0).sum(), size - positives))
        return torch.stack(counts).sum()

    def assign_targets_to_anchors(
        self, anchors: list[torch.Tensor], targets: Sequence[TargetDict]
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Label anchors 1, 0 or, between the thresholds and in ignored regions, -1."""
        labels, matched = super().assign_targets_to_anchors(anchors, targets)
        labels = [
            torch.where((each == 0) & in_ignored(boxes, target["ignored"]), -1.0, each)
            for each, boxes, target in zip(labels, anchors, targets, strict=True)
        ]
        return labels, matched

    def filter_proposals(
        self,
        proposals: torch.Tensor,
        objectness: torch.Tensor,
        image_shapes: list[tuple[int, int]],
        num_anchors_per_level: list[int],
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Leave out what is not finite; an image with no proposal left gives itself as one."""
        objectness = objectness.detach().reshape(len(proposals), -1)
        finite = torch.isfinite(proposals).all(dim=2) & torch.isfinite(objectness)
        proposals = torch.where(finite[..., None], proposals, 0.0)  # without area: left out with the small ones
        objectness = torch.where(finite, objectness, _LOW)
        boxes, scores = super().filter_proposals(proposals, objectness, image_shapes, num_anchors_per_level)
        for i, (height, width) in enumerate(image_shapes):
            if not len(boxes[i]):
                boxes[i] = proposals.new_tensor([[0.0, 0.0, width, height]])
                scores[i] = proposals.new_zeros(1)
        return boxes, scores


class RoIHeads(roi_heads.RoIHeads):  # type: ignore[misc]
    """The heads on the regions; pooling, layers, matching and sampling are torchvision's."""

    def __init__(self, stock: roi_heads.RoIHeads, sampled_regions: int) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(stock.__dict__)  # its parts are used as they are
        self.fg_bg_sampler = BalancedPositiveNegativeSampler(sampled_regions, stock.fg_bg_sampler.positive_fraction)

    def predict(
        self, maps: OrderedDict[str, torch.Tensor], proposals: list[torch.Tensor], size_hw: tuple[int, int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return class logits (R, K + 1) and box offsets (R, 4 * (K + 1)) of all regions."""
        pooled = self.box_roi_pool(maps, proposals, [size_hw] * len(proposals))
        logits, offsets = self.box_predictor(self.box_head(pooled))
        return logits.float(), offsets.float()

    def losses(
        self,
        maps: OrderedDict[str, torch.Tensor],
        proposals: list[torch.Tensor],
        size_hw: tuple[int, int],
        targets: Sequence[TargetDict],
        class_weights: torch.Tensor | None,
    ) -> dict[str, LossPart]:
        """Return the loss parts of a sample of the proposals."""
        regions, labels, true_offsets = self.sample(proposals, targets)
        if not len(labels):  # every proposal of the batch lies in an ignored region
            logits, offsets = self.predict(maps, [each[:1] for each in proposals], size_hw)
            return {"class": LossPart.of((logits * 0).sum(), 0), "box": LossPart.of((offsets * 0).sum(), 0)}
        logits, offsets = self.predict(maps, regions, size_hw)
        count = len(labels)
        positive = torch.where(labels > 0)[0]
        chosen = offsets.view(len(offsets), -1, 4)[positive, labels[positive]]
        box_loss = functional.smooth_l1_loss(chosen, true_offsets[positive], beta=_SMOOTH_L1_BETA, reduction="sum")
        class_loss = cross_entropy(logits, labels, class_weights).sum() + not_finite(logits, offsets)
        return {"class": LossPart.of(class_loss, count), "box": LossPart.of(box_loss, count)}

    def sample(
        self, proposals: list[torch.Tensor], targets: Sequence[TargetDict]
    ) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
        """Return regions (R_i, 4) of each image, and the labels (R,) and true offsets (R, 4) of all."""
        boxes = [target["boxes"] for target in targets]
        proposals = self.add_gt_proposals(proposals, boxes)
        matched, labels = self.assign_targets_to_proposals(proposals, boxes, [target["labels"] for target in targets])
        labels = [
            torch.where((each == 0) & in_ignored(regions, target["ignored"]), -1, each)
            for each, regions, target in zip(labels, proposals, targets, strict=True)
        ]
        chosen = self.subsample(labels)
        regions = [each[i] for each, i in zip(proposals, chosen, strict=True)]
        true_boxes = [
            own[match[i]] if len(own) else region
            for own, match, i, region in zip(boxes, matched, chosen, regions, strict=True)
        ]
        true_offsets = torch.cat(self.box_coder.encode(true_boxes, regions))
        return regions, torch.cat([each[i] for each, i in zip(labels, chosen, strict=True)]), true_offsets


class FasterRCNN(Network):
    """Faster R-CNN with a feature pyramid."""

    has_background = True

    def __init__(self, stock: detection.FasterRCNN, options: Options) -> None:
        super().__init__(stock.backbone)
        self.rpn = RegionProposalNetwork(stock.rpn, training=options.training_proposals, testing=options.proposals)
        self.roi_heads = RoIHeads(stock.roi_heads, options.sampled_regions)

    def _anchor_owner(self) -> Any:
        """Return the part with `anchor_generator` and `anchors`."""
        return self.rpn

    def heads(self, maps: Sequence[torch.Tensor], size_hw: tuple[int, int], targets: Any) -> Any:
        """Return the loss parts, or the scored boxes of each image."""
        proposals, losses = self.rpn(maps, size_hw, targets)
        pooled_from = OrderedDict((str(i), each) for i, each in enumerate(maps[:-1]))  # the last is for proposals alone
        if targets is not None:
            weights = self.class_weights
            return {**losses, **self.roi_heads.losses(pooled_from, proposals, size_hw, targets, weights)}
        logits, offsets = self.roi_heads.predict(pooled_from, proposals, size_hw)
        counts = [each.shape[0] for each in proposals]
        boxes = self.roi_heads.box_coder.decode(offsets, proposals)[:, 1:]  # (R, K, 4)
        boxes = clip_boxes_to_image(boxes, size_hw)
        scores = logits.softmax(dim=1)[:, 1:]
        return [
            ScoredBoxes(*each) for each in zip(torch.split(boxes, counts), torch.split(scores, counts), strict=True)
        ]
