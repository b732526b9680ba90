"""EuroCity Persons: one JSON file an image, `day/labels/<split>/<city>/*.json`.

The corners `x0, y0, x1, y1` are continuous and count from 0, which is our own convention: the kit adds 1 to detections
of inclusive pixels before it compares them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.parsing.source import Source, listed

_CLASSES = listed(
    """pedestrian, rider, co-rider, person-group-far-away, rider+vehicle-group-far-away, bicycle, bicycle-group,
    motorbike, motorbike-group, scooter, scooter-group, tricycle, tricycle-group, buggy, buggy-group, wheelchair,
    wheelchair-group"""
)
_IGNORED_TAGS = ("sitting-lying", "behind-glass", "depiction")
_LEVEL = re.compile(r"(occluded|truncated)\s*>\s*([0-9]{1,2})")
_UNKNOWN = ("keep", "error", "ignore")
_DEEPEST = 20


def read(
    root: Path,
    *,
    unknown: str = "keep",
    missing_images: str = "error",
    size_mismatch: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read EuroCity Persons: pedestrians, riders, and the vehicles of these as boxes of their own.

    Groups are crowds. Who sits or lies, is behind glass, or is a depiction is ignored, as the kit does. A level such as
    ``occluded>40`` is the least hidden share, 0.4; without one it is 0. Of an image the table has `city`,
    `time_of_day` and `tags`; of a box the tags, the orientation and the rider whom a vehicle belongs to stand in
    `attributes`. Images without labels are the hidden test set, not negatives.

    Args:
        root: The folder ``ECP``, or ``day`` or ``night`` in it; images lie in ``img`` where labels lie in ``labels``.
        unknown: What becomes of an identity that is none of the 17: ``keep`` takes it as a further class, ``error``
            refuses it, ``ignore`` makes it a region that is ignored for every class, as one without identity is.
        missing_images: See `Source`.
        size_mismatch: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its JSON
            pointer.

    Source: M. Braun et al., EuroCity Persons, PAMI 2019; evaluation code of the benchmark.
    """
    native.check_choice("unknown", unknown, _UNKNOWN)
    what = "the folder of EuroCity Persons"
    source = Source(
        root, what, by="stem", missing_images=missing_images, size_mismatch=size_mismatch, on_error=on_error
    )
    names = [name for name in io.list_files(root, (".json",)) if "labels" in PurePosixPath(name).parts]
    if not names:
        what, remedy = "no folder named labels holds a JSON file", "give the folder that holds day/labels or labels"
        raise InputError("EUROCITY_MISSING", what, where=root, remedy=remedy)
    for name in names:
        parts = PurePosixPath(name).parts
        image = PurePosixPath(*("img" if part == "labels" else part for part in parts)).with_suffix(".png").as_posix()
        with source.errors.image(image):
            _read_file(source, name, image, unknown)
    return source.table(categories=_CLASSES)


def _read_file(source: Source, name: str, image: str, unknown: str) -> None:
    frame = _frame(read_json(source.root, name).as_object())
    boxes = list(_boxes(frame, ()))
    source.add_image(
        image,
        f"{frame.where}/imagewidth",
        frame.size_wh("imagewidth", "imageheight"),
        split=split_of_path(name),
        city=PurePosixPath(name).parts[-2],
        time_of_day=_time_of(source.root, name),
        tags=", ".join(_tags(frame)),
    )
    for box, rider in boxes:
        with source.errors.row(image):
            _add_box(source, image, box, rider, unknown)


def _frame(document: Node) -> Node:
    """Return the frame of a file, which some files wrap twice."""
    if "@converter" not in document:
        return document
    for _ in range(2):
        inside = document.items("children")
        if not inside:
            raise document.error("children", "JSON_VALUE", "expected the frame in it")
        document = inside[0]
    return document


def _time_of(root: Path, name: str) -> str | None:
    parts = (*root.absolute().parts[-1:], *PurePosixPath(name).parts)
    return next((part for part in parts if part in ("day", "night")), None)


def _tags(node: Node) -> list[str]:
    return node.words("tags") if "tags" in node else []


def _boxes(node: Node, above: tuple[str, ...]) -> Iterator[tuple[Node, str | None]]:
    """Give the boxes in a node, each followed by those in it, with the place of the one that it is in."""
    if len(above) > _DEEPEST:
        raise node.error("children", "JSON_VALUE", f"boxes are nested more than {_DEEPEST} times")
    for box in node.items("children", []):
        yield box, above[-1] if above else None
        yield from _boxes(box, (*above, box.source.rpartition("#")[2]))


def _add_box(source: Source, image: str, box: Node, rider: str | None, unknown: str) -> None:
    x1, y1, x2, y2 = (box.number(key, text=True) for key in ("x0", "y0", "x1", "y1"))
    if x2 < x1 or y2 < y1:
        raise box.error(None, "BOX_INVALID", "x1 must be >= x0 and y1 >= y0", "fix or remove the box")
    identity, tags = box.string_or_none("identity"), _tags(box)
    label = identity if identity in _CLASSES or unknown == "keep" else None
    if identity is not None and label is None and unknown == "error":
        raise box.error("identity", "CLASS_UNKNOWN", "there is no such class", did_you_mean(identity, _CLASSES))
    reason = _ignore_reason(label, identity, tags)
    levels = {match[1]: int(match[2]) / 100 for match in map(_LEVEL.fullmatch, sorted(tags)) if match}
    orient = next((box.number(key, text=True) for key in ("Orient", "orient") if key in box), None)
    further = {"tags": tags or None, "orient": orient, "of": rider, "identity": None if label else identity}
    source.add_box(
        image,
        label,
        (x1, y1, x2, y2),
        box.source,
        {key: value for key, value in further.items() if value is not None},
        occluded=levels.get("occluded", 0.0),
        truncated=levels.get("truncated", 0.0),
        iscrowd=label is not None and "group" in label,
        ignore=reason is not None,
        ignore_reason=reason,
    )


def _ignore_reason(label: str | None, identity: str | None, tags: list[str]) -> str | None:
    if label is None:
        return "unknown class" if identity else "no class is stated"
    is_group = "group" in label
    ordered = reversed(_IGNORED_TAGS) if is_group else _IGNORED_TAGS
    return next((tag for tag in ordered if tag in tags), "group" if is_group else None)
