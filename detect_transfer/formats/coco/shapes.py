"""Boxes of annotations that state none, or state one that is turned."""

from __future__ import annotations

from contextlib import suppress
from operator import itemgetter
from typing import Any

from detect_transfer.formats.coco.json import Items
from detect_transfer.formats.parsing.box_format import BoxFormat
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.masks import segmentation_extent
from detect_transfer.formats.parsing.shapes import Corners, turned_extent

_NO_SHAPE: tuple[Any, ...] = (None, [])


def complete_boxes(annotations: Items, box_format: BoxFormat, errors: ErrorCollector) -> None:
    """Write a `bbox` into annotations, in place, with a remark in `errors` for each kind of change.

    Where there is none, it is the extent of the segmentation; with neither, as tools leave behind what was drawn and
    wiped out, an empty box. CVAT states turned boxes as they were before and the angle in `attributes`: the box around
    the turned one is taken, and both go to `drawn`.

    Args:
        annotations: The objects of the list.
        box_format: What their boxes are; shares are left alone, for segmentations are in pixels.
        errors: Gets the remarks.
    """
    if box_format.units == "shares":
        return
    n_extents = n_empty = n_turned = 0
    for item in _without_box(annotations):
        segmentation, is_wiped = item.get("segmentation"), item.get("bbox", 0) == []
        corners = segmentation_extent(segmentation)
        if corners is not None:
            item["bbox"] = _numbers(corners, box_format)
            n_extents += 1
        elif is_wiped and segmentation in _NO_SHAPE and not item.get("num_keypoints"):
            item["bbox"] = [0, 0, 0, 0]
            n_empty += 1
    if box_format.form == "xywh":
        n_turned = sum(map(_turn, [item for item in annotations if "attributes" in item and _is_turned(item)]))
    errors.remark("no box: the extent of the segmentation is taken", n_extents, kind="box")
    errors.remark("neither box nor segmentation: taken as an empty box", n_empty, kind="box")
    errors.remark("turned: the box around the turned one is taken", n_turned, kind="box")


def _without_box(annotations: Items) -> Items:
    with suppress(KeyError):  # nearly always all have one, which is found out in a third of the time
        if all(map(itemgetter("bbox"), annotations)):
            return []
    return [item for item in annotations if not item.get("bbox")]


def _numbers(corners: Corners, box_format: BoxFormat) -> list[float]:
    x1, y1, x2, y2 = corners
    if box_format.form == "xyxy":
        return [x1, y1, x2, y2]
    start = (x1, y1) if box_format.form == "xywh" else ((x1 + x2) / 2, (y1 + y2) / 2)
    return [*start, x2 - x1, y2 - y1]


def _is_turned(item: dict[str, Any]) -> bool:
    """Tell whether an annotation with attributes is a turned box of CVAT, which always states `occluded` too."""
    attributes = item["attributes"]
    if not isinstance(attributes, dict) or "occluded" not in attributes or item.get("segmentation") not in _NO_SHAPE:
        return False
    angle = attributes.get("rotation")
    return isinstance(angle, int | float) and not isinstance(angle, bool) and angle % 360 != 0


def _turn(item: dict[str, Any]) -> bool:
    """Take the box around the turned one; a box at fault stays as it is."""
    box = item.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not set(map(type, box)) <= {int, float}:
        return False
    x, y, width, height = box
    attributes = dict(item["attributes"])
    angle = attributes.pop("rotation")
    attributes["drawn"] = {"shape": "rectangle", "rotation": angle, "xyxy": [x, y, x + width, y + height]}
    item["attributes"] = attributes
    x1, y1, x2, y2 = turned_extent((x, y, x + width, y + height), angle)
    item["bbox"] = [x1, y1, x2 - x1, y2 - y1]
    return True
