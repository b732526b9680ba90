"""BDD100K detection: the Scalabel lists of 2020, the lists of 2018, or a JSON a frame.

The corners count from the first pixel and include the last one, as the official conversion (w = x2 - x1 + 1) has it:
x2 and y2 grow by 1. Nothing is clipped, so a box may reach past its image by that pixel.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from detect_transfer.core import io
from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.json_boxes import corners, dump
from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.parsing.source import Source, listed

_CLASSES = listed("pedestrian, rider, car, truck, bus, train, motorcycle, bicycle, traffic light, traffic sign")
_OLDER = {"person": "pedestrian", "bike": "bicycle", "motor": "motorcycle", "caravan": "car", "van": "car"}
_IGNORED = {"other person": "pedestrian", "other vehicle": "car", "trailer": "truck"}
_CLASS_OF = {**{name: name for name in _CLASSES}, **_OLDER, **_IGNORED}
_FACTS = ("weather", "scene", "timeofday")
_FLAGS = ("crowd", "ignored", "occluded", "truncated")
_OF_FRAME = ("name", "attributes", "timestamp", "labels", "frames", "size", "videoName")
_OF_LABEL = ("category", "box2d", "attributes")
_FORMS = {
    "det_20": re.compile(r"(?:.*/)?det_(?:v2_)?(train|val|test)(?:_release)?\.json"),
    "lists_2018": re.compile(r"(?:.*/)?bdd100k_labels_images_(train|val|test)\.json"),
    "frames": re.compile(r"(?:.*/)?100k/(train|val|test)/[^/]+\.json"),
}


def read(
    root: Path,
    *,
    labels: str = "auto",
    images: Path | None = None,
    missing_images: str = "error",
    size_mismatch: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read BDD100K: the ten official classes in their order, whatever their older names.

    `other person`, `other vehicle` and `trailer` are crowds of the class that the official conversion gives them, and
    so are labels flagged ``crowd`` or ``ignored``; all are to be ignored. Labels without ``box2d`` (lanes, drivable
    areas) are left out, which the ledger counts. Weather, scene, time of day and time stamp are columns of `images`;
    what else is stated of a frame is JSON in its column `attributes`.

    Args:
        root: The folder that holds the labels and, in ``images/100k/<split>`` or anywhere else below it, the images.
        labels: Which labels, where several are there: ``det_20`` (det_<split>.json), ``lists_2018``
            (bdd100k_labels_images_<split>.json) or ``frames`` (100k/<split>/<name>.json).
        images: See `Source`.
        missing_images: See `Source`.
        size_mismatch: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once.

    Source: Yu et al., BDD100K, CVPR 2020; to_coco.py of its toolkit; the Scalabel format.
    """
    native.check_choice("labels", labels, ("auto", *_FORMS))
    source = Source(
        root,
        "a folder with the labels of BDD100K",
        by="tail",
        missing_images=missing_images,
        size_mismatch=size_mismatch,
        on_error=on_error,
        image_folder=images,
    )
    without_box: list[str] = []
    with no_collection():
        for name, split in _choose(root, labels).items():
            folder = f"images/100k/{split}/"
            _read_file(source, name, (split, folder if (source.image_root / folder).is_dir() else ""), without_box)
        rows = source.box_rows()
    source.errors.note("it has no box2d", len(without_box), tuple(without_box), kind="box")
    return source.table(rows, _CLASSES)


def _choose(root: Path, labels: str) -> dict[str, str]:
    """Return the label files with the split that each tells."""
    names = io.list_files(root, (".json",))
    files = {
        form: {name: match[1] for name in names if (match := pattern.fullmatch(name))}
        for form, pattern in _FORMS.items()
        if labels in ("auto", form)
    }
    there = [form for form, of_form in files.items() if of_form]
    if len(there) == 1:
        return files[there[0]]
    expected = "det_<split>.json, bdd100k_labels_images_<split>.json or 100k/<split>/<name>.json"
    what = f"expected one of {expected}; found {' and '.join(there) or 'none'}"
    remedy = "choose one of them by labels=" if there else "give the folder that holds labels and images"
    raise InputError("BDD100K_LABELS", what, where=root, field="labels", value=labels, remedy=remedy)


def _read_file(source: Source, name: str, of: tuple[str, str], without_box: list[str]) -> None:
    """Read a label file: a list of frames, an object that holds one, or the object of one frame.

    Args:
        source: The data set.
        name: The file.
        of: The split, and the folder of the images with a slash or nothing.
        without_box: Where the places of labels without a box go.
    """
    document = read_json(source.root, name)
    is_one = isinstance(document.value, dict) and "name" in document
    frames = [document] if is_one else document.elements() if isinstance(document.value, list) else None
    for node in document.as_object().items("frames") if frames is None else frames:
        frame = node.string("name")
        image = of[1] + (frame if "." in frame else f"{frame}.jpg")  # the oldest form names no suffix
        with source.errors.image(image):
            for label in _add_frame(source, node, image, of[0]):
                if label.value.get("box2d") is None:
                    without_box.append(label.source)
                    continue
                with source.errors.row(image):
                    _add_label(source, image, label)


def _add_frame(source: Source, node: Node, image: str, split: str) -> list[Node]:
    """Add a frame as an image and return its labels; none where it was added before, which is a fault."""
    inner = node
    if "frames" in node:
        frames = node.items("frames")
        if len(frames) != 1:
            raise node.error("frames", "JSON_VALUE", f"found {len(frames)} frames, expected one")
        inner = frames[0]
    labels = inner.items("labels" if inner is node else "objects", [])
    facts = node.child("attributes") if "attributes" in node else None
    columns: dict[str, Any] = {key: facts.string_or_none(key) if facts else None for key in _FACTS}
    further = {key: value for key, value in (facts.value if facts else {}).items() if key not in _FACTS}
    further |= {key: value for key, value in node.value.items() if key not in _OF_FRAME and value is not None}
    is_new = source.add_image(
        image,
        node.where,
        node.child("size").size_wh() if "size" in node else None,
        split=split,
        group=node.string_or_none("videoName"),
        timestamp=inner.number_or_none("timestamp"),
        attributes=dump(further, node.where) if further else None,
        **columns,
    )
    return labels if is_new else []


def _add_label(source: Source, image: str, node: Node) -> None:
    category = node.string("category")
    x1, y1, x2, y2 = corners(node.child("box2d"), XYXY)
    attributes = {key: value for key, value in node.value.items() if key not in _OF_LABEL and value is not None}
    facts = node.child("attributes") if "attributes" in node else None
    crowd, ignored, occluded, truncated = (facts.flag(key) if facts and key in facts else None for key in _FLAGS)
    if facts:
        attributes |= {key: value for key, value in facts.value.items() if key not in _FLAGS}
    label = _CLASS_OF.get(category, category)
    if category != label:
        attributes = {"category": category, **attributes}
    reason = category if category in _IGNORED else "crowd" if crowd else "ignored" if ignored else None
    source.add_box(
        image,
        label,
        (x1, y1, x2 + 1, y2 + 1),
        node.source,
        attributes,
        iscrowd=reason is not None,
        ignore=reason is not None,
        ignore_reason=reason,
        occluded=occluded,
        truncated=truncated,
    )
