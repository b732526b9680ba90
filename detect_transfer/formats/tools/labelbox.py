"""Labelbox: an export of version 2 as NDJSON, an image a line.

Boxes are ``left, top, width, height`` in pixels counted from 0; polygons, lines and points are lists of ``x, y``.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing.box_format import PIXEL_CORNERS, Units
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.json_lines import read_json_lines
from detect_transfer.formats.parsing.json_nodes import Node
from detect_transfer.formats.parsing.locations import NearbyImages, path_of_address, split_of_path
from detect_transfer.formats.parsing.shapes import RECTANGLE, Shape, extent
from detect_transfer.formats.parsing.source import Source

_NAMES = ("external_id", "global_key", "row_data")  # which of them is the name of the file is the user's choice
_OUTLINES = ("polygon", "line", "point")
_OF_TOOL = {"name", "value", "feature_id", "feature_schema_id", "annotation_kind", "bounding_box", *_OUTLINES}


@no_collection()
def read(  # noqa: PLR0913 - each is an option of the command line
    root: Path,
    *,
    project: str | None = None,
    other_shapes: str = "extent",
    images: Path | None = None,
    units: Units | None = None,
    missing_images: str = "error",
    size_mismatch: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read the .ndjson files of Labelbox: of each image the last label that people gave it.

    An image is the one that `external_id`, `global_key` or `row_data` names, whichever is there. One without a label
    that was not skipped is left out, which the ledger counts, and so are the objects of earlier labels, and those
    without an outline, such as masks. What else is said of an object goes to `attributes`.

    Args:
        root: The folder of the .ndjson files and images, or one such file.
        project: The id of the project whose labels are read, where an export holds several.
        other_shapes: See `Source`.
        images: See `Source`.
        units: What coordinates are counted in: ``pixels``, or ``shares`` of the image.
        missing_images: See `Source`.
        size_mismatch: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its line.

    Source: https://docs.labelbox.com/reference/label-export
    """
    source = Source(
        root,
        "an NDJSON export of Labelbox",
        missing_images=missing_images,
        size_mismatch=size_mismatch,
        on_error=on_error,
        other_shapes=other_shapes,
        or_file=True,
        image_folder=images,
        box_format=PIXEL_CORNERS.with_options(None, units),
    )
    nearby = NearbyImages(source.image_root)
    unlabelled, without_outline, earlier = list[str](), list[str](), list[str]()
    for name in source.files("*.ndjson", missing="it holds no .ndjson file; an export of Labelbox was expected"):
        for line in read_json_lines(source.root, name, source.errors):
            with source.errors.image(line.source):
                image, labels = _image(line.child("data_row"), nearby), _labels(line, project)
                if labels:
                    with source.errors.image(image):
                        without_outline += _add_image(source, image, line, labels[-1])
                        earlier += [each.source for label in labels[:-1] for each in _objects(label)]
                else:
                    unlabelled.append(image)
    nearby.remark(source.errors)
    source.errors.note("without a label", len(unlabelled), tuple(unlabelled), kind="image")
    for reason, places in (("it has no outline", without_outline), ("of an earlier label of the image", earlier)):
        source.errors.note(reason, len(places), tuple(places), kind="box")
    return source.table()


def _add_image(source: Source, image: str, line: Node, label: Node) -> list[str]:
    """Add an image with the objects of a label; return the places of those without an outline."""
    size = line.child("media_attributes") if "media_attributes" in line else None
    size_wh = size.size_wh() if size and "width" in size and "height" in size else None
    objects = _objects(label)
    without_outline: list[str] = []
    if source.add_image(image, line.where, size_wh, split=split_of_path(image)):
        for each in objects:
            with source.errors.row(image):
                without_outline += _add_object(source, image, each)
    return without_outline


def _image(row: Node, nearby: NearbyImages) -> str:
    paths = [path_of_address(text) for text in map(row.string_or_none, _NAMES) if text]
    if not paths:
        raise row.error(_NAMES[0], "IMAGE_NAME", f"one of {', '.join(_NAMES)} must name the image")
    return nearby.nearest(next((path for path in paths if PurePosixPath(path).name in nearby), paths[0]))


def _objects(label: Node) -> list[Node]:
    return label.child("annotations").items("objects", [])


def _is_skipped(label: Node) -> bool:
    """Tell whether somebody passed the image over, which leaves a label without objects."""
    details = label.value.get("performance_details")
    return isinstance(details, dict) and details.get("skipped") is True


def _labels(line: Node, project: str | None) -> list[Node]:
    labelled: dict[str, list[Node]] = {}
    for key, each in line.child("projects").members().items():
        labels = [label for label in each.items("labels", []) if not _is_skipped(label)]
        if labels and project in (None, key):
            labelled[key] = labels
    if len(labelled) > 1:
        what, remedy = "several projects label this image", f"give project, one of: {', '.join(sorted(labelled))}"
        raise InputError("LABELBOX_PROJECT", what, where=f"{line.where}/projects", field="project", remedy=remedy)
    return next(iter(labelled.values()), [])


def _add_object(source: Source, image: str, node: Node) -> list[str]:
    """Add an object; return its place where it has no outline."""
    label = node.string("name")
    attributes = {
        key: value for key, value in node.value.items() if key not in _OF_TOOL and value not in (None, [], {})
    }
    if "bounding_box" in node:
        box = node.child("bounding_box")
        left, top, width, height = (box.number(key) for key in ("left", "top", "width", "height"))
        if width < 0 or height < 0:
            raise box.error("width", "BOX_INVALID", "width and height must not be negative", "fix it or remove it")
        shape = Shape(label, (left, top, left + width, top + height), node.source, RECTANGLE, {}, attributes)
    elif kind := next((key for key in _OUTLINES if key in node), None):
        nodes = [node.child(kind)] if kind == "point" else node.items(kind)
        points = [(point.number("x"), point.number("y")) for point in nodes]
        if not points:
            raise node.error(kind, "SHAPE_POINTS", "it has no point", "remove it")
        shape = Shape(label, extent(points), node.source, kind, {"points": points}, attributes)
    else:
        return [node.source]
    source.add_shape(image, shape)
    return []
