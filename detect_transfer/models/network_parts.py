"""Networks that run in three parts, backbone, neck and heads, cut behind the first or the second of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import torch
from torch import nn

from detect_transfer.config import Stage
from detect_transfer.models.base import SplitNetwork

Maps = tuple[torch.Tensor, ...]
Prepare = Callable[[Any, tuple[int, int], torch.device], Any]
_BEHIND_BACKBONE: frozenset[Stage] = frozenset({"neck", "rpn", "head"})


class NetworkParts(Protocol):
    """A network in parts.

    Attributes:
        body_stride: By how much the first map of the backbone, and of the neck, is smaller than the input.
    """

    body_stride: int

    def body(self, images: torch.Tensor) -> Maps:
        """Return the maps of the backbone."""

    def neck(self, maps: Sequence[torch.Tensor]) -> Maps:
        """Return the maps that the heads look at."""

    def heads(self, maps: Sequence[torch.Tensor], size_hw: tuple[int, int], targets: Any) -> Any:
        """Return the loss parts, or what was detected; `size_hw` is that of the input in pixels."""


class NetworkTail(nn.Module):
    """A network behind its backbone, or behind its neck.

    Args:
        network: Shares its parameters.
        behind_neck: It takes the maps of the neck, not those of the backbone.
        prepare: Turns targets into what the heads take, for an input of a size in pixels on a device.
    """

    def __init__(self, network: NetworkParts, *, behind_neck: bool, prepare: Prepare) -> None:
        super().__init__()
        self.network = network
        self._behind_neck = behind_neck
        self._prepare = prepare

    def forward(self, features: Sequence[torch.Tensor], targets: Any = None) -> Any:
        """Return what the whole network returns; the size of the input follows from that of the maps."""
        height, width = (int(side) * self.network.body_stride for side in features[0].shape[2:])
        maps = tuple(features) if self._behind_neck else self.network.neck(features)
        return self.network.heads(maps, (height, width), self._prepare(targets, (height, width), features[0].device))


def split_parts(
    network: NetworkParts, stages: Iterable[Stage], frozen: frozenset[Stage], prepare: Prepare
) -> SplitNetwork | None:
    """Split a network behind its backbone, or behind its neck, where all before is frozen; None where it is not.

    Args:
        network: The network.
        stages: Those that it has.
        frozen: Those that do not train.
        prepare: As for `NetworkTail`.
    """
    if not set(stages) - _BEHIND_BACKBONE <= frozen:
        return None
    behind_neck = "neck" in frozen

    def trunk(images: torch.Tensor) -> Maps:
        maps = network.body(images)
        return network.neck(maps) if behind_neck else maps

    return SplitNetwork(trunk, NetworkTail(network, behind_neck=behind_neck, prepare=prepare))
