"""The values that `init` chooses for a data set, each with the reason that stands beside it in the config."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.input_size import InputSize
from detect_transfer.data.box_checks import SEEN_TINY_PX
from detect_transfer.data.split import is_positive
from detect_transfer.training.shapes import like_shapes

SIDES = (320, 480, 640, 960, 1280)  # pixels
_SMALL = 0.1  # of the objects may be smaller than the finest cell of the network
_STEPS_OF_AN_EPOCH = 8
_BATCHES = (16, 8, 4, 2, 1)
_BYTES_AT_640 = 0.45e9  # what an image takes in training YOLO11n, rounded up; larger networks take more
_SHARE_OF_MEMORY = 0.5
_LIKE_SHARE = 0.85  # of the pixels; above it, batches of like shape gain little
_SIDE_WORDS = {"left": "right", "right": "left", "links": "rechts", "rechts": "links"}


@dataclass(frozen=True)
class Choice:
    """A value of the config and why it is that."""

    value: Any
    reason: str


@dataclass(frozen=True)
class Shape:
    """What the sizes of images and objects are.

    Args:
        width: Median width of the images in pixels.
        height: Median height of the images in pixels.
        longest: Of the longest image, its longer side in pixels.
        small_share: The shorter side below which a tenth of the objects lie, as a share of the longer side of the
            image.
    """

    width: int
    height: int
    longest: int
    small_share: float

    @classmethod
    def of(cls, table: AnnotationTable) -> Shape:
        """Measure a table with the sizes of its images."""
        images = table.images.select("image_id", "width", "height").drop_nulls()
        longer = pl.max_horizontal("width", "height")
        side = pl.min_horizontal(pl.col("x2") - pl.col("x1"), pl.col("y2") - pl.col("y1")) / longer
        shares = table.boxes.filter(is_positive()).join(images, on="image_id").select(side.alias("share"))["share"]
        median = images.select(pl.col("width").median(), pl.col("height").median()).row(0)
        longest = images.select(longer.max()).item()
        small = shares.quantile(_SMALL, interpolation="nearest")
        return cls(int(median[0] or 0), int(median[1] or 0), int(longest or 0), float(small or 0.0))


def choose_imgsz(shape: Shape) -> Choice:
    """Choose the smallest side at which nine of ten objects are larger than the finest cell of the network."""
    large_enough = [side for side in SIDES if side * shape.small_share >= SEEN_TINY_PX]
    whole = next((side for side in SIDES if side >= shape.longest), SIDES[-1])  # more shows nothing new
    side = min(large_enough[0] if large_enough else SIDES[-1], whole)
    seen = side * shape.small_share
    images = f"images are {shape.width} x {shape.height} px (median)"
    if seen >= SEEN_TINY_PX:
        return Choice(side, f"nine of ten objects are {seen:.0f} px or more on their shorter side then; {images}")
    return Choice(side, f"one object in ten is below {seen:.0f} px even then: cut the images into tiles; {images}")


def choose_shapes(table: AnnotationTable, imgsz: InputSize) -> tuple[Choice | None, InputSize]:
    """Choose batches of like shape where they spare pixels; return also the largest size that images then have."""
    size = table.images.select("height", "width").drop_nulls()
    groups = like_shapes(size.to_numpy(), imgsz, batch=_BATCHES[0])
    share = groups.pixels / max(1, imgsz.area * size.height)
    if share > _LIKE_SHARE:
        return None, imgsz
    shown = ", ".join(f"{each.height} x {each.width}" for each in groups.sizes[:3])
    reason = f"images are padded by their shape (high x wide: {shown}): {share:.0%} of the pixels of squares"
    return Choice("like", reason), max(groups.sizes, key=lambda each: each.area)


def choose_batch(n_train: int, imgsz: int | InputSize, *, memory_bytes: float, network_factor: float = 1.0) -> Choice:
    """Choose the largest batch that memory holds and that leaves some steps in an epoch.

    Args:
        n_train: Training images.
        imgsz: What they are scaled into.
        memory_bytes: What is free.
        network_factor: How much more an image takes in this network than in YOLO11n.
    """
    image_bytes = _BYTES_AT_640 * network_factor * InputSize.of(imgsz).area / 640**2
    fitting = int(memory_bytes * _SHARE_OF_MEMORY / image_bytes)
    most = min(max(1, n_train // _STEPS_OF_AN_EPOCH), fitting)
    batch = next((size for size in _BATCHES if size <= most), 1)
    if fitting < _BATCHES[0] and fitting <= n_train // _STEPS_OF_AN_EPOCH:
        return Choice(batch, f"{memory_bytes / 1e9:.1f} GB are free, an image takes about {image_bytes / 1e9:.1f}")
    return Choice(batch, f"{-(-n_train // batch)} steps an epoch")


def mirrored_pairs(names: Sequence[str]) -> Mapping[str, str]:
    """Return the classes that have each other's name but for the word for the side."""
    pairs: dict[str, str] = {}
    for name in names:
        parts = re.split(r"(left|right|links|rechts)", name, flags=re.IGNORECASE)
        other = "".join(_SIDE_WORDS.get(part, part) for part in parts)
        if other != name and other in names and other not in pairs:
            pairs[name] = other
    return pairs


def class_counts(table: AnnotationTable) -> list[tuple[str, int]]:
    """Return the classes with how many objects they have, the most frequent first."""
    counts = dict(table.boxes.filter(is_positive()).group_by("category_id").len().rows())
    names = table.categories.select("category_id", "name").rows()
    return sorted(((name, counts.get(i, 0)) for i, name in names), key=lambda entry: (-entry[1], entry[0]))
