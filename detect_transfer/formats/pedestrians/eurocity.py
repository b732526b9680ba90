"""EuroCity Persons: one JSON file an image, `day/labels/<split>/<city>/*.json`.

The corners `x0, y0, x1, y1` are continuous and count from 0, which is our own convention: the kit adds 1 to detections
of inclusive pixels before it compares them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import orjson
import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import ImageLookup, ImageRef, find_images
from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.parsing.row_table import finish_rows
from detect_transfer.formats.pedestrians.persons import stated_size

_VEHICLES = ("bicycle", "motorbike", "scooter", "tricycle", "buggy", "wheelchair")
_CLASSES = (
    *("pedestrian", "rider", "co-rider", "person-group-far-away", "rider+vehicle-group-far-away"),
    *(name for vehicle in _VEHICLES for name in (vehicle, f"{vehicle}-group")),
)
_IDS = {name: i for i, name in enumerate(_CLASSES, start=1)}
# the first of them is the reason: the benchmark ignores a person for the first two, and discards a depicted group
_IGNORED_TAGS = ("sitting-lying", "behind-glass", "depiction")
_LEVEL = re.compile(r"(occluded|truncated)\s*>\s*([0-9]{1,2})")
_UNKNOWN = ("error", "ignore")
_DEEPEST = 20
_FACTS = ("image", "split", "city", "time_of_day", "tags")
_SCHEMA: dict[str, type[pl.DataType]] = {
    **{"image": pl.String, "category_id": pl.Int64},
    **dict.fromkeys(("x1", "y1", "x2", "y2", "occluded", "truncated"), pl.Float64),
    **{"iscrowd": pl.Boolean, "ignore": pl.Boolean, "ignore_reason": pl.String},
    **{"attributes": pl.String, "source": pl.String},
}


def read(
    root: Path,
    *,
    unknown: str = "error",
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
        unknown: What to do about an identity that is none of the 17 or is null: ``error`` (null never is one), or
            ``ignore`` to make it a region that is ignored for every class.
        missing_images: ``error``, ``keep`` to go on without the images that are not there, or ``skip`` to leave them
            and their boxes out.
        size_mismatch: ``error``, or ``keep`` to trust the image where the label states another size.
        on_error: What becomes of a box or an image at fault: ``fail``, ``skip-row`` or ``skip-image``.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its JSON
            pointer.

    Source: M. Braun et al., EuroCity Persons, PAMI 2019; evaluation code of the benchmark.
    """
    native.check_choice("unknown", unknown, _UNKNOWN)
    media = ImageLookup("stem", missing_images, size_mismatch)
    problems = ErrorCollector(on_error)
    io.require_dir(root, what="the folder of EuroCity Persons")
    names = [n for n in io.list_files(root, (".json",)) if "labels" in PurePosixPath(n).parts]
    if not names:
        raise InputError(
            *("EUROCITY_MISSING", "no folder named labels holds a JSON file"),
            where=root,
            remedy="give the folder that holds day/labels or labels",
        )
    labels = _Labels(root, unknown, problems)
    for name in names:
        labels.read(name)
    return finish_rows(
        problems,
        rows=pl.DataFrame(labels.rows, schema=_SCHEMA, orient="row"),
        found=find_images(root, labels.named, media, problems),
        categories={"category_id": list(_IDS.values()), "name": list(_IDS)},
        image_root=root,
        facts=pl.DataFrame(labels.facts, schema=dict.fromkeys(_FACTS, pl.String), orient="row"),
    )


@dataclass
class _Labels:
    """What the label files say: the images, a row a box in the order of `_SCHEMA`, and facts of the images."""

    root: Path
    unknown: str
    problems: ErrorCollector
    named: dict[str, ImageRef] = field(init=False, default_factory=dict)
    rows: list[tuple[object, ...]] = field(init=False, default_factory=list)
    facts: list[tuple[str | None, ...]] = field(init=False, default_factory=list)

    def read(self, name: str) -> None:
        """Read the labels of one image."""
        parts = PurePosixPath(name).parts
        image = PurePosixPath(*("img" if part == "labels" else part for part in parts)).with_suffix(".png").as_posix()
        with self.problems.image(image):
            frame = _frame(read_json(self.root, name).as_object())
            size = stated_size(frame, "imagewidth", "imageheight")
            boxes, tags = list(_boxes(frame, ())), ", ".join(_tags(frame))
            self.named[image] = ImageRef(f"{self.root}/{frame.source}/imagewidth", size)
            self.facts.append((image, split_of_path(name), parts[-2], _time_of(self.root, name), tags))
            for one, rider in boxes:
                with self.problems.row(image):
                    self.rows.append(_row(one, image, rider, self.unknown))


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
    return next((p for p in (*root.absolute().parts[-1:], *PurePosixPath(name).parts) if p in ("day", "night")), None)


def _tags(node: Node) -> list[str]:
    tags = node.value.get("tags") or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise node.error("tags", "JSON_TYPE", "expected a list of strings")
    return tags


def _boxes(node: Node, above: tuple[str, ...]) -> Iterator[tuple[Node, str | None]]:
    """Give the boxes in a node, each followed by those in it, with the place of the one that it is in."""
    if len(above) > _DEEPEST:
        raise node.error("children", "JSON_VALUE", f"boxes are nested more than {_DEEPEST} times")
    for one in node.items("children", []):
        yield one, above[-1] if above else None
        yield from _boxes(one, (*above, one.source.rpartition("#")[2]))


def _row(one: Node, image: str, rider: str | None, unknown: str) -> tuple[object, ...]:
    x1, y1, x2, y2 = (one.number(key, text=True) for key in ("x0", "y0", "x1", "y1"))
    if x2 < x1 or y2 < y1:
        raise one.error(None, "BOX_INVALID", "x1 must be >= x0 and y1 >= y0", "fix or remove the box")
    identity, tags = one.string_or_none("identity"), _tags(one)
    if identity is not None and identity not in _IDS and unknown == "error":
        raise one.error("identity", "CLASS_UNKNOWN", "there is no such class", did_you_mean(identity, _CLASSES))
    group, reason = _marks(identity, tags)
    levels = {kind: int(level) / 100 for kind, level in (m.groups() for m in map(_LEVEL.fullmatch, sorted(tags)) if m)}
    return (
        *(image, _IDS.get(identity or ""), x1, y1, x2, y2, levels.get("occluded", 0.0), levels.get("truncated", 0.0)),
        *(group, reason is not None, reason, _attributes(one, identity, tags, rider), one.source),
    )


def _marks(identity: str | None, tags: list[str]) -> tuple[bool, str | None]:
    """Return whether a box is a crowd, and why it is to be ignored."""
    if identity not in _IDS:
        return False, "unknown class" if identity else "no class is told"
    group = "group" in str(identity)
    ordered = reversed(_IGNORED_TAGS) if group else _IGNORED_TAGS
    return group, next((tag for tag in ordered if tag in tags), "group" if group else None)


def _attributes(one: Node, identity: str | None, tags: list[str], rider: str | None) -> str | None:
    orient = next((one.number(key, text=True) for key in ("Orient", "orient") if key in one), None)
    further = {"tags": tags or None, "orient": orient, "of": rider, "identity": None if identity in _IDS else identity}
    told = {key: value for key, value in further.items() if value is not None}
    return orjson.dumps(told).decode() if told else None
