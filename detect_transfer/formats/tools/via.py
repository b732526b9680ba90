"""VGG Image Annotator: CSV or JSON of regions, versions 1 and 2.

Coordinates are continuous pixels counted from 0. Which of a region's attributes is its class, the people who drew it
decided.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.image_lookup import ImageLookup, ImageRef
from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.parsing.locations import NearbyImages, annotation_files, path_of_address, split_of_path
from detect_transfer.formats.parsing.shape_table import Shape, TableBuilder, dump
from detect_transfer.formats.parsing.shapes import Corners, ellipse_extent, extent

_FIELDS = ("filename", "file_attributes", "region_shape_attributes", "region_attributes")
_DIALECT = Dialect(",", header=True, quoted=True, image_field="filename")
_KINDS = ("rect", "circle", "ellipse", "polygon", "polyline", "point")


@dataclass(frozen=True)
class _Image:
    """An image as one file tells it; regions are pairs of shape attributes and region attributes, with their place."""

    name: str
    where: str
    file_attributes: dict[str, Any]
    regions: list[tuple[Node, Node, str]] = field(default_factory=list)


@no_collection()
def read(
    root: Path, *, class_key: str | None = None, other_shapes: str = "extent", missing_images: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:  # fmt: skip
    """Read the CSV or JSON files of the VGG Image Annotator, or its projects, wherever they lie below the folder.

    An image is found by its `filename`, relative to the file that names it; where it is not there, by the longest end
    of its path. A value of several ticked boxes makes a row for each. The other attributes of a region go to
    `attributes`, those of an image to the images column `file_attributes`. A folder named ``train``, ``val`` or
    ``test`` is the split.

    Args:
        root: The folder of the files and images, or one such file.
        class_key: The attribute that is the class; None where regions have a single one.
        other_shapes: What becomes of circles, ellipses, polygons, lines and points: ``extent`` takes the box around
            them, ``skip`` leaves them out, which the ledger counts, ``error`` refuses them.
        missing_images: ``error``; ``keep`` goes on without sizes, which the files do not state; ``skip`` leaves the
            image and its regions out.
        on_error: ``fail``, or ``skip-row`` or ``skip-image`` to leave out what is at fault and count it.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its line
            or JSON pointer.

    Source: https://www.robots.ox.ac.uk/~vgg/software/via/, the files that it exports.
    """
    problems = ErrorCollector(on_error)
    folder, names = annotation_files(root, (".csv", ".json"), what="CSV or JSON of the VGG Image Annotator")
    drawing = TableBuilder(folder, ImageLookup(missing_images=missing_images), problems, other_shapes)
    nearby = NearbyImages(folder)
    found = [image for name in names for image in _read_file(name, drawing, nearby)]
    key = _class_key(found, class_key, folder)
    for image in found:
        name = image.name
        with problems.image(name):
            about = dump(image.file_attributes, image.where) if image.file_attributes else None
            facts = {"split": split_of_path(name), "file_attributes": about}
            if not drawing.add_image(name, ImageRef(image.where), facts):
                continue
        for shape, region, source in image.regions:
            try:
                labels = _labels(region, key)
            except InputError as error:
                problems.put(error, row_of=name)
                continue
            for label in labels:
                drawing.take(name, _shape, shape, region, source, (label, key))
    return drawing.table()


def _read_file(name: str, drawing: TableBuilder, nearby: NearbyImages) -> list[_Image]:
    if name.lower().endswith(".csv"):
        return _read_csv(name, drawing, nearby)
    try:
        return list(_read_json(name, drawing, nearby))
    except InputError as error:
        drawing.problems.put(error)
        return []


def _read_json(name: str, drawing: TableBuilder, nearby: NearbyImages) -> Iterator[_Image]:
    problems = drawing.problems
    node = read_json(drawing.root, name).as_object()
    images = node.entries("_via_img_metadata") if "_via_img_metadata" in node else node.members()
    for one in images.values():
        told = nearby.nearest(_name(name, one.string("filename")))
        with problems.image(told):
            about = one.child("file_attributes").value if "file_attributes" in one else {}
            image = _Image(told, one.where, about)
            by_index = isinstance(one.value.get("regions"), dict)  # version 1
            nodes = one.entries("regions").values() if by_index else one.items("regions", [])
            for region in nodes:
                with problems.row(told):
                    shape, further = region.child("shape_attributes"), region.child("region_attributes")
                    image.regions.append((shape, further, region.source))
            yield image


def _name(name: str, address: str) -> str:
    """Return the name of an image, which a file tells relative to itself, relative to the root."""
    return (PurePosixPath(name).parent / path_of_address(address)).as_posix()


def _read_csv(name: str, drawing: TableBuilder, nearby: NearbyImages) -> list[_Image]:
    base, home = f"{drawing.root}/", PurePosixPath(name).parent.as_posix()
    files = {name: None if home == "." else home}
    rows = read_delimited(drawing.root, files, _FIELDS, _DIALECT, drawing.problems)
    images: dict[str, _Image] = {}
    names: dict[str, str] = {}  # of the images, by what the rows call them
    for image, line, address, *cells in rows.select("image", "line", *_FIELDS).iter_rows():
        source = f"{name}:{line}"
        if image not in names:
            names[image] = nearby.nearest(_name(name, address))
        try:
            about, shape, region = (
                _object(text, column, base, source) for column, text in zip(_FIELDS[1:], cells, strict=True)
            )
        except InputError as error:
            drawing.problems.put(error, row_of=image)
            continue
        if names[image] not in images:
            images[names[image]] = _Image(names[image], base + source, about.value)
        if shape.value:
            images[names[image]].regions.append((shape, region, source))
    drawing.problems.rename_skipped(lambda image: [names.get(image, image)])
    return list(images.values())


def _object(text: str, column: str, base: str, source: str) -> Node:
    """Parse a cell that holds a JSON object; an empty one holds none."""
    try:
        value = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        what = "expected a JSON object"
        raise InputError(
            "JSON_SYNTAX", what, where=base + source, field=column, value=text, remedy="fix or remove the row"
        )
    return Node(value, base, source)


def _class_key(images: Sequence[_Image], class_key: str | None, root: Path) -> str:
    """Return the attribute that is the class."""
    keys = sorted({key for image in images for _, region, _ in image.regions for key in region.value})
    if class_key is not None or len(keys) == 1:
        return keys[0] if class_key is None else class_key
    if any(image.regions for image in images):
        raise InputError(
            *("VIA_CLASS", f"regions have {len(keys)} attributes, and one must be the class"),
            where=root,
            field="class_key",
            remedy="give class_key, one of: " + ", ".join(keys) if keys else "give the regions a class",
        )
    return ""


def _labels(region: Node, key: str) -> list[str]:
    """Return the classes of a region: its value, or those of several that are ticked."""
    value = region.value.get(key)
    labels = [value] if isinstance(value, str) else []
    if isinstance(value, dict):
        labels = sorted(name for name, ticked in value.items() if ticked is True)
    if not labels or not all(label.strip() for label in labels):
        raise region.error(key, "OBJECT_NAME", "the region has no class", "give it one or remove it")
    return labels


def _shape(node: Node, region: Node, source: str, label: tuple[str, str]) -> Shape:
    """Return the shape of a region; `label` is the class and the attribute that tells it."""
    kind = node.choice("name", _KINDS)
    attributes = {key: value for key, value in region.value.items() if key != label[1]}
    xyxy = _extent(node, kind)
    drawn = {key: value for key, value in node.value.items() if key != "name"} if kind != "rect" else {}
    return Shape(label[0], xyxy, source, "rectangle" if kind == "rect" else kind, drawn, attributes)


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
