"""One annotation of the Mapillary Traffic Sign Dataset."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from detect_transfer.core.annotations import XYXY
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.json_boxes import as_attributes, corners, size_wh
from detect_transfer.formats.parsing.json_nodes import Node, read_json

PROPERTIES = (
    *("barrier", "occluded", "out-of-frame", "exterior", "ambiguous", "included", "direction-or-information"),
    *("highway", "dummy"),
)
COLUMNS = (
    *("image", "label", *XYXY, "iscrowd", "ignore", "ignore_reason", "occluded", "truncated", "attributes", "source"),
)
_ELSEWHERE = ("label", "bbox", "properties")
_SEAM = "cross_boundary"
_IN_COLUMNS = ("occluded", "out-of-frame")


@dataclass(frozen=True)
class SignFile:
    """What one annotation says.

    Args:
        image: The name of the image, as of `image_of`.
        source: The file, relative to the root.
        size_wh: The size stated.
        panorama: Whether the image shows 360 degrees.
        partial: Whether its objects are those of the partially annotated set.
        rows: The boxes, values in the order of `COLUMNS`.
    """

    image: str
    source: str
    size_wh: native.SizeWh
    panorama: bool
    partial: bool
    rows: Sequence[Sequence[Any]]


def image_of(name: str) -> str:
    """Return the name of the image of an annotation file: its key, with a suffix that copies may change."""
    return f"{PurePosixPath(name).stem}.jpg"


def read_file(root: Path, name: str, ignored: Collection[str], problems: ErrorCollector) -> SignFile | None:
    """Read an annotation; None after reporting that it is damaged as a whole.

    Args:
        root: The folder of the data set.
        name: The file, relative to it.
        ignored: The properties that make a sign neither target nor background.
        problems: Where faults go.
    """
    image = image_of(name)
    rows: list[Sequence[Any]] = []
    found = None
    with problems.image(image):
        node = read_json(root, name).as_object()
        panorama, objects = node.flag("ispano", False), node.items("objects")
        for one in objects:
            for side in _sides(one):
                with problems.row(image):
                    rows.append((image, *_row(one, side, ignored)))
        partial = any("correspondance" in one for one in objects)
        found = SignFile(image, name, size_wh(node), panorama, partial, rows)
    return found


def _sides(node: Node) -> tuple[str | None, ...]:
    """Return the sides of a panorama whose edge a sign crosses the seam at; None stands for a sign in one piece."""
    box = node.value.get("bbox")
    return ("left", "right") if isinstance(box, dict) and box.get(_SEAM) is not None else (None,)


def _row(node: Node, side: str | None, ignored: Collection[str]) -> Sequence[Any]:
    """Return the box of a sign, or its part on one side."""
    label = node.string("label")
    if not label:
        raise node.error("label", "ROW_EMPTY", "a sign needs a label")
    box = node.child("bbox")
    xyxy = corners(box if side is None else box.child(_SEAM).child(side))
    held = _flags(node.child("properties")) if "properties" in node else {}
    facts = {key: value for key, value in node.value.items() if key not in _ELSEWHERE}
    facts |= {key: value for key, value in held.items() if key not in _IN_COLUMNS}
    occluded, truncated = (float(held[key]) if key in held else None for key in _IN_COLUMNS)
    if side is not None:
        facts, truncated = {**facts, _SEAM: side}, 1.0
    reason = next((key for key in ignored if held.get(key)), None)
    return label, *xyxy, False, reason is not None, reason, occluded, truncated, as_attributes(facts), node.source


def _flags(node: Node) -> dict[str, bool]:
    if set(map(type, node.value.values())) == {bool}:
        return dict(node.value)
    return {key: node.flag(key) for key in node.value if key in node}
