"""The architectures of the torchvision family: how each is built, and which stage each of its tensors belongs to."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torchvision.models import detection

from detect_transfer.config import Stage
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.models.torchvision.backbones import PYRAMID_STRIDES, build_pyramid, stages_of, walk
from detect_transfer.models.torchvision.depthwise import keep_slow_ones_single
from detect_transfer.models.torchvision.faster_rcnn import FasterRCNN, Options
from detect_transfer.models.torchvision.network import Network
from detect_transfer.models.torchvision.one_stage import FCOS, SSD, RetinaNet

CHOSEN_BACKBONE = "fasterrcnn"  # the architecture whose backbone is chosen
_ANCHOR_IN_STRIDES = 8  # stock: 32 pixels at stride 4
_SIDE = 512  # pixels of the blank image that is sent through

ARCHITECTURES: dict[str, type[Network]] = {
    CHOSEN_BACKBONE: FasterRCNN,
    "fasterrcnn_resnet50_fpn": FasterRCNN,
    "fasterrcnn_resnet50_fpn_v2": FasterRCNN,
    "fasterrcnn_mobilenet_v3_large_fpn": FasterRCNN,
    "fasterrcnn_mobilenet_v3_large_320_fpn": FasterRCNN,
    "retinanet_resnet50_fpn": RetinaNet,
    "retinanet_resnet50_fpn_v2": RetinaNet,
    "fcos_resnet50_fpn": FCOS,
    "ssdlite320_mobilenet_v3_large": SSD,
}


class _CarefulNorm(nn.BatchNorm2d):
    """Batch norm of SSDlite, whose last maps have one cell: a batch of one image is no statistic, and moves none."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=0.001, momentum=0.03)  # as torchvision builds it

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Use the running statistics where there is one value a channel."""
        if self.training and x.numel() == x.shape[1]:
            return functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


@dataclass(frozen=True)
class Built:
    """A network and what goes with it.

    Args:
        network: Untrained.
        mean: (3,) of the images that it takes, in [0, 1].
        std: (3,) likewise.
        stages: Stage by the beginning of the name of a tensor, longest first.
        nms_iou: At which torchvision suppresses doubles of this architecture.
    """

    network: Network
    mean: tuple[float, ...]
    std: tuple[float, ...]
    stages: Mapping[str, Stage]
    nms_iou: float


def build(arch: str, n_classes: int, options: Options) -> Built:
    """Build an untrained network, from torch's random state.

    Args:
        arch: A name of `ARCHITECTURES`.
        n_classes: Without the background.
        options: What is chosen about it.

    Raises:
        InputError: There is no such architecture or backbone, or the options are not for it.
    """
    stock = _stock(arch, n_classes, options)
    kind = ARCHITECTURES[arch]
    network = kind(stock, options) if issubclass(kind, FasterRCNN) else kind(stock)
    keep_slow_ones_single(network)
    body = "body" if hasattr(network.backbone, "body") else "features"
    layers = walk(getattr(network.backbone, body))
    stages: dict[str, Stage] = {**stages_of(layers, f"backbone.{body}."), "backbone.": "neck", "rpn.": "rpn"}
    longest_first = dict(sorted(stages.items(), key=lambda item: -len(item[0])))
    network.body_stride, network.level_strides = _strides(network)
    if options.anchors is not None:
        network.set_anchors(options.anchors)
    nms_iou = getattr(stock, "roi_heads", stock).nms_thresh
    mean, std = (tuple(each) for each in (stock.transform.image_mean, stock.transform.image_std))
    return Built(network, mean, std, longest_first, nms_iou)


def _stock(arch: str, n_classes: int, options: Options) -> Any:
    """Build torchvision's own network, without any weights; its batch norm can run or be frozen, as the plan says."""
    if arch not in ARCHITECTURES:
        raise InputError(
            "ARCH_UNKNOWN",
            "there is no such torchvision architecture",
            field="model.arch",
            value=arch,
            remedy=did_you_mean(arch, list(ARCHITECTURES)),
        )
    rows = n_classes + ARCHITECTURES[arch].has_background
    if (arch == CHOSEN_BACKBONE) != (options.backbone is not None):
        raise InputError(
            "BACKBONE_CHOICE",
            f"a backbone goes with model.arch={CHOSEN_BACKBONE}, and with no other",
            field="model.backbone",
            value=options.backbone,
            remedy=f"give model.arch={CHOSEN_BACKBONE} with model.backbone=resnet18 or another, or neither",
        )
    if options.backbone is None:
        builder = getattr(detection, arch)
        norm = {"norm_layer": _CarefulNorm} if ARCHITECTURES[arch] is SSD else {}
        return builder(weights=None, weights_backbone=None, num_classes=rows, **norm)
    pyramid = build_pyramid(options.backbone)
    strides = [*PYRAMID_STRIDES, 2 * PYRAMID_STRIDES[-1]]
    sizes = tuple((_ANCHOR_IN_STRIDES * stride,) for stride in strides)
    generator = detection.anchor_utils.AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))
    return detection.FasterRCNN(pyramid, rows, rpn_anchor_generator=generator)


@torch.no_grad()
def _strides(network: Network) -> tuple[int, tuple[int, ...]]:
    """Return by how much the first map of the body, and each map of the neck, is smaller than the image."""
    on_meta = copy.deepcopy(network).to("meta").eval()
    maps = on_meta.body(torch.empty(1, 3, _SIDE, _SIDE, device="meta"))
    return _SIDE // int(maps[0].shape[2]), tuple(_SIDE // int(each.shape[2]) for each in on_meta.neck(maps))
