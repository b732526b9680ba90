"""Which training images share batches: those of like shape, which are then padded no further than they need."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from detect_transfer.core.arrays import IntArray
from detect_transfer.core.input_size import InputSize
from detect_transfer.models.letterbox import PAD_MULTIPLE, fit_of

LEAST_BATCHES = 4  # of a group of images: its last batches are smaller, and a group of few is much padded or much alike


@dataclass(frozen=True)
class ShapeGroups:
    """Groups of images; a batch has images of one group.

    Attributes:
        sizes: What the images of each group are fitted and padded to.
        of_image: (N,) the group of each image.
    """

    sizes: tuple[InputSize, ...]
    of_image: IntArray

    @classmethod
    def one(cls, count: int, size: InputSize) -> ShapeGroups:
        """Return so many images as one group."""
        return cls((size,), np.zeros(count, dtype=np.int64))

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self.sizes)

    def members(self, group: int) -> IntArray:
        """Return the indices of the images of a group in order."""
        return np.flatnonzero(self.of_image == group)

    def size_of(self, index: int) -> InputSize:
        """Return what an image is padded to."""
        return self.sizes[int(self.of_image[index])]

    @property
    def pixels(self) -> int:
        """The pixels of all images, padded."""
        return int(sum(size.area * len(self.members(group)) for group, size in enumerate(self.sizes)))


def like_shapes(sizes_hw: IntArray, imgsz: InputSize, *, batch: int) -> ShapeGroups:
    """Return groups of images of like shape, each large enough for some batches, with little padding in all.

    Shapes start apart; the group of fewest images joins the one with which the fewest pixels are added, until all
    groups are large enough. An image is scaled alike in every group.

    Args:
        sizes_hw: (N, 2) height and width of the images as they are.
        imgsz: What they are scaled into.
        batch: Images in a batch of all devices.
    """
    fitted = [InputSize(*fit_of(int(h), int(w), imgsz, multiple=PAD_MULTIPLE)[1]) for h, w in sizes_hw]
    # by the shapes in it, what images of a group are padded to, and how many they are
    groups: dict[tuple[InputSize, ...], tuple[InputSize, int]] = {
        (size,): (size, count) for size, count in Counter(fitted).items()
    }
    while len(groups) > 1:
        smallest = min(groups, key=lambda shapes: (groups[shapes][1], shapes))
        size, count = groups[smallest]
        if count >= LEAST_BATCHES * batch:
            break
        del groups[smallest]

        def added(shapes: tuple[InputSize, ...], size: InputSize = size, count: int = count) -> int:
            other, others = groups[shapes]
            return _around(size, other).area * (count + others) - size.area * count - other.area * others

        nearest = min(groups, key=lambda shapes: (added(shapes), shapes))
        other, others = groups.pop(nearest)
        groups[tuple(sorted((*smallest, *nearest)))] = (_around(size, other), count + others)
    ordered = sorted(groups)
    group_of = {shape: number for number, shapes in enumerate(ordered) for shape in shapes}
    sizes = tuple(groups[shapes][0] for shapes in ordered)
    return ShapeGroups(sizes, np.array([group_of[shape] for shape in fitted], dtype=np.int64))


def _around(first: InputSize, second: InputSize) -> InputSize:
    """Return the least size that images of both sizes lie in."""
    return InputSize(max(first.height, second.height), max(first.width, second.width))
