"""Anchors of the torchvision family: made once for each input size, and fitted to the boxes of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torchvision
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

from detect_transfer.core.arrays import FloatArray
from detect_transfer.core.errors import InputError

_MOST_CACHED = 16  # input sizes
_SIZES_IN_STRIDES = (2.0, 16.0)  # what a level can stand for: smaller falls between its cells, larger is out of sight


@dataclass(frozen=True)
class AnchorShapes:
    """The anchors of each cell of each level.

    Args:
        sizes: For each level, the square roots of the areas in network pixels.
        aspect_ratios: For each level, height over width.
    """

    sizes: tuple[tuple[float, ...], ...]
    aspect_ratios: tuple[tuple[float, ...], ...]


class Anchors:
    """Gives the anchors of one image in single precision, whatever the network computes in.

    Args:
        generator: One of torchvision's.
    """

    def __init__(self, generator: Any) -> None:
        self._generator = generator
        self._cache: dict[Any, torch.Tensor] = {}

    def of(self, maps: Sequence[torch.Tensor], size_hw: tuple[int, int]) -> torch.Tensor:
        """Return the anchors (A, 4) of all levels in network pixels.

        Args:
            maps: The feature maps (B, C, h, w).
            size_hw: The input in pixels.
        """
        if torchvision._is_tracing():  # the numbers of a cache would be constants of the graph
            return self._make(maps, size_hw)
        key = (size_hw, tuple(tuple(each.shape[-2:]) for each in maps), str(maps[0].device))
        if key not in self._cache:
            if len(self._cache) >= _MOST_CACHED:
                self._cache.clear()
            self._cache[key] = self._make([each[:1, :0] for each in maps], size_hw)
        return self._cache[key]

    def _make(self, maps: Sequence[torch.Tensor], size_hw: tuple[int, int]) -> torch.Tensor:
        blank = ImageList(torch.empty(1, 0, *size_hw), [size_hw])
        # the generator takes the type of the maps, and bfloat16 has steps of 4 px from 512 on
        return torch.as_tensor(self._generator(blank, [each.float() for each in maps])[0])


def make_generator(shapes: AnchorShapes, stock: Any) -> AnchorGenerator:
    """Return torchvision's generator of these anchors, in the place of `stock`.

    Raises:
        InputError: The layers of the network are not made for as many.
    """
    chosen = AnchorGenerator(shapes.sizes, shapes.aspect_ratios)
    counts = chosen.num_anchors_per_location(), stock.num_anchors_per_location()
    if counts[0] != counts[1]:
        raise InputError(
            "ANCHORS_COUNT",
            f"{counts[0]} anchors for a cell of each level, the network is made for {counts[1]}",
            field="model.anchors",
            remedy="fit them to this architecture",
        )
    return chosen


def fit_anchors(stock: Any, strides: Sequence[int], sizes_wh: FloatArray) -> AnchorShapes:
    """Choose as many anchors as the stock ones, by quantiles of the boxes to be found.

    Levels share out the sizes from small to large; what a level cannot stand for is cut to what it can. Where all
    levels have the same sizes, each gets all of them.

    Args:
        stock: The generator so far; it says how many sizes and ratios each level has.
        strides: Of each level.
        sizes_wh: (N, 2) width and height of the training boxes in network pixels.

    Raises:
        InputError: The network has no anchors to fit, or there is no box.
    """
    if not isinstance(stock, AnchorGenerator) or stock.num_anchors_per_location()[0] == 1:
        raise InputError(
            "ANCHORS_FIXED",
            "FCOS and SSD have no anchors to fit",
            field="model.anchors",
            value="fit",
            remedy="give model.anchors=stock",
        )
    if not len(sizes_wh):
        raise InputError(
            "ANCHORS_NO_BOXES", "there is no training box to fit them to", field="model.anchors", remedy="give stock"
        )
    roots = np.sqrt(sizes_wh.prod(axis=1))
    ratios = tuple(_quantiles(sizes_wh[:, 1] / sizes_wh[:, 0], len(stock.aspect_ratios[0]), digits=3))
    if len(set(stock.sizes)) == 1:
        sizes = [tuple(_quantiles(roots, len(stock.sizes[0]), digits=1))] * len(stock.sizes)
    else:
        low, high = _SIZES_IN_STRIDES
        bases = _quantiles(roots, len(stock.sizes), digits=1)
        sizes = [
            tuple(round(min(max(base, low * stride), high * stride) * size / level[0], 1) for size in level)
            for base, stride, level in zip(bases, strides, stock.sizes, strict=True)
        ]
    return AnchorShapes(tuple(sizes), (ratios,) * len(stock.sizes))


def _quantiles(values: FloatArray, count: int, *, digits: int) -> list[float]:
    """Return the middles of `count` equal shares of the values, in order."""
    return [round(float(q), digits) for q in np.quantile(values, (np.arange(count) + 0.5) / count)]
