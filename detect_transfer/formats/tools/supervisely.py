"""Supervisely JSON: `meta.json` and, in each data set, `ann/<image>.json` beside `img/`.

Coordinates are whole pixels counted from 0 and, as the tool counts, the last one belongs to the shape.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.core.images import MAX_PIXELS
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.box_format import PIXEL_CORNERS, Units
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.json_boxes import dump
from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.parsing.locations import split_named
from detect_transfer.formats.parsing.shapes import RECTANGLE, Corners, Point, Shape, extent, mask_extent
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.tools.shared import report_unannotated

_OUTLINES = ("rectangle", "polygon", "line", "point")
_KNOWN = {
    "id",
    "classId",
    "classTitle",
    "geometryType",
    "shape",
    "tags",
    "points",
    "bitmap",
    "nodes",
    "faces",
    "description",
    "labelerLogin",
    "createdAt",
    "updatedAt",
}


@no_collection()
def read(
    root: Path,
    *,
    inclusive_max: bool = True,
    other_shapes: str = "extent",
    units: Units | None = None,
    missing_images: str = "error",
    size_mismatch: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read a project of Supervisely; the classes are those of `meta.json` in its order.

    The split of an image is a tag of it named ``train``, ``val`` or ``test``, or else the name of its data set, if
    that is such a word. Tags of objects and further keys go to `attributes`, tags of an image to the images column
    `tags`.

    Args:
        root: The folder with ``meta.json``.
        inclusive_max: Whether the last pixel of a shape belongs to it, as the tool counts; otherwise its corners are
            edges.
        other_shapes: See `Source`.
        units: What coordinates are counted in: ``pixels``, or ``shares`` of the image.
        missing_images: See `Source`.
        size_mismatch: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its JSON
            pointer.

    Source: Supervisely documentation, annotation JSON format; its SDK, class Rectangle.
    """
    source = Source(
        root,
        "a project with meta.json",
        by="stem",
        missing_images=missing_images,
        size_mismatch=size_mismatch,
        on_error=on_error,
        other_shapes=other_shapes,
        box_format=PIXEL_CORNERS.with_options(None, units),
    )
    classes = _classes(root)
    names = source.files("ann/*.json")
    for name in names:
        with source.errors.image(_image(name)):
            _read_file(source, name, classes, added=int(inclusive_max and units != "shares"))
    annotated = {_image(name) for name in names}
    images = [name for name in source.image_files() if PurePosixPath(name).parent.name == "img"]
    unannotated = [name for name in images if not {name, native.stem_of(name)} & annotated]
    remedy = "restore the file, or remove the image"
    report_unannotated(source, unannotated, "there is no ann/<image>.json for it", remedy)
    return source.table(categories=classes)


def _classes(root: Path) -> list[str]:
    """Return the titles of the classes in the order of `meta.json`."""
    document = read_json(root, "meta.json").as_object()
    classes = [node.string("title") for node in document.items("classes")]
    for index, title in enumerate(classes):
        if title in classes[:index]:
            where, remedy = f"{document.where}/classes", "remove one of them"
            what = "two classes have this title"
            raise InputError("ID_DUPLICATE", what, where=where, field="title", value=title, remedy=remedy)
    return classes


def _image(name: str) -> str:
    """Return the image of an annotation: ``a/ann/b.jpg.json`` -> ``a/img/b.jpg``."""
    path = PurePosixPath(name)
    return (path.parent.parent / "img" / path.name.removesuffix(path.suffix)).as_posix()


def _read_file(source: Source, name: str, classes: Sequence[str], *, added: int) -> None:
    node = read_json(source.root, name).as_object()
    image, size_wh = _image(name), node.child("size").size_wh()
    tags = _tags(node)
    split = split_named(*(tag for tag, _ in tags), PurePosixPath(name).parent.parent.name)
    objects = node.items("objects")
    if source.add_image(image, node.where, size_wh, split=split, tags=dump(tags, node.where) if tags else None):
        for each in objects:
            with source.errors.row(image):
                source.add_shape(image, _shape(each, classes, added=added))


def _tags(node: Node) -> list[tuple[str, Any]]:
    return [(tag.string("name"), tag.value.get("value")) for tag in node.items("tags", [])]


def _shape(node: Node, classes: Sequence[str], *, added: int) -> Shape:
    title = node.string("classTitle")
    if title not in classes:
        what = "meta.json has no class of this title"
        raise node.error("classTitle", "CLASS_UNKNOWN", what, did_you_mean(title, list(classes)))
    kind = node.string("geometryType" if "geometryType" in node else "shape")
    attributes = {key: value for key, value in node.value.items() if key not in _KNOWN}
    if tags := _tags(node):
        attributes["tags"] = tags
    if node.value.get("description"):
        attributes["description"] = node.value["description"]
    xyxy, drawn = _bitmap(node.child("bitmap")) if kind == "bitmap" else _outline(node, kind, added=added)
    return Shape(title, xyxy, node.source, kind, drawn if kind != RECTANGLE else {}, attributes)


def _outline(node: Node, kind: str, *, added: int) -> tuple[Corners, dict[str, Any]]:
    """Return the box around a shape of points, and the points."""
    if kind in _OUTLINES:
        points = node.child("points").pairs("exterior")
        if kind == RECTANGLE and len(points) != 2:
            raise node.error("points", "SHAPE_POINTS", "a rectangle needs two corners")
    elif kind == "cuboid":
        points = node.pairs("points")
    elif kind == "graph":
        points = [_location(each) for each in node.entries("nodes").values()]
        if not points:
            raise node.error("nodes", "SHAPE_EMPTY", "it has no points")
    else:
        remedy = "there is: bitmap, graph, cuboid, " + ", ".join(_OUTLINES)
        raise node.error("geometryType", "SHAPE_KIND", "no such shape is read", remedy)
    x1, y1, x2, y2 = extent(points)
    return (x1, y1, x2 + added, y2 + added), {"points": points}


def _location(node: Node) -> Point:
    x, y = node.numbers("loc", 2)
    return x, y


def _bitmap(node: Node) -> tuple[Corners, dict[str, Any]]:
    """Return the box around the pixels of a bitmap: a compressed PNG whose first pixel is `origin`."""
    x, y = node.numbers("origin", 2)
    try:
        packed = base64.b64decode(node.string("data"), validate=True)
        data = zlib.decompressobj().decompress(packed, MAX_PIXELS)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise node.error("data", "MASK_BROKEN", f"it is no compressed image ({error})") from error
    return mask_extent(data, (x, y), node.where), {}
