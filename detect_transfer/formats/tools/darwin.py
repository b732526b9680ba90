"""V7 Darwin JSON 2.0 and 1.0: a file an image, boxes as `x, y, w, h` in continuous pixels counted from 0."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.formats.parsing.box_format import PIXEL_CORNERS, Units
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.json_boxes import dump
from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.parsing.locations import is_foreign, path_of_address, split_of_path
from detect_transfer.formats.parsing.shapes import RECTANGLE, Corners, Point, Shape, ellipse_extent, extent
from detect_transfer.formats.parsing.source import Source

_WITHOUT_BOX = ("raster_layer", "mask", "string", "link", "graph", "table", "directional_vector", "simple_table")
_KNOWN = {
    "id",
    "name",
    "bounding_box",
    "slot_names",
    "polygon",
    "ellipse",
    "line",
    "keypoint",
    "skeleton",
    "cuboid",
    "ranges",
}


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
    """Read the JSON files of V7 Darwin, wherever they lie below the folder.

    An image is found by the end of its path in the data set. The tags of an image go to the images column `tags`, what
    else is said of a box to `attributes`. Masks and relations have no outline: they are left out, which the ledger
    counts. A folder named ``train``, ``val`` or ``test`` is the split.

    Args:
        root: The folder of the files and images, or one such file.
        other_shapes: See `Source`.
        images: See `Source`.
        units: What coordinates are counted in: ``pixels``, or ``shares`` of the image.
        missing_images: See `Source`.
        size_mismatch: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself, or a file is of a video; up to 20 problems at
            once, each with its JSON pointer.

    Source: https://docs.v7labs.com/reference/darwin-json
    """
    source = Source(
        root,
        "a folder with JSON of V7 Darwin",
        by="tail",
        missing_images=missing_images,
        size_mismatch=size_mismatch,
        on_error=on_error,
        other_shapes=other_shapes,
        or_file=True,
        image_folder=images,
        box_format=PIXEL_CORNERS.with_options(None, units),
    )
    without_box: list[str] = []
    for name in source.files("*.json", missing="it holds no .json file; JSON of V7 Darwin was expected"):
        with source.errors.image(name):
            document = read_json(source.root, name).as_object()
            image, size_wh = _image(document)
            with source.errors.image(image):
                annotations = document.items("annotations", [])
                tags = [each.string("name") for each in annotations if "tag" in each]
                text = dump(tags, document.where) if tags else None
                if source.add_image(image, document.where, size_wh, split=split_of_path(name), tags=text):
                    without_box += _add_shapes(source, image, annotations)
    source.errors.note("it has no outline", len(without_box), tuple(without_box), kind="box")
    return source.table()


def _image(document: Node) -> tuple[str, tuple[int, int] | None]:
    """Return the name of the image of a file, and its size where that is stated."""
    if "image" in document:  # version 1
        about = document.child("image")
        folder, name, sized = (
            about.string("path", "/"),
            about.string("original_filename", about.value.get("filename")),
            about,
        )
    else:
        about = document.child("item")
        folder, name = about.string("path", "/"), about.string("name")
        slots = about.items("slots", [])
        sized = slots[0] if slots else about
        if any("frame_count" in slot or slot.string("type", "image") != "image" for slot in slots):
            what, remedy = "it is a video or a volume, which is not read", "export its frames as images"
            raise about.error("slots", "DARWIN_VIDEO", what, remedy)
    path = (
        name
        if is_foreign(name)
        else "/".join(part for part in (path_of_address(folder).rstrip("/"), path_of_address(name)) if part)
    )
    return path, sized.size_wh() if "width" in sized and "height" in sized else None


def _add_shapes(source: Source, image: str, annotations: list[Node]) -> list[str]:
    """Add the shapes of an image and return the places of those without an outline."""
    without_box = []
    for each in annotations:
        if "tag" in each:  # said of the whole image
            continue
        with source.errors.row(image):
            shape = _shape(each)
            if shape is None:
                without_box.append(each.source)
            else:
                source.add_shape(image, shape)
    return without_box


def _shape(node: Node) -> Shape | None:
    attributes = {key: value for key, value in node.value.items() if key not in _KNOWN and value not in (None, [], {})}
    kind = next((key for key in ("polygon", "ellipse", "line", "keypoint", "skeleton") if key in node), RECTANGLE)
    drawn: dict[str, Any] = {} if kind == RECTANGLE else {"points": _points(node.child(kind), kind)}
    if "bounding_box" in node:
        xyxy: Corners = _box(node.child("bounding_box"))
    elif kind == "ellipse":
        xyxy = _ellipse(node.child(kind))
    elif kind != RECTANGLE:
        xyxy = extent(drawn["points"])
    elif "cuboid" in node:
        faces = [_box(node.child("cuboid").child(face)) for face in ("front", "back")]
        kind, drawn = "cuboid", {"faces": faces}
        xyxy = extent([point for face in faces for point in (face[:2], face[2:])])
    elif any(key in node for key in _WITHOUT_BOX):
        return None
    else:
        raise node.error("bounding_box", "JSON_KEY", "it has neither a box nor another outline", "draw it again")
    return Shape(node.string("name"), xyxy, node.source, kind, drawn, attributes)


def _points(shape: Node, kind: str) -> list[Point]:
    """Return the points of a shape; of a polygon those of all its paths."""
    if kind in ("keypoint", "ellipse"):
        return [_point(shape if kind == "keypoint" else shape.child("center"))]
    if "paths" in shape:
        paths = shape.value["paths"] if isinstance(shape.value["paths"], list) else []
        points = [point for i, path in enumerate(paths) for point in shape.below(f"paths/{i}", path).elements()]
    else:
        points = shape.items("nodes" if kind == "skeleton" else "path")
    if not points:
        raise shape.error(None, "SHAPE_EMPTY", "it has no points", "draw it again, or remove it")
    return [_point(point) for point in points]


def _box(node: Node) -> Corners:
    x, y, width, height = (node.number(key) for key in ("x", "y", "w", "h"))
    return x, y, x + width, y + height


def _point(node: Node) -> Point:
    return node.number("x"), node.number("y")


def _ellipse(node: Node) -> Corners:
    radius = node.child("radius")
    degrees = math.degrees(node.number("angle", 0.0))
    return ellipse_extent(_point(node.child("center")), _point(radius), degrees)
