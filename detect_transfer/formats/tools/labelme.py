"""LabelMe JSON: a file an image, shapes of points.

Coordinates are continuous pixels counted from 0. Files of the old web tool, which are XML, are another format.
"""

from __future__ import annotations

import base64
import binascii
import math
import posixpath
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.box_format import PIXEL_CORNERS, Units
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.json_boxes import dump
from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.parsing.locations import MOVED, NearbyImages, path_of_address, split_of_path
from detect_transfer.formats.parsing.shapes import RECTANGLE, Corners, Shape, ellipse_extent, extent, mask_extent
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.tools.shared import report_unannotated

_POINTS = ("polygon", "linestrip", "line", "point", "points", "oriented_rectangle", "rotation")
_KNOWN = {"label", "points", "shape_type", "mask", "flags", "group_id", "description", "difficult"}
_IGNORED, _BACKGROUND = "__ignore__", "_background_"  # what its own scripts leave out of the classes
_UNANNOTATED = ("error", "skip", "negative")


class _Images:
    """The images that are there, to be found by what a file says of its own."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = set(names)
        self.by_stem = {native.stem_of(name): name for name in reversed(names)}
        self.moved: dict[str, str] = {}
        self._folders = {posixpath.dirname(name) for name in names}
        self._nearby = NearbyImages.of(self.by_stem)

    def beside(self, name: str) -> str | None:
        """Return the image beside a file that has its stem."""
        return self.by_stem.get(native.stem_of(name))

    def of(self, name: str, stated: str) -> str:
        """Return the image of a file; where none is there, what it is called, relative to the root."""
        path = posixpath.normpath(posixpath.join(posixpath.dirname(name), stated.replace("\\", "/")))
        if path in self.names:
            return path
        if (beside := self.beside(name)) is not None:
            return beside
        leads_out = path.startswith(("/", "../")) or path[1:2] == ":" or path in (".", "..")
        if posixpath.dirname(name) not in self._folders:  # a folder of files alone, whose images lie elsewhere
            stem = native.stem_of(path_of_address(stated) if leads_out else path)
            if (near := self._nearby.only(stem)) is not None:
                self.moved[stated] = near
                return near
        return f"{native.stem_of(name)}{PurePosixPath(path).suffix}" if leads_out else path


@no_collection()
def read(  # noqa: PLR0913 - each is an option of the command line
    root: Path,
    *,
    unannotated: str = "error",
    other_shapes: str = "extent",
    images: Path | None = None,
    units: Units | None = None,
    missing_images: str = "error",
    size_mismatch: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read LabelMe JSON files, wherever they lie below the folder.

    The image of a file is its `imagePath`, relative to the file; where that is not there or leads out of the folder,
    it is the image beside the file that has its stem, or, where no image lies beside the file, the one whose path ends
    most alike, whatever its suffix. Shapes of one image that share a label and a `group_id` are
    parts of one object: their boxes become one, the parts go to `attributes`. So do flags, descriptions and further
    keys; `difficult` shapes are to be ignored. ``__ignore__`` is a region ignored for every class, and ``_background_``
    no object: it is left out, which the ledger counts. A folder named ``train``, ``val`` or ``test`` is the split.

    Args:
        root: The folder of the JSON files and images, or one such file.
        unannotated: What an image without a file is: an ``error``, ``skip`` leaves it out, which the ledger counts, or
            ``negative``: it shows no object.
        other_shapes: See `Source`.
        images: See `Source`.
        units: What points are counted in: ``pixels``, or ``shares`` of the image.
        missing_images: See `Source`.
        size_mismatch: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its JSON
            pointer.

    Source: https://github.com/wkentaro/labelme, the files that it writes.
    """
    native.check_choice("unannotated", unannotated, _UNANNOTATED)
    source = Source(
        root,
        "a folder with JSON of LabelMe",
        missing_images=missing_images,
        size_mismatch=size_mismatch,
        on_error=on_error,
        other_shapes=other_shapes,
        or_file=True,
        image_folder=images,
    )
    names = source.files("*.json", missing="it holds no .json file; JSON of LabelMe was expected")
    image_files = source.image_files()
    there = _Images(image_files)
    joined: list[str] = []
    background: list[str] = []
    annotated = {_read_file(name, source, there, (joined, background)) for name in names}
    source.errors.note("joined with another part of its object", len(joined), tuple(joined), kind="box")
    source.errors.note("it is background", len(background), tuple(background), kind="box")
    examples = tuple(f"{stated} is {image}" for stated, image in there.moved.items())
    source.errors.remark(MOVED, len(examples), examples, kind="image")
    if source.file is None:
        _add_unannotated([name for name in image_files if name not in annotated], unannotated, source)
    return source.table(replace(source.box_rows(), box_format=PIXEL_CORNERS.with_options(None, units)))


def _read_file(name: str, source: Source, there: _Images, notes: tuple[list[str], list[str]]) -> str | None:
    """Read one file and return the name of its image, None where nothing states it.

    Args:
        name: The file.
        source: Where shapes go.
        there: The images that there are.
        notes: Where the sources of shapes go that become part of another one's box, and of those that are background.
    """
    try:
        node = read_json(source.root, name).as_object()
        image = there.of(name, node.string("imagePath"))
        shapes = node.items("shapes")
    except InputError as error:
        beside = there.beside(name)
        source.errors.put(error, image=beside or name)
        return beside
    with source.errors.image(image):
        if source.missing_images == "error" and image not in there.names and node.value.get("imageData"):
            what = "the image is not there; this file alone holds it, as imageData, which is not read"
            remedy = "bring it out with detect-transfer unpack, or read with missing_images=keep (--image-mode none)"
            where = f"{node.where}/imageData"
            raise InputError("IMAGE_MISSING", what, where=where, field="image", value=image, remedy=remedy)
        is_sized = "imageWidth" in node or "imageHeight" in node
        size_wh = node.size_wh("imageWidth", "imageHeight") if is_sized else None
        flags = _flags(node)
        text = dump(flags, node.where) if flags else None
        if source.add_image(image, node.where, size_wh, split=split_of_path(name) or split_of_path(image), flags=text):
            joined, background = notes
            background += [each.source for each in shapes if each.value.get("label") == _BACKGROUND]
            joined += _add_shapes(source, image, [each for each in shapes if each.value.get("label") != _BACKGROUND])
    return image


def _add_shapes(source: Source, image: str, shapes: Sequence[Node]) -> list[str]:
    """Add the shapes of a file, and return the sources of those that become part of another one's box."""
    objects: dict[tuple[str, Any], list[Shape]] = {}
    for each in shapes:
        with source.errors.row(image):
            shape = _shape(each)
            group = each.value.get("group_id")
            key = (shape.label or "", str(group)) if group is not None else ("", each.source)
            objects.setdefault(key, []).append(shape)
    for parts in objects.values():
        with source.errors.row(image):
            source.add_shape(image, _joined(parts))
    return [part.source for parts in objects.values() for part in parts[1:]]


def _shape(node: Node) -> Shape:
    kind = node.string("shape_type", "polygon")
    points = node.pairs("points")
    drawn: dict[str, Any] = {"points": points}
    if kind == RECTANGLE:
        if len(points) < 2:
            raise node.error("points", "SHAPE_POINTS", "a rectangle needs two corners")
        xyxy = extent(points)
    elif kind == "circle":
        if len(points) != 2:
            raise node.error("points", "SHAPE_POINTS", "a circle needs its centre and a point of its edge")
        (x, y), (edge_x, edge_y) = points
        radius = math.hypot(edge_x - x, edge_y - y)
        xyxy = ellipse_extent((x, y), (radius, radius))
    elif kind == "mask":
        xyxy, drawn = _mask(node, extent(points)), {}
    elif kind in _POINTS:
        xyxy = extent(points)
    else:
        remedy = "there is: " + ", ".join((RECTANGLE, "circle", "mask", *_POINTS))
        raise node.error("shape_type", "SHAPE_KIND", "LabelMe draws no such shape", remedy)
    is_difficult = node.flag("difficult", False)
    columns = {"difficult": True, "ignore": True, "ignore_reason": "difficult"} if is_difficult else {}
    label: str | None = node.string("label")
    if label == _IGNORED:
        columns, label = {**columns, "ignore": True, "ignore_reason": "ignore region"}, None
    return Shape(label, xyxy, node.source, kind, drawn, _attributes(node), columns)


def _mask(node: Node, corners: Corners) -> Corners:
    """Return the box around the pixels of a mask, which is a PNG at the top-left corner; without one its corners."""
    if "mask" not in node:
        return corners
    try:
        data = base64.b64decode(node.string("mask"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise node.error("mask", "MASK_BROKEN", f"it is no base64 ({error})") from error
    return mask_extent(data, (corners[0] // 1, corners[1] // 1), f"{node.where}/mask")


def _attributes(node: Node) -> dict[str, Any]:
    attributes = {key: value for key, value in node.value.items() if key not in _KNOWN and value is not None}
    if flags := _flags(node):
        attributes["flags"] = flags
    for key in ("group_id", "description"):
        if node.value.get(key) not in (None, ""):
            attributes[key] = node.value[key]
    return attributes


def _flags(node: Node) -> list[str]:
    """Return the names of the flags that are set."""
    return sorted(key for key, value in node.child("flags").value.items() if value) if "flags" in node else []


def _joined(parts: list[Shape]) -> Shape:
    """Return one shape of the parts of an object."""
    if len(parts) == 1:
        return parts[0]
    corners = [(part.xyxy[i], part.xyxy[i + 1]) for part in parts for i in (0, 2)]
    drawn = [{"shape": part.kind, "xyxy": part.xyxy, **part.drawn, **part.attributes} for part in parts]
    kind = RECTANGLE if all(part.kind == RECTANGLE for part in parts) else "group"
    columns = {key: value for part in parts for key, value in part.columns.items()}
    return Shape(parts[0].label, extent(corners), parts[0].source, kind, {}, {"parts": drawn}, columns)


def _add_unannotated(names: list[str], unannotated: str, source: Source) -> None:
    """Do with images without a file what the option says."""
    if unannotated == "error":
        remedy = "annotate or remove it, or read with unannotated=negative or =skip"
        report_unannotated(source, names, "no JSON file is of this image", remedy)
    elif unannotated == "skip":
        source.errors.note("image without a JSON file", len(names), tuple(names), kind="image")
    else:
        for name in names:
            source.add_image(name, f"{source.root}/{name}", split=split_of_path(name))
