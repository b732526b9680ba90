"""The regions of one annotation of Label Studio.

Values are percent of the image, which is not turned: `image_rotation` only states how it was shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from detect_transfer.formats.parsing.json_nodes import Node
from detect_transfer.formats.parsing.own_columns import FLAGS, take_columns
from detect_transfer.formats.parsing.shapes import RECTANGLE, Corners, Shape, ellipse_extent, extent, turned_extent
from detect_transfer.formats.parsing.source import Source

OUTLINES = {"x", "points", "rle", "vertices"}
_GEOMETRY = OUTLINES | {"y", "width", "height", "rotation", "radiusX", "radiusY", "closed", "format"}
_FLAGS = "flags"
_OF_TOOL = {"original_width", "original_height", "image_rotation", "id"}


class Item(NamedTuple):
    """A part of a region (its box, its class, what is said of it): what states the size of the image, and the value.

    The parts of one region share an id.
    """

    about: Node
    value: Node
    region: str

    @property
    def is_outline(self) -> bool:
        """Whether it states where the region lies."""
        return any(key in self.value for key in OUTLINES)

    @property
    def lacks_outline(self) -> bool:
        """Whether it is of a shape and does not state where that lies."""
        kind = str(self.about.value.get("type", ""))
        is_shape = kind.endswith("labels") and kind != "labels"
        return not self.is_outline and (is_shape or not _GEOMETRY.isdisjoint(self.value.value))


def add_regions(source: Source, image: str, items: Sequence[Item], real_size: tuple[int, int] | None) -> None:
    """Add the shapes of an annotation; `real_size` is that of the image, where it is there."""
    regions: dict[str, list[Item]] = {}
    for item in items:
        regions.setdefault(item.region, []).append(item)
    for parts in regions.values():
        outline = next((part for part in parts if part.is_outline), None)
        if outline is None:
            damaged = next((part for part in parts if part.lacks_outline), None)
            if damaged is not None:
                with source.errors.row(image):
                    key = "points" if damaged.about.value.get("type") == "polygonlabels" else "x"
                    raise damaged.value.error(key, "JSON_KEY", "this key is needed")
            continue
        labels: list[str] = []
        with source.errors.row(image):
            labels = [label for part in parts for label in labels_of(part.value)]
            if not labels:
                raise outline.value.error(None, "OBJECT_NAME", "the region has no label", "label or remove it")
        for label in labels:
            with source.errors.row(image):
                is_mask = "x" not in outline.value and "points" not in outline.value
                if not (is_mask and source.leaves_out(outline.value.source, "brush")):
                    source.add_shape(image, _shape(label, outline, parts, real_size))


def tags_of_image(items: Sequence[Item]) -> list[dict[str, Any]]:
    """Return what is said of the image as a whole."""
    return [item.value.value for item in items if item.value.value and not item.is_outline]


def _shape(label: str, outline: Item, parts: Sequence[Item], real_size: tuple[int, int] | None) -> Shape:
    about, value, _ = outline
    if real_size is None or "original_width" in about or "original_height" in about:
        size = about.number("original_width"), about.number("original_height")
    else:
        size = real_size  # results that a program uploaded need not state it
    kind, xyxy, drawn = _outline(value, size)
    said = [(key, what) for part in parts for key, what in part.value.value.items()]
    attributes = {key: what for key, what in said if key not in _GEOMETRY | _OF_TOOL and not _is_label(key)}
    flags = [
        word for part in parts if part.about.value.get("from_name") == _FLAGS for word in part.value.words("choices")
    ]
    if flags and set(flags) <= set(FLAGS):  # those of our writer
        del attributes["choices"]
        columns = take_columns(dict.fromkeys(flags, True))
    else:
        columns = {}
    if rotation := about.value.get("image_rotation"):
        attributes["image_rotation"] = rotation
    return Shape(label, xyxy, value.source, kind, drawn, attributes, columns)


def _is_label(key: str) -> bool:
    return key.endswith("labels")


def labels_of(value: Node) -> list[str]:
    """Return the labels in a value: those of `rectanglelabels`, `labels` and the like."""
    return [label for key in value.value if _is_label(key) for label in value.words(key)]


def _outline(value: Node, size: tuple[float, float]) -> tuple[str, Corners, dict[str, Any]]:
    """Return what a shape is, the box `xyxy` in pixels around it, and what the box does not tell."""
    width, height = size[0] / 100, size[1] / 100  # pixels of one percent
    if "points" in value:
        points = [(x * width, y * height) for x, y in value.pairs("points")]
        return "polygon", extent(points), {"points": points}
    if "x" not in value:
        what = "masks of the brush and vectors are not read"
        raise value.error(None, "SHAPE_KIND", what, "export polygons, or read with other_shapes=skip to go without")
    x, y, rotation = value.number("x") * width, value.number("y") * height, value.number("rotation", 0.0)
    if "radiusX" in value:
        radii = value.number("radiusX") * width, value.number("radiusY") * height
        drawn = {"centre": (x, y), "radii": radii, "rotation": rotation}
        return "ellipse", ellipse_extent((x, y), radii, rotation), drawn
    if "height" not in value:
        return "keypoint", (x, y, x, y), {}
    x2 = (value.number("x") + value.number("width")) * width
    y2 = (value.number("y") + value.number("height")) * height
    if x2 < x or y2 < y:
        raise value.error("width", "BOX_INVALID", "width and height must not be negative", "fix it or remove it")
    if rotation == 0:
        return RECTANGLE, (x, y, x2, y2), {}
    around = turned_extent((x, y, x2, y2), rotation, about="corner")
    return "turned rectangle", around, {"box": (x, y, x2, y2), "rotation": rotation}
