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
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.image_lookup import ImageLookup, ImageRef
from detect_transfer.formats.parsing.json_lines import read_json_lines
from detect_transfer.formats.parsing.json_nodes import Node
from detect_transfer.formats.parsing.locations import (
    NearbyImages,
    annotation_files,
    path_of_address,
    split_named,
    split_of_path,
)
from detect_transfer.formats.parsing.shape_table import Shape, TableBuilder

_KIND = "groundtruth/object-detection"
_METADATA = "-metadata"
_BOX = ("class_id", "left", "top", "width", "height")


@no_collection()
def read(
    root: Path, *, label_attribute: str | None = None, missing_images: str = "error", size_mismatch: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:  # fmt: skip
    """Read the manifests (``.manifest`` or ``.jsonl``) of labelling jobs for bounding boxes.

    An image is found by the end of its address, `source-ref`. A line without the label attribute, or whose job failed,
    is not annotated and stays out, which the ledger counts. A manifest named like ``train.manifest`` tells the split.

    Args:
        root: The folder of the manifests and images, or one manifest.
        label_attribute: The attribute of the job whose boxes are read; None where lines have those of one job.
        missing_images: ``error``; ``keep`` goes on with the sizes that the manifest states; ``skip`` leaves the image
            and its boxes out.
        size_mismatch: ``error``, or ``keep`` to trust the image where a line states another size.
        on_error: ``fail``, or ``skip-row`` or ``skip-image`` to leave out what is at fault and count it.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its line.

    Source: Amazon SageMaker developer guide, Ground Truth, output data, bounding box job output.
    """
    media = ImageLookup(missing_images=missing_images, size_mismatch=size_mismatch)
    problems = ErrorCollector(on_error)
    folder, names = annotation_files(root, (".manifest", ".jsonl"), what="a manifest of Ground Truth")
    drawing = TableBuilder(folder, media, problems)
    lines = [(name, line) for name in names for line in read_json_lines(folder, name, problems)]
    attribute = _attribute([line for _, line in lines], label_attribute, folder)
    nearby = NearbyImages(folder)
    unlabelled: list[str] = []
    for name, line in lines:
        with problems.image(line.source):
            image = nearby.nearest(path_of_address(line.string("source-ref")))
            if attribute not in line or "failure-reason" in _metadata(line, attribute):
                unlabelled.append(image)
            else:
                words = re.split("[^a-z]+", name.rpartition("/")[2].lower())
                _read_line(line, (image, attribute), drawing, split_named(*words) or split_of_path(name))
    problems.note("not annotated", len(unlabelled), tuple(unlabelled), kind="image")
    return drawing.table()


def _metadata(line: Node, attribute: str) -> dict[str, Any]:
    found = line.value.get(f"{attribute}{_METADATA}")
    return found if isinstance(found, dict) else {}


def _attribute(lines: Sequence[Node], label_attribute: str | None, root: Path) -> str:
    """Return the attribute whose metadata say that it holds boxes."""
    found = set() if label_attribute is None else {label_attribute}
    for line in lines if label_attribute is None else ():
        keys = [key.removesuffix(_METADATA) for key in line.value if key.endswith(_METADATA)]
        found |= {key for key in keys if _metadata(line, key).get("type") == _KIND}
    if len(found) == 1:
        return found.pop()
    if not found:
        raise InputError(
            *("SAGEMAKER_LABELS", f"no line has an attribute whose metadata are of type {_KIND}"),
            where=root,
            remedy="give the output manifest of a job for bounding boxes, or label_attribute",
        )
    raise InputError(
        *("SAGEMAKER_LABELS", f"lines hold the boxes of {len(found)} jobs"),
        where=root,
        field="label_attribute",
        remedy="give label_attribute, one of: " + ", ".join(sorted(found)),
    )


def _read_line(line: Node, key: tuple[str, str], drawing: TableBuilder, split: str | None) -> None:
    """Add the image and the boxes of a line; `key` is the image and the attribute."""
    image, attribute = key
    with drawing.problems.image(image):
        told, about = line.child(attribute), line.child(f"{attribute}{_METADATA}")
        sizes = told.items("image_size", [])
        size = sizes[0].size_wh() if sizes else None
        classes = about.child("class-map").value if "class-map" in about else {}
        boxes = told.items("annotations")
        scores = about.items("objects", [])
        if not drawing.add_image(image, ImageRef(line.where, size), {"split": split}):
            return
        for index, box in enumerate(boxes):
            drawing.take(image, _shape, box, classes, scores[index] if index < len(scores) else None)


def _shape(box: Node, classes: dict[str, Any], score: Node | None) -> Shape:
    label = classes.get(str(box.whole("class_id")))
    if not isinstance(label, str):
        raise box.error("class_id", "CLASS_UNKNOWN", "the class-map of the line does not name it")
    left, top, width, height = (box.number(key) for key in _BOX[1:])
    attributes = {key: value for key, value in box.value.items() if key not in _BOX}
    if score is not None and "confidence" in score:
        attributes["confidence"] = score.number("confidence")
    return Shape(label, (left, top, left + width, top + height), box.source, attributes=attributes)
