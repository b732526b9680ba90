"""Frames and labels of BDD100K in the three forms that they come in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detect_transfer.core.annotations import XYXY
from detect_transfer.core.errors import did_you_mean
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.json_boxes import as_attributes, corners, size_wh
from detect_transfer.formats.parsing.json_nodes import Node, read_json

CLASSES = (
    *("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle", "traffic light"),
    "traffic sign",
)
COLUMNS = (
    *("category_id", *XYXY, "iscrowd", "ignore", "ignore_reason", "occluded", "truncated", "attributes", "source"),
)
FACTS = ("weather", "scene", "timeofday")
_KNOWN = ("name", "attributes", "timestamp", "labels", "frames", "size", "videoName")
_OLDER = {"person": "pedestrian", "bike": "bicycle", "motor": "motorcycle", "caravan": "car", "van": "car"}
_IGNORED = {"other person": "pedestrian", "other vehicle": "car", "trailer": "truck"}
_IDS = {name: i for i, name in enumerate(CLASSES, start=1)}
_ID_OF = {**_IDS, **{old: _IDS[new] for old, new in (_OLDER | _IGNORED).items()}}
_FLAGS = ("crowd", "ignored", "occluded", "truncated")
_ELSEWHERE = ("category", "box2d", "attributes")
_CORNERS = ("x1", "y1", "x2", "y2")


@dataclass(frozen=True)
class Frame:
    """A frame.

    Args:
        image: The name of its image.
        split: Its split.
        source: Where it stands, relative to the root.
        labels: Its labels.
        size_wh: Its size, where it is told.
        video: The video that it is of, where it is told.
        facts: The values of `FACTS`, what else is told as JSON, and the time stamp in ms; None where it is not told.
    """

    image: str
    split: str
    source: str
    labels: Sequence[Node]
    size_wh: native.SizeWh | None
    video: str | None
    facts: tuple[Any, ...]


def read_frames(root: Path, name: str, place: tuple[str, str], problems: ErrorCollector) -> Iterator[Frame]:
    """Give the frames of a label file: a list of frames, an object that holds one, or the object of one frame.

    Args:
        root: The folder of the data set.
        name: The file, relative to it.
        place: The split, and the folder of the images with a slash or nothing.
        problems: Where faults go.
    """
    document = read_json(root, name)
    if isinstance(document.value, list):
        frames = document.elements()
    elif "name" in document:
        frames = [document]
    else:
        frames = document.as_object().items("frames")
    for node in frames:
        name = node.string("name")
        image = place[1] + (name if "." in name else f"{name}.jpg")  # the oldest form names no suffix
        frame = None
        with problems.image(image):
            frame = _frame(node, image, place[0])
        if frame is not None:
            yield frame


def _frame(node: Node, image: str, split: str) -> Frame:
    held = node
    if "frames" in node:
        several = node.items("frames")
        if len(several) != 1:
            raise node.error("frames", "JSON_VALUE", f"found {len(several)} frames, expected one")
        held = several[0]
    labels = held.items("labels" if held is node else "objects", [])
    told = node.child("attributes") if "attributes" in node else None
    facts = [told.string_or_none(key) if told else None for key in FACTS]
    further = {key: value for key, value in (told.value if told else {}).items() if key not in FACTS}
    further |= {key: value for key, value in node.value.items() if key not in _KNOWN and value is not None}
    return Frame(
        image=image,
        split=split,
        source=node.source,
        labels=labels,
        size_wh=size_wh(node.child("size")) if "size" in node else None,
        video=node.string_or_none("videoName"),
        facts=(*facts, as_attributes(further), held.number_or_none("timestamp")),
    )


def box_row(node: Node) -> Sequence[Any]:
    """Return the box of a label, values in the order of `COLUMNS`.

    Raises:
        InputError: Something of it is missing or damaged.
    """
    category = node.string("category")
    if category not in _ID_OF:
        raise node.error("category", "CLASS_UNKNOWN", "there is no such class", did_you_mean(category, list(_ID_OF)))
    x1, y1, x2, y2 = corners(node.child("box2d"), _CORNERS)
    facts = {key: value for key, value in node.value.items() if key not in _ELSEWHERE and value is not None}
    told = node.child("attributes") if "attributes" in node else None
    crowd, ignored, occluded, truncated = (told.flag(key) if told and key in told else None for key in _FLAGS)
    if told:
        facts |= {key: value for key, value in told.value.items() if key not in _FLAGS}
    if category not in _IDS:
        facts = {"category": category, **facts}
    reason = category if category in _IGNORED else "crowd" if crowd else "ignored" if ignored else None
    return (
        *(_ID_OF[category], x1, y1, x2 + 1, y2 + 1, reason is not None, reason is not None, reason),
        *(None if share is None else float(share) for share in (occluded, truncated)),
        *(as_attributes(facts), node.source),
    )
