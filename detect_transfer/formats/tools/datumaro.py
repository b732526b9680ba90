"""Datumaro JSON: `annotations/<subset>.json` beside `images/<subset>/`, as Datumaro and CVAT export it.

Boxes are `x, y, width, height` in continuous pixels counted from 0, which is our own convention. CVAT keeps the turn of
a box in the attribute `rotation`, in degrees about its centre.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.formats.parsing.box_format import PIXEL_CORNERS, Units
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.json_boxes import dump
from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.parsing.locations import is_foreign, path_of_address, split_named
from detect_transfer.formats.parsing.masks import segmentation_extent
from detect_transfer.formats.parsing.own_columns import take_columns
from detect_transfer.formats.parsing.shapes import (
    PART_OF_GROUP,
    RECTANGLE,
    TURNED,
    Shape,
    extent,
    objects_of_groups,
    turned_extent,
)
from detect_transfer.formats.parsing.source import Source, numbered

_FLAT = ("polygon", "polyline", "points", "ellipse")  # shapes whose points are one list x1, y1, x2, y2 ...
_WITHOUT_BOX = (
    *("label", "caption", "cuboid_3d", "feature_vector", "hash_key", "tabular", "unknown"),
    *("super_resolution_annotation", "depth_annotation"),
)


@no_collection()
def read(
    root: Path,
    *,
    other_shapes: str = "extent",
    images: Path | None = None,
    units: Units | None = None,
    missing_images: str = "error",
    size_mismatch: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read Datumaro JSON: the classes in the order of their numbers, whose parent is the `supercategory`.

    The subset, which is the name of the file, is the split; ``default`` is none. The attributes `occluded`,
    `truncated`, `difficult`, `is_crowd` and `track_id` become columns, others stay attributes. Labels of whole images
    go to the images column `tags`. What has no outline, such as captions, is left out, which the ledger counts.

    Args:
        root: The folder that holds ``annotations/``, or one such file.
        other_shapes: See `Source`; turned boxes are among them.
        images: See `Source`.
        units: What coordinates are counted in: ``pixels``, or ``shares`` of the image.
        missing_images: See `Source`.
        size_mismatch: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its JSON
            pointer.

    Source: https://github.com/open-edge-platform/datumaro, the files that its writer of this name makes.
    """
    source = Source(
        root,
        "a folder with annotations/<subset>.json of Datumaro",
        by="tail",
        missing_images=missing_images,
        size_mismatch=size_mismatch,
        on_error=on_error,
        other_shapes=other_shapes,
        or_file=True,
        image_folder=images,
        box_format=PIXEL_CORNERS.with_options(None, units),
    )
    parents: dict[str, str | None] = {}
    without_box: list[str] = []
    parts: list[str] = []
    subset_of: dict[str, str] = {}
    for name in source.files("*.json", missing="it holds no .json file; JSON of Datumaro was expected"):
        with source.errors.file():
            document = read_json(source.root, name).as_object()
            names = _classes(document, parents)
            subset = PurePosixPath(name).stem
            for item in document.items("items"):
                image = _image(source, item, subset, subset_of)
                _read_item(source, image, item, subset, names, (without_box, parts))
    source.errors.note("it has no outline", len(without_box), tuple(without_box), kind="box")
    source.errors.remark(PART_OF_GROUP, len(parts), tuple(parts), kind="box")
    return source.table(categories=numbered([*parents], [*parents.values()]))


def _classes(document: Node, parents: dict[str, str | None]) -> list[str]:
    """Return the classes of a file in order, and add them with their parents to those of all files."""
    categories = document.child("categories")
    labels = categories.child("label").items("labels") if "label" in categories else []
    for label in labels:
        parents.setdefault(label.string("name"), label.string("parent", "") or None)
    return [label.string("name") for label in labels]


def _media(item: Node) -> Node:
    return next((item.child(key) for key in ("image", "media") if key in item), item)


def _image(source: Source, item: Node, subset: str, subset_of: dict[str, str]) -> str:
    """Return the name of the image of an item; one that another subset has too is named by its own."""
    given = _media(item).string("path", "") or item.string("id")
    if is_foreign(given):  # where the images were on the machine that wrote it
        return given
    path = path_of_address(given)
    below = [f"images/{subset}/{path}", f"{subset}/{path}"]
    there = next((name for name in below if io.is_file(source.image_root / name)), None)
    is_of_another = subset_of.setdefault(path, subset) != subset
    return there or (below[0] if is_of_another else path)


def _read_item(
    source: Source, image: str, item: Node, subset: str, names: list[str], notes: tuple[list[str], list[str]]
) -> None:
    without_box, parts = notes
    media = _media(item)
    with source.errors.image(image):
        height_width = media.numbers("size", 2) if "size" in media else None
        size_wh = (int(height_width[1]), int(height_width[0])) if height_width else None
        annotations = item.items("annotations", [])
        tags = [_class_of(names, each) for each in annotations if each.string("type") == "label"]
        split = split_named(subset) or (None if subset == "default" else subset)
        if not source.add_image(image, item.where, size_wh, split=split, tags=dump(tags, item.where) if tags else None):
            return
        shapes: list[Shape] = []
        for each in annotations:
            if each.string("type") not in _WITHOUT_BOX and not _is_absent(each):
                with source.errors.row(image):
                    shapes.append(_shape(each, names))
            elif each.string("type") != "label":
                without_box.append(each.source)
        objects, left_out = objects_of_groups(shapes, "group")
        parts += left_out
        for shape in objects:
            with source.errors.row(image):
                source.add_shape(image, shape)


def _class_of(names: list[str], node: Node) -> str:
    """Return the class of an annotation."""
    number = node.whole("label_id")
    if not 0 <= number < len(names):
        raise node.error("label_id", "CLASS_INDEX", f"the file names the classes 0 to {len(names) - 1}")
    return names[number]


def _absent(node: Node) -> set[int]:
    """Return which points of a skeleton are not there, though they have numbers."""
    points, states = node.value.get("points"), node.value.get("visibility")
    both = isinstance(points, list) and isinstance(states, list)
    return {i for i, state in enumerate(states[: len(points) // 2]) if state == 0} if both else set()


def _is_absent(node: Node) -> bool:
    """Tell whether an annotation is of points none of which is there."""
    absent = _absent(node)
    return bool(absent) and 2 * len(absent) == len(node.value["points"])


def _shape(node: Node, names: list[str]) -> Shape:
    kind = node.string("type")
    attributes = dict(node.child("attributes").value) if "attributes" in node else {}
    drawn: dict[str, Any] = {}
    if kind == "bbox":
        x, y, width, height = node.numbers("bbox", 4)
        xyxy = (x, y, x + width, y + height)
        turn = attributes.pop("rotation", 0.0) or 0.0
        if isinstance(turn, int | float) and turn:
            drawn = {"box": xyxy, "rotation": turn}
            xyxy = turned_extent(xyxy, turn)
    elif kind in _FLAT:
        values = node.value.get("points")
        count = len(values) if isinstance(values, list) else 0
        if count < 2 or count % 2:
            raise node.error("points", "SHAPE_POINTS", "expected a list x1, y1, x2, y2 ...")
        numbers, absent = node.numbers("points", count), _absent(node)
        points = [point for i, point in enumerate(zip(numbers[::2], numbers[1::2], strict=True)) if i not in absent]
        xyxy, drawn = extent(points), {"points": points}
    elif kind == "mask":
        mask = segmentation_extent(node.value.get("rle"))
        if mask is None:
            raise node.error("rle", "SHAPE_POINTS", "expected counts and size of a mask that has a pixel")
        xyxy = mask
    elif kind == "cuboid_2d":
        corners_2d = node.pairs("points")
        xyxy, drawn = extent(corners_2d), {"points": corners_2d}
    else:
        raise node.error(
            "type", "SHAPE_KIND", "Datumaro draws no such shape", "remove it, or read with --on-error skip-row"
        )
    for key in ("group", "z_order"):
        if node.value.get(key):
            attributes[key] = node.value[key]
    columns = _columns(attributes)
    shape = RECTANGLE if kind == "bbox" and not drawn else TURNED if kind == "bbox" else kind
    return Shape(_class_of(names, node), xyxy, node.source, shape, drawn, attributes, columns)


def _columns(attributes: dict[str, Any]) -> dict[str, Any]:
    """Take out of the attributes what columns of the table hold, and return these."""
    if "is_crowd" in attributes:
        attributes["iscrowd"] = attributes.pop("is_crowd") is True
    columns = take_columns(attributes, ("occluded", "truncated", "vis_ratio"))
    if columns.get("difficult") and "ignore" not in columns:
        columns |= {"ignore": True, "ignore_reason": "difficult"}
    return columns
