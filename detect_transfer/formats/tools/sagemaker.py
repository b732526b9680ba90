"""SageMaker Ground Truth: an augmented manifest, a JSON object a line.

Boxes are `left, top, width, height` in pixels counted from 0. Class names stand in the metadata of each line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing.box_format import PIXEL_CORNERS, Units
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.json_lines import read_json_lines
from detect_transfer.formats.parsing.json_nodes import Node
from detect_transfer.formats.parsing.locations import NearbyImages, path_of_address, split_named, split_of_path
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.tools.sagemaker_video import VIDEO_KINDS, read_sequence

_KIND = "groundtruth/object-detection"
_METADATA = "-metadata"
_BOX = ("class_id", "left", "top", "width", "height")


@no_collection()
def read(
    root: Path,
    *,
    label_attribute: str | None = None,
    images: Path | None = None,
    units: Units | None = None,
    missing_images: str = "error",
    size_mismatch: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read the manifests (``.manifest`` or ``.jsonl``) of labelling jobs for bounding boxes.

    An image is found by the end of its address, `source-ref`. A line without the label attribute, or whose job failed,
    is not annotated and stays out, which the ledger counts. The name of a manifest such as ``train.manifest`` states
    the split. Jobs on frames of videos are read where the labels of each sequence, ``SeqLabel.json``, lie beside the
    manifest; frames that nobody annotated stay out, which the ledger counts.

    Args:
        root: The folder of the manifests and images, or one manifest.
        label_attribute: The attribute of the job whose boxes are read; None where lines have those of one job.
        images: See `Source`.
        units: What coordinates are counted in: ``pixels``, or ``shares`` of the image.
        missing_images: See `Source`.
        size_mismatch: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its line.

    Source: Amazon SageMaker developer guide, Ground Truth, output data, bounding box job output.
    """
    what = "a manifest of Ground Truth"
    source = Source(
        root,
        what,
        missing_images=missing_images,
        size_mismatch=size_mismatch,
        on_error=on_error,
        or_file=True,
        image_folder=images,
        box_format=PIXEL_CORNERS.with_options(None, units),
    )
    names = source.files("*.manifest", "*.jsonl", missing=f"it holds no .manifest, .jsonl file; {what} was expected")
    lines = [(name, line) for name in names for line in read_json_lines(source.root, name, source.errors)]
    if not lines:
        source.errors.raise_any()
    attribute = label_attribute or _attribute([line for _, line in lines], source.root)
    nearby = NearbyImages(source.image_root)
    unlabelled = _read_lines(source, lines, attribute, nearby)
    nearby.remark(source.errors)
    source.errors.note("not annotated", len(unlabelled), tuple(unlabelled), kind="image")
    return source.table()


def _read_lines(source: Source, lines: Sequence[tuple[str, Node]], attribute: str, nearby: NearbyImages) -> list[str]:
    """Add the images and boxes of all lines; return the images that nobody annotated."""
    unlabelled: list[str] = []
    for name, line in lines:
        split = split_named(*re.split("[^a-z]+", name.rpartition("/")[2].lower())) or split_of_path(name)
        if _metadata(line, attribute).get("type") in VIDEO_KINDS:
            with source.errors.file():
                unlabelled += read_sequence(source, line, attribute, _classes(line, attribute), nearby, split)
            continue
        with source.errors.image(line.source):
            image = nearby.nearest(path_of_address(line.string("source-ref")))
            if attribute not in line or "failure-reason" in _metadata(line, attribute):
                unlabelled.append(image)
                continue
            with source.errors.image(image):
                _read_line(source, line, image, attribute, split)
    return unlabelled


def _metadata(line: Node, attribute: str) -> dict[str, Any]:
    metadata = line.value.get(f"{attribute}{_METADATA}")
    return metadata if isinstance(metadata, dict) else {}


def _classes(line: Node, attribute: str) -> dict[str, Any]:
    """Return the names of the classes by their numbers."""
    about = line.child(f"{attribute}{_METADATA}")
    return about.child("class-map").value if "class-map" in about else {}


def _attribute(lines: Sequence[Node], root: Path) -> str:
    """Return the attribute whose metadata say that it holds boxes."""
    attributes: list[str] = sorted(
        {
            key.removesuffix(_METADATA)
            for line in lines
            for key, value in line.value.items()
            if key.endswith(_METADATA) and isinstance(value, dict) and value.get("type") in (_KIND, *VIDEO_KINDS)
        }
    )
    if len(attributes) == 1:
        return attributes[0]
    if not attributes:
        what = f"no line has an attribute whose metadata are of type {_KIND}"
        remedy = "give the output manifest of a job for bounding boxes, or label_attribute"
        raise InputError("SAGEMAKER_LABELS", what, where=root, remedy=remedy)
    what, remedy = (
        f"lines hold the boxes of {len(attributes)} jobs",
        f"give label_attribute, one of: {', '.join(attributes)}",
    )
    raise InputError("SAGEMAKER_LABELS", what, where=root, field="label_attribute", remedy=remedy)


def _read_line(source: Source, line: Node, image: str, attribute: str, split: str | None) -> None:
    """Add the image and the boxes of a line."""
    job, about = line.child(attribute), line.child(f"{attribute}{_METADATA}")
    sizes = job.items("image_size", [])
    classes = _classes(line, attribute)
    boxes, objects = job.items("annotations"), about.items("objects", [])
    if source.add_image(image, line.where, sizes[0].size_wh() if sizes else None, split=split):
        for index, box in enumerate(boxes):
            with source.errors.row(image):
                _add_box(source, image, box, classes, objects[index] if index < len(objects) else None)


def _add_box(source: Source, image: str, box: Node, classes: dict[str, Any], about: Node | None) -> None:
    label = classes.get(str(box.whole("class_id")))
    if not isinstance(label, str):
        raise box.error("class_id", "CLASS_UNKNOWN", "the class-map of the line does not name it")
    left, top, width, height = (box.number(key) for key in _BOX[1:])
    attributes = {key: value for key, value in box.value.items() if key not in _BOX}
    if about is not None and "confidence" in about:
        attributes["confidence"] = about.number("confidence")
    source.add_box(image, label, (left, top, left + width, top + height), box.source, attributes)
