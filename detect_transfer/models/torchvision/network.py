"""The shape that all networks of the torchvision family share: body, neck, heads; and the choice of what was found."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torchvision.ops import batched_nms

from detect_transfer.core.arrays import FloatArray
from detect_transfer.models.base import Prediction
from detect_transfer.models.torchvision.anchors import Anchors, AnchorShapes, fit_anchors, make_generator

_MOST_CANDIDATES = 5000
_SMALLEST_SIDE = 0.01  # network pixels; nothing is left of a smaller box


class Scored(NamedTuple):
    """The boxes of one image, (R, 1, 4) or one a class (R, K, 4), in network pixels, and their scores (R, K)."""

    boxes: torch.Tensor
    scores: torch.Tensor


class Network(nn.Module):
    """A backbone with a feature pyramid under torchvision's names; the heads are added by each kind.

    In training it is called with targets and gives loss parts; without targets it gives a `Scored` an image.

    Args:
        backbone: With `body` and `fpn`.
    """

    has_background = False  # the first row of the class layers

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone: Any = backbone
        self.class_weights: torch.Tensor | None = None
        self.body_stride = 0  # by how much the first map of the body is smaller than the image; its builder tells
        self.level_strides: tuple[int, ...] = ()  # likewise of each map of the neck

    def forward(self, images: torch.Tensor, targets: Any = None) -> Any:
        """Run the whole network on (B, 3, H, W)."""
        return self.heads(self.neck(self.body(images)), (int(images.shape[2]), int(images.shape[3])), targets)

    def body(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the maps of the backbone."""
        return tuple(self.backbone.body(images).values())

    def neck(self, maps: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Return the maps of the feature pyramid."""
        return tuple(self.backbone.fpn(OrderedDict((str(i), each) for i, each in enumerate(maps))).values())

    def heads(self, maps: Sequence[torch.Tensor], size_hw: tuple[int, int], targets: Any) -> Any:
        """Return the loss parts, or the scored boxes of each image."""
        raise NotImplementedError

    def fit_anchors(self, sizes_wh: FloatArray) -> AnchorShapes:
        """Choose anchors by the boxes (N, 2) to be found, in network pixels, and use them.

        Raises:
            InputError: There are no anchors to fit, or no boxes.
        """
        shapes = fit_anchors(self._anchor_owner().anchor_generator, self.level_strides, sizes_wh)
        self.set_anchors(shapes)
        return shapes

    def set_anchors(self, shapes: AnchorShapes) -> None:
        """Use other anchors, as many as there were.

        Raises:
            InputError: They are not as many.
        """
        owner = self._anchor_owner()
        owner.anchor_generator = make_generator(shapes, owner.anchor_generator)
        owner.anchors = Anchors(owner.anchor_generator)

    def _anchor_owner(self) -> Any:
        """Return the part with `anchor_generator` and `anchors`."""
        return self


class Rest(nn.Module):
    """A network behind its body, or behind its neck.

    Args:
        network: Shares its parameters.
        behind_neck: What is given are the maps of the neck.
        prepare: Turns targets into what the heads take; told the device.
    """

    def __init__(self, network: Network, *, behind_neck: bool, prepare: Callable[[Any, torch.device], Any]) -> None:
        super().__init__()
        self.network = network
        self._behind_neck = behind_neck
        self._prepare = prepare

    def forward(self, features: Sequence[torch.Tensor], targets: Any = None) -> Any:
        """Return what the whole network returns; inputs are multiples of the deepest stride, so maps tell the size."""
        height, width = (int(side) * self.network.body_stride for side in features[0].shape[2:])
        maps = tuple(features) if self._behind_neck else self.network.neck(features)
        return self.network.heads(maps, (height, width), self._prepare(targets, features[0].device))


def pick(scored: Scored, *, score_floor: float, nms_iou: float, max_detections: int) -> Prediction:
    """Choose the detections of one image; one box may be found as several classes."""
    place, label = torch.nonzero(scored.scores > score_floor, as_tuple=True)
    score = scored.scores[place, label]
    top = score.argsort(descending=True, stable=True)[:_MOST_CANDIDATES]
    place, score, label = place[top], score[top], label[top]
    own = label if scored.boxes.shape[1] > 1 else torch.zeros_like(label)
    xyxy = scored.boxes[place, own]
    whole = torch.isfinite(xyxy).all(dim=1) & (xyxy[:, 2:] - xyxy[:, :2] >= _SMALLEST_SIDE).all(dim=1)
    xyxy, score, label = xyxy[whole], score[whole], label[whole]
    keep = batched_nms(xyxy, score, label, nms_iou)[:max_detections]
    xyxy, score, label = xyxy[keep], score[keep], label[keep]
    return Prediction(xyxy.double().cpu().numpy(), score.double().cpu().numpy(), label.cpu().numpy())
