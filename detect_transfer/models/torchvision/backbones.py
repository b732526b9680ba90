"""Backbones of the torchvision family: any classification network of torchvision that is a chain of layers.

A network is walked through once without numbers, on torch's meta device, to learn by how much each layer is smaller
than the image. That gives the stage of each layer and the places where the feature pyramid takes its maps.
"""

from __future__ import annotations

import copy
import functools
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torchvision
from torch import nn
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool

from detect_transfer.config import Stage
from detect_transfer.core.errors import InputError, did_you_mean

PYRAMID_STRIDES = (4, 8, 16, 32)
PYRAMID_CHANNELS = 256
_SIDE = 256  # pixels of the blank image that is sent through
_STAGES: dict[int, Stage] = {1: "stem", 2: "stem", 4: "stage1", 8: "stage2", 16: "stage3", 32: "stage4"}
_TRUNKS = ("features", "layers")  # where a classification network keeps its layers, if not as its own children


@dataclass(frozen=True)
class Layer:
    """A layer of a chain.

    Args:
        path: Its name in the chain, with dots.
        stride: By how much its output is smaller than the image.
        channels: Of its output.
    """

    path: str
    stride: int
    channels: int


class Body(nn.Module):
    """A chain of layers under the names of its trunk, which gives the last map of each stride.

    Args:
        trunk: Its children are taken over.
        layers: The layers to run, in order.
        returned: The paths of the layers whose output is given.
    """

    def __init__(self, trunk: nn.Module, layers: Sequence[Layer], returned: Sequence[str]) -> None:
        super().__init__()
        used = {layer.path.partition(".")[0] for layer in layers}
        for name, child in trunk.named_children():
            if name in used:
                self.add_module(name, child)
        self._paths = tuple(layer.path for layer in layers)
        self._returned = tuple(returned)

    def forward(self, images: torch.Tensor) -> OrderedDict[str, torch.Tensor]:
        """Return the maps, finest first, named by their number."""
        maps = []
        x = images
        for path in self._paths:
            x = self.get_submodule(path)(x)
            if path in self._returned:
                maps.append(x)
        return OrderedDict((str(i), each) for i, each in enumerate(maps))


class Pyramid(nn.Module):
    """A body and the feature pyramid on its maps, under the names of torchvision's `BackboneWithFPN`."""

    def __init__(self, body: Body, channels: Sequence[int]) -> None:
        super().__init__()
        self.body = body
        self.fpn = FeaturePyramidNetwork(list(channels), PYRAMID_CHANNELS, extra_blocks=LastLevelMaxPool())
        self.out_channels = PYRAMID_CHANNELS


def build_pyramid(backbone: str) -> Pyramid:
    """Build an untrained feature pyramid on a classification network, from torch's random state.

    Args:
        backbone: A name such as `resnet18`, `mobilenet_v2` or `convnext_tiny`.

    Raises:
        InputError: There is no such network, or it is no chain of layers that halves the image five times.
    """
    if backbone not in known_backbones():
        raise InputError(
            "BACKBONE_UNKNOWN",
            "torchvision has no such classification network",
            field="model.backbone",
            value=backbone,
            remedy=did_you_mean(backbone, list(known_backbones())),
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two old networks announce another way of drawing first weights
        whole = torchvision.models.get_model(backbone, weights=None)
    trunk = next((getattr(whole, name) for name in _TRUNKS if isinstance(getattr(whole, name, None), nn.Module)), whole)
    layers = walk(trunk)
    last = {layer.stride: layer for layer in layers}
    if not set(PYRAMID_STRIDES) <= last.keys():
        raise InputError(
            "BACKBONE_PLAIN",
            f"it is no chain of layers with maps at strides {', '.join(map(str, PYRAMID_STRIDES))}",
            field="model.backbone",
            value=backbone,
            remedy="give one such as resnet18, mobilenet_v3_large, efficientnet_b0, convnext_tiny or regnet_y_400mf",
        )
    chosen = [last[stride] for stride in PYRAMID_STRIDES]
    body = Body(trunk, layers[: layers.index(chosen[-1]) + 1], [layer.path for layer in chosen])
    return Pyramid(body, [layer.channels for layer in chosen])


@functools.cache
def known_backbones() -> tuple[str, ...]:
    """Return the names of torchvision's classification networks."""
    return tuple(torchvision.models.list_models(module=torchvision.models))


def walk(chain: nn.Module) -> list[Layer]:
    """Return the layers of a chain in order, as far as they halve the image up to five times.

    A plain container that shrinks its input more than once is opened.
    """
    on_meta = copy.deepcopy(chain).to("meta").eval()
    layers: list[Layer] = []
    image = torch.empty(1, 3, _SIDE, _SIDE, device="meta")
    try:
        with torch.no_grad():
            for path, x in _run(on_meta, image, ""):
                if not isinstance(x, torch.Tensor) or x.ndim != 4 or x.shape[2] != x.shape[3]:
                    break
                stride, odd = divmod(_SIDE, x.shape[2])
                if odd or stride not in _STAGES:
                    break
                layers.append(Layer(path, stride, x.shape[1]))
    except (RuntimeError, NotImplementedError, TypeError, ValueError, AssertionError):
        pass  # the chain ends where a layer does not take what the one before gives; the layers so far are judged
    return layers


def _run(module: nn.Module, x: torch.Tensor, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, child in module.named_children():
        y = child(x)
        if type(child) is nn.Sequential and isinstance(y, torch.Tensor) and x.shape[-1] > 2 * y.shape[-1]:
            yield from _run(child, x, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", y
        x = y


def stages_of(layers: Sequence[Layer], prefix: str) -> Mapping[str, Stage]:
    """Return the stage of each layer under its name with `prefix`; the first one is always the stem."""
    return {f"{prefix}{layer.path}.": _STAGES[layer.stride] if i else "stem" for i, layer in enumerate(layers)}
