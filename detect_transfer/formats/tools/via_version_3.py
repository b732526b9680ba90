"""Projects of version 3 of the VGG Image Annotator, as regions of version 2."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from detect_transfer.formats.parsing.json_nodes import Node
from detect_transfer.formats.parsing.shapes import extent

# what the first number of `xy` says the others are, in the words of version 2
_SHAPES: dict[int, tuple[str, tuple[str, ...]]] = {
    1: ("point", ("cx", "cy")),
    2: ("rect", ("x", "y", "width", "height")),
    3: ("circle", ("cx", "cy", "r")),
    4: ("ellipse", ("cx", "cy", "rx", "ry")),
}
_OF_POINTS = {5: "polyline", 6: "polyline", 7: "polygon"}
_EXTREME_RECTANGLE, _EXTREME_CIRCLE = 8, 9  # four points on its edges, three on the circle
_CHECKBOX = 2
_IMAGE = 2


def regions_of_images(document: Node) -> list[tuple[str, Node, list[tuple[Node, Node]]]]:
    """Return the images of a project: address, where it stands, and what is drawn and said of each region.

    Raises:
        InputError: Something is missing or of another kind, or a file is no image.
    """
    files, attributes = document.entries("file"), document.entries("attribute") if "attribute" in document else {}
    view_of = {key: view.words("fid_list") for key, view in document.entries("view").items()}
    regions: dict[str, list[tuple[Node, Node]]] = {fid: [] for fids in view_of.values() for fid in fids}
    for node in document.entries("metadata").values():
        fids = view_of.get(node.string("vid"), [])
        if len(fids) != 1 or fids[0] not in files:
            raise node.error("vid", "JSON_VALUE", "it is the view of no single file of the project")
        if node.value.get("xy"):  # else it is a stretch of time, or said of the whole image
            regions[fids[0]].append((_shape(node), _said(node, attributes)))
    images = []
    for fid, of_file in regions.items():
        if fid not in files:
            raise document.error("view", "JSON_VALUE", f"there is no file {fid} in the project")
        file = files[fid]
        if file.whole("type", _IMAGE) != _IMAGE:
            raise file.error("type", "VIA_VIDEO", "it is no image, and videos of VIA are not read", "export its frames")
        images.append((file.string("fname"), file, of_file))
    return images


def _shape(node: Node) -> Node:
    """Return what is drawn, in the words of version 2."""
    values = node.value["xy"]
    kind, *numbers = node.numbers("xy", len(values) if isinstance(values, list) else 1)
    shape: dict[str, Any]
    if kind in _OF_POINTS and numbers and len(numbers) % 2 == 0:
        shape = {"name": _OF_POINTS[int(kind)], "all_points_x": numbers[::2], "all_points_y": numbers[1::2]}
    elif kind in _SHAPES and len(numbers) == len(_SHAPES[int(kind)][1]):
        name, keys = _SHAPES[int(kind)]
        shape = {"name": name, **dict(zip(keys, numbers, strict=True))}
    elif kind == _EXTREME_RECTANGLE and len(numbers) == 8:
        x1, y1, x2, y2 = extent(list(zip(numbers[::2], numbers[1::2], strict=True)))
        shape = {"name": "rect", "x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1}
    elif kind == _EXTREME_CIRCLE and (circle := _circle_through(numbers)) is not None:
        shape = {"name": "circle", **circle}
    else:
        raise node.error("xy", "SHAPE_KIND", "expected the number of a shape and then its coordinates")
    return node.below("xy", shape)


def _circle_through(numbers: Sequence[float]) -> dict[str, float] | None:
    """Return the circle through three points; None where they are not three, or lie on a line."""
    if len(numbers) != 6:
        return None
    x1, y1, x2, y2, x3, y3 = numbers
    bx, by, cx, cy = x2 - x1, y2 - y1, x3 - x1, y3 - y1
    twice = 2 * (bx * cy - by * cx)
    if twice == 0:
        return None
    b, c = bx * bx + by * by, cx * cx + cy * cy
    x, y = (cy * b - by * c) / twice, (bx * c - cx * b) / twice
    return {"cx": x1 + x, "cy": y1 + y, "r": math.hypot(x, y)}


def _said(node: Node, attributes: dict[str, Node]) -> Node:
    """Return what is said of a region: the words of chosen options, by the names of the attributes."""
    said: dict[str, Any] = {}
    for key, value in (node.child("av").value if "av" in node else {}).items():
        about = attributes.get(key)
        if about is None:
            raise node.error("av", "JSON_VALUE", f"the project has no attribute {key}")
        options = about.child("options").value if "options" in about else {}
        name = about.string("aname")
        if about.whole("type", 0) == _CHECKBOX:
            said[name] = {_word(options, each): True for each in _chosen(value)}
        else:
            said[name] = _word(options, value)
    return node.below("av", said)


def _chosen(value: Any) -> Sequence[str]:
    return [word.strip() for word in str(value).split(",") if word.strip()]


def _word(options: dict[str, Any], value: Any) -> str:
    """Return the word of an option; a free text stands for itself."""
    word = options.get(str(value))
    return str(value if word is None else word)
