"""A YOLO network in two: the layers whose stages are frozen, and the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from detect_transfer.config import Stage
from detect_transfer.models.base import SplitNetwork, Target


class _Tail(nn.Module):
    """The layers behind the split; takes the outputs of earlier layers that they need."""

    def __init__(self, layers: Sequence[nn.Module], needed: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self._needed = tuple(needed)

    def forward(self, features: Sequence[torch.Tensor], targets: Sequence[Target] | None = None) -> Any:
        """Run the layers; targets are for families whose loss is inside the network."""
        return _run(self.layers, dict(zip(self._needed, features, strict=True)))


def split_network(module: Any, stage_of_layer: Mapping[int, Stage], frozen: frozenset[Stage]) -> SplitNetwork | None:
    """Split behind the last layer before which all are frozen; None unless that is behind the backbone."""
    layers = list(module.model)
    first = next((i for i, _ in enumerate(layers) if stage_of_layer[i] not in frozen), len(layers))
    if first < len(module.yaml["backbone"]) or first == len(layers):
        return None
    needed = sorted({index for layer in layers[first:] for index in _inputs(layer) if index < first})

    def trunk(images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs: dict[int, torch.Tensor] = {-1: images}
        _run(layers[:first], outputs)
        return tuple(outputs[index] for index in needed)

    return SplitNetwork(trunk, _Tail(layers[first:], needed))


def _inputs(layer: Any) -> list[int]:
    """Return the indices of the layers whose outputs a layer takes."""
    sources = layer.f if isinstance(layer.f, list) else [layer.f]
    return [layer.i - 1 if index == -1 else index for index in sources]


def _run(layers: Any, outputs: dict[int, Any]) -> Any:
    """Run layers in order on the outputs of earlier ones, to which theirs are added; return the last."""
    last: Any = None
    for layer in layers:
        inputs = [outputs[index] for index in _inputs(layer)]
        last = outputs[layer.i] = layer(inputs if isinstance(layer.f, list) else inputs[0])
    return last
