"""VGG Image Annotator: CSV or JSON of regions, versions 1 and 2, and projects of version 3.

Coordinates are continuous pixels counted from 0. Which of a region's attributes is its class, the people who drew it
decided.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing.box_format import PIXEL_CORNERS, Units
from detect_transfer.formats.parsing.delimited import Dialect
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.json_boxes import dump
from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.parsing.locations import NearbyImages, path_of_address, split_of_path
from detect_transfer.formats.parsing.shapes import RECTANGLE, Corners, Shape, ellipse_extent, extent
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.tools.shared import folder_of, require_own_image
from detect_transfer.formats.tools.via_version_3 import regions_of_images

_FIELDS = ("filename", "file_attributes", "region_shape_attributes", "region_attributes")
_KINDS = ("rect", "circle", "ellipse", "polygon", "polyline", "point")


@dataclass(frozen=True)
class _Region:
    """A region: what is drawn, what is said of it, and where that stands."""

    shape: Node
    said: Node
    source: str


@dataclass(frozen=True)
class _Image:
    """An image as one file describes it."""

    name: str
    where: str
    file_attributes: dict[str, Any]
    regions: list[_Region] = field(default_factory=list)


@no_collection()
def read(  # noqa: PLR0913 - each is an option of the command line
    root: Path,
    *,
    class_key: str | None = None,
    class_name: str | None = None,
    other_shapes: str = "extent",
    images: Path | None = None,
    units: Units | None = None,
    missing_images: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read the CSV or JSON files of the VGG Image Annotator, or its projects, wherever they lie below the folder.

    An image is found by its `filename`, relative to the file that names it; where it is not there, by the longest end
    of its path. A value of several ticked boxes makes a row for each. The other attributes of a region go to
    `attributes`, those of an image to the images column `file_attributes`. A folder named ``train``, ``val`` or
    ``test`` is the split.

    Args:
        root: The folder of the files and images, or one such file.
        class_key: The attribute that is the class; None where regions have a single one.
        class_name: The class of all regions, where none of their attributes is the class.
        other_shapes: See `Source`.
        images: See `Source`.
        units: What coordinates are counted in: ``pixels``, or ``shares`` of the image.
        missing_images: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its line
            or JSON pointer.

    Source: https://www.robots.ox.ac.uk/~vgg/software/via/, the files that it exports.
    """
    what = "CSV or JSON of the VGG Image Annotator"
    source = Source(
        root,
        what,
        missing_images=missing_images,
        on_error=on_error,
        other_shapes=other_shapes,
        or_file=True,
        image_folder=images,
        box_format=PIXEL_CORNERS.with_options(None, units),
    )
    nearby = NearbyImages(source.image_root)
    described: list[_Image] = []
    for name in source.files("*.csv", "*.json", missing=f"it holds no .csv, .json file; {what} was expected"):
        with source.errors.file():
            described += (
                _read_csv(source, name, nearby) if name.lower().endswith(".csv") else _read_json(source, name, nearby)
            )
    key = "" if class_name is not None else _class_key(described, class_key, source.root)
    for image in described:
        _add_image(source, image, class_name, key)
    nearby.remark(source.errors)
    return source.table()


def _add_image(source: Source, image: _Image, class_name: str | None, key: str) -> None:
    """Add an image with a shape for each class of its regions."""
    with source.errors.image(image.name):
        about = dump(image.file_attributes, image.where) if image.file_attributes else None
        split = split_of_path(image.name)
        if not source.add_image(image.name, image.where, split=split, file_attributes=about):
            return
        for region in image.regions:
            labels = [] if class_name is None else [class_name]
            with source.errors.row(image.name):
                labels = labels or _labels(region.said, key)
            for label in labels:
                with source.errors.row(image.name):
                    source.add_shape(image.name, _shape(region, label, key))


def _shape(region: _Region, label: str, key: str) -> Shape:
    kind = region.shape.choice("name", _KINDS)
    attributes = {name: value for name, value in region.said.value.items() if name != key}
    drawn = {name: value for name, value in region.shape.value.items() if name != "name"}
    xyxy = _extent(region.shape, kind)
    kind, drawn = (RECTANGLE, {}) if kind == "rect" else (kind, drawn)
    return Shape(label, xyxy, region.source, kind, drawn, attributes)


def _read_json(source: Source, name: str, nearby: NearbyImages) -> list[_Image]:
    node = read_json(source.root, name).as_object()
    if "project" in node and "metadata" in node:
        return [
            _Image(
                nearby.nearest(_name(name, address)), file.where, {}, [_Region(*pair, pair[0].source) for pair in pairs]
            )
            for address, file, pairs in regions_of_images(node)
        ]
    images: list[_Image] = []
    for each in (node.entries("_via_img_metadata") if "_via_img_metadata" in node else node.members()).values():
        image_name = nearby.nearest(_name(name, each.string("filename")))
        with source.errors.image(image_name):
            about = each.child("file_attributes").value if "file_attributes" in each else {}
            image = _Image(image_name, each.where, about)
            is_version_1 = isinstance(each.value.get("regions"), dict)
            for node in each.entries("regions").values() if is_version_1 else each.items("regions", []):
                with source.errors.row(image_name):
                    shape, said = node.child("shape_attributes"), node.child("region_attributes")
                    image.regions.append(_Region(shape, said, node.source))
            images.append(image)
    return images


def _name(name: str, address: str) -> str:
    """Return the name of an image, which a file states relative to itself, relative to the root."""
    return (PurePosixPath(name).parent / path_of_address(address)).as_posix()


def _read_csv(source: Source, name: str, nearby: NearbyImages) -> list[_Image]:
    dialect = Dialect(",", header=True, quoted=True, image_field="filename")
    rows = source.rows([name], _FIELDS, dialect, of={name: folder_of(name)})
    images: dict[str, _Image] = {}
    names: dict[str, str] = {}  # of the images, by what the rows call them
    path_of: dict[tuple[str, str], str] = {}
    for path, line, address, *cells in rows.data.select("image", "line", *_FIELDS).iter_rows():
        if path not in names:
            names[path] = nearby.nearest(_name(name, address))
            require_own_image(path_of, (name, names[path]), address, f"{source.root / name}:{line}", source.errors)
        with source.errors.row(path):
            row = f"{name}:{line}"
            about, shape, said = (
                _object(source, text, column, row) for column, text in zip(_FIELDS[1:], cells, strict=True)
            )
            image = images.setdefault(names[path], _Image(names[path], about.where, about.value))
            if shape.value:
                image.regions.append(_Region(shape, said, row))
    source.errors.rename_skipped(lambda path: [names.get(path, path)])
    return list(images.values())


def _object(source: Source, text: str, column: str, row: str) -> Node:
    """Parse a cell that holds a JSON object; an empty one holds none."""
    try:
        value = io.parse_json((text or "{}").encode(), source.root / row)
    except InputError as error:
        if error.code == "JSON_KEY_TWICE":
            raise
        value = None
    if not isinstance(value, dict):
        where, remedy = f"{source.root}/{row}", "fix or remove the row"
        raise InputError("JSON_SYNTAX", "expected a JSON object", where=where, field=column, value=text, remedy=remedy)
    return Node(value, f"{source.root}/", row)


def _class_key(images: Sequence[_Image], class_key: str | None, root: Path) -> str:
    """Return the attribute that is the class."""
    regions = [region for image in images for region in image.regions]
    keys = sorted({key for region in regions for key in region.said.value})
    if class_key is not None or len(keys) == 1:
        return keys[0] if class_key is None else class_key
    if regions:
        what = f"regions have {len(keys)} attributes, and one must be the class"
        remedy = "give class_key, one of: " + ", ".join(keys)
        if not keys:
            remedy = "give the regions a class, or read with class_name=object, or another name for them all"
        raise InputError("VIA_CLASS", what, where=root, field="class_key", remedy=remedy)
    return ""


def _labels(said: Node, key: str) -> list[str]:
    """Return the classes of a region: its value, or those of several that are ticked."""
    value = said.value.get(key)
    labels = [value] if isinstance(value, str) else []
    if isinstance(value, dict):
        labels = sorted(name for name, ticked in value.items() if ticked is True)
    if not labels or not all(label.strip() for label in labels):
        raise said.error(key, "OBJECT_NAME", "the region has no class", "give it one or remove it")
    return labels


def _extent(node: Node, kind: str) -> Corners:
    if kind == "rect":
        x, y, width, height = (node.number(key) for key in ("x", "y", "width", "height"))
        return x, y, x + width, y + height
    if kind in ("polygon", "polyline"):
        xs, ys = (node.value.get(key) for key in ("all_points_x", "all_points_y"))
        count = len(xs) if isinstance(xs, list) else 0
        if not count or not isinstance(ys, list) or len(ys) != count:
            raise node.error("all_points_x", "SHAPE_POINTS", "expected two lists of numbers of one length")
        return extent(list(zip(node.numbers("all_points_x", count), node.numbers("all_points_y", count), strict=True)))
    x, y = node.number("cx"), node.number("cy")
    if kind == "point":
        return x, y, x, y
    radius_x, radius_y = ("r", "r") if kind == "circle" else ("rx", "ry")
    radii = node.number(radius_x), node.number(radius_y)
    return ellipse_extent((x, y), radii, math.degrees(node.number("theta", 0.0)))
