"""The regions of one annotation of Label Studio.

Values are percent of the image, which is not turned: `image_rotation` only tells how it was shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing.json_nodes import Node
from detect_transfer.formats.parsing.shape_table import RECTANGLE, Shape, TableBuilder
from detect_transfer.formats.parsing.shapes import Corners, ellipse_extent, extent, turned_extent

_GEOMETRY = {
    *("x", "y", "width", "height", "rotation", "radiusX", "radiusY", "points", "closed", "format", "rle"),
    *("original_width", "original_height", "image_rotation", "id", "vertices"),
}
_PLACES = {"x", "points", "rle", "vertices"}


def add_items(image: str, items: Sequence[tuple[Node, Node, str]], drawing: TableBuilder) -> None:
    """Add the shapes of an annotation to an image.

    Args:
        image: The name of the image.
        items: An item each: the object that tells the size of the image, the value, and the id of its region; items
            of one region (its box, its class, what is said of it) share the id.
        drawing: Where they go.
    """
    regions: dict[str, list[tuple[Node, Node]]] = {}
    for about, value, region in items:
        regions.setdefault(region, []).append((about, value))
    for parts in regions.values():
        place = next(((about, value) for about, value in parts if _has_place(value)), None)
        if place is not None:
            _add_region(image, place, [value for _, value in parts], drawing)


def said_of_image(items: Sequence[tuple[Node, Node, str]]) -> list[dict[str, Any]]:
    """Return what is said of the image as a whole."""
    return [value.value for _, value, _ in items if value.value and not _has_place(value)]


def _has_place(value: Node) -> bool:
    return not _PLACES.isdisjoint(value.value)


def _add_region(image: str, place: tuple[Node, Node], values: Sequence[Node], drawing: TableBuilder) -> None:
    about, value = place
    try:
        labels = [label for one in values for label in _labels(one)]
        if not labels:
            raise value.error(None, "OBJECT_NAME", "the region has no label", "label or remove it")
    except InputError as error:
        drawing.problems.put(error, row_of=image)
        return
    for label in labels:
        if "x" in value.value or "points" in value.value or not drawing.leaves_out(value.source, "brush"):
            drawing.take(image, _shape, label, about, value, values)


def _shape(label: str, about: Node, value: Node, values: Sequence[Node]) -> Shape:
    """Return the shape of a region: its place is `value`, what else is said of it in `values`."""
    size = about.number("original_width"), about.number("original_height")
    kind, xyxy, drawn = _outline(value, size)
    attributes = {
        key: held for one in values for key, held in one.value.items() if key not in _GEOMETRY and not _is_label(key)
    }
    if turned := about.value.get("image_rotation"):
        attributes["image_rotation"] = turned
    return Shape(label, xyxy, value.source, kind, drawn, attributes)


def _is_label(key: str) -> bool:
    return key.endswith("labels")


def _labels(value: Node) -> list[str]:
    """Return the labels in a value: those of `rectanglelabels`, `labels` and the like."""
    return [label for key in value.value if _is_label(key) for label in value.words(key)]


def _outline(value: Node, size: tuple[float, float]) -> tuple[str, Corners, dict[str, Any]]:
    """Return what a shape is, the box `xyxy` in pixels around it, and what the box does not tell."""
    width, height = size[0] / 100, size[1] / 100  # pixels of one percent
    if "points" in value.value:
        points = [(x * width, y * height) for x, y in value.pairs("points")]
        return "polygon", extent(points), {"points": points}
    if "x" not in value.value:
        what = "masks of the brush and vectors are not read"
        raise value.error(None, "SHAPE_KIND", what, "export polygons, or read with other_shapes=skip to go without")
    x, y, turned = value.number("x") * width, value.number("y") * height, value.number("rotation", 0.0)
    if "radiusX" in value.value:
        radii = value.number("radiusX") * width, value.number("radiusY") * height
        drawn = {"centre": (x, y), "radii": radii, "rotation": turned}
        return "ellipse", ellipse_extent((x, y), radii, turned), drawn
    if "height" not in value.value:
        return "keypoint", (x, y, x, y), {}
    x2 = (value.number("x") + value.number("width")) * width
    y2 = (value.number("y") + value.number("height")) * height
    if x2 < x or y2 < y:
        raise value.error("width", "BOX_INVALID", "width and height must not be negative", "fix it or remove it")
    if turned == 0:
        return RECTANGLE, (x, y, x2, y2), {}
    around = turned_extent((x, y, x2, y2), turned, about="corner")
    return "turned rectangle", around, {"box": (x, y, x2, y2), "rotation": turned}
