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

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.core.images import IMAGE_SUFFIXES, MAX_PIXELS
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.image_lookup import ImageLookup, ImageRef
from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.parsing.locations import split_named
from detect_transfer.formats.parsing.shape_table import RECTANGLE, Shape, TableBuilder, dump
from detect_transfer.formats.parsing.shapes import Corners, Point, extent, mask_extent

_OUTLINES = ("rectangle", "polygon", "line", "point")
_KNOWN = {
    *("id", "classId", "classTitle", "geometryType", "shape", "tags", "points", "bitmap", "nodes", "description"),
    *("labelerLogin", "createdAt", "updatedAt"),
}


@no_collection()
def read(
    root: Path, *, inclusive_max: bool = True, other_shapes: str = "extent", missing_images: str = "error",
    size_mismatch: str = "error", on_error: str = "fail",
) -> AnnotationTable:  # fmt: skip
    """Read a project of Supervisely; the classes are those of `meta.json` in its order.

    The split of an image is a tag of it named ``train``, ``val`` or ``test``, or else the name of its data set, if
    that is such a word. Tags of objects and further keys go to `attributes`, tags of an image to the images column
    `tags`.

    Args:
        root: The folder with ``meta.json``.
        inclusive_max: Whether the last pixel of a shape belongs to it, as the tool counts; otherwise its corners are
            edges.
        other_shapes: What becomes of polygons, bitmaps, lines, points and skeletons: ``extent`` takes the box around
            them, ``skip`` leaves them out, which the ledger counts, ``error`` refuses them.
        missing_images: ``error``; ``keep`` goes on with the sizes that the files state; ``skip`` leaves the image and
            its shapes out.
        size_mismatch: ``error``, or ``keep`` to trust the image where a file states another size.
        on_error: ``fail``, or ``skip-row`` or ``skip-image`` to leave out what is at fault and count it.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its JSON
            pointer.

    Source: Supervisely documentation, annotation JSON format; its SDK, class Rectangle.
    """
    media = ImageLookup(by="stem", missing_images=missing_images, size_mismatch=size_mismatch)
    problems = ErrorCollector(on_error)
    io.require_dir(root, what="a project with meta.json")
    drawing = TableBuilder(root, media, problems, other_shapes)
    classes = _classes(root)
    names = [name for name in io.list_files(root, (".json",)) if PurePosixPath(name).parent.name == "ann"]
    for name in names:
        with problems.image(_image(name)):
            _read_file(name, drawing, classes, added=int(inclusive_max))
    annotated = {_image(name) for name in names}
    for held in io.list_files(root, IMAGE_SUFFIXES):
        if PurePosixPath(held).parent.name == "img" and not {held, native.stem_of(held)} & annotated:
            problems.add(
                *("ANNOTATION_MISSING", "there is no ann/<image>.json for it"),
                where=root / held,
                image=held,
                remedy="restore the file, or remove the image",
            )
    return drawing.table(classes)


def _classes(root: Path) -> list[str]:
    """Return the titles of the classes in the order of `meta.json`."""
    classes = [node.string("title") for node in read_json(root, "meta.json").as_object().items("classes")]
    if len(set(classes)) < len(classes):
        twice = next(name for name in classes if classes.count(name) > 1)
        raise InputError(
            *("ID_DUPLICATE", "two classes have this title"),
            where=f"{root}/meta.json#/classes",
            field="title",
            value=twice,
            remedy="remove one of them",
        )
    return classes


def _image(name: str) -> str:
    """Return the image of an annotation: ``a/ann/b.jpg.json`` -> ``a/img/b.jpg``."""
    path = PurePosixPath(name)
    return (path.parent.parent / "img" / path.name.removesuffix(path.suffix)).as_posix()


def _read_file(name: str, drawing: TableBuilder, classes: Sequence[str], *, added: int) -> None:
    node = read_json(drawing.root, name).as_object()
    image, size = _image(name), node.child("size").size_wh()
    tags = [(tag.string("name"), tag.value.get("value")) for tag in node.items("tags", [])]
    facts = {
        "split": split_named(*(tag for tag, _ in tags), PurePosixPath(name).parent.parent.name),
        "tags": dump(tags, node.where) if tags else None,
    }
    objects = node.items("objects")
    if not drawing.add_image(image, ImageRef(node.where, size), facts):
        return
    for one in objects:
        drawing.take(image, _shape, one, classes, added=added)


def _shape(node: Node, classes: Sequence[str], *, added: int) -> Shape:
    title = node.string("classTitle")
    if title not in classes:
        what = "meta.json has no class of this title"
        raise node.error("classTitle", "CLASS_UNKNOWN", what, did_you_mean(title, list(classes)))
    kind = node.string("geometryType" if "geometryType" in node else "shape")
    attributes = {key: value for key, value in node.value.items() if key not in _KNOWN}
    if tags := [(tag.string("name"), tag.value.get("value")) for tag in node.items("tags", [])]:
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
    elif kind == "graph":
        points = [_location(one) for one in node.entries("nodes").values()]
        if not points:
            raise node.error("nodes", "SHAPE_EMPTY", "it has no points")
    else:
        remedy = "there is: bitmap, graph, " + ", ".join(_OUTLINES)
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
