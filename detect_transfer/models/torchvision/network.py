"""The parts that all networks of the torchvision family share: body, neck and heads."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from detect_transfer.core.arrays import FloatArray
from detect_transfer.models.torchvision.anchors import Anchors, AnchorShapes, fit_anchors, make_generator


class ScoredBoxes(NamedTuple):
    """The boxes of one image, (R, 1, 4) or one a class (R, K, 4), in network pixels, and their scores (R, K)."""

    boxes: torch.Tensor
    scores: torch.Tensor


class Network(nn.Module):
    """A backbone with a feature pyramid under torchvision's names; each architecture adds its heads.

    In training it is called with targets and gives loss parts; without targets it gives `ScoredBoxes` an image.

    Args:
        backbone: With `body` and `fpn`.
    """

    has_background = False  # the first row of the class layers
    any_size = True  # a graph that was traced holds for images of other sizes

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone: Any = backbone
        self.class_weights: torch.Tensor | None = None
        self.body_stride = 0  # by how much the first map of the body is smaller than the image; set by its builder
        self.level_strides: tuple[int, ...] = ()  # likewise of each map of the neck

    def forward(self, images: torch.Tensor, targets: Any = None) -> Any:
        """Run the whole network on (B, 3, H, W)."""
        return self.heads(self.neck(self.body(images)), (images.shape[2], images.shape[3]), targets)

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
