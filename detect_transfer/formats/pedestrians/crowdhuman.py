"""CrowdHuman: a JSON object a line in `annotation_<split>.odgt`, images named by their ID.

Each person has a full box `fbox`, a visible box `vbox` and a head box `hbox`, `[x, y, width, height]` from the top-left
corner of the first pixel; which of them is the target is a choice. A full box may leave its image. What has another
tag than `person` (crowds, reflections, drawings) is a region to be ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from detect_transfer.core.annotations import BOX_SCHEMA, AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.image_lookup import ImageLookup, ImageRef, find_images
from detect_transfer.formats.parsing.json_lines import read_json_lines
from detect_transfer.formats.parsing.json_nodes import Node
from detect_transfer.formats.parsing.locations import annotation_files
from detect_transfer.formats.parsing.row_table import finish_rows
from detect_transfer.formats.parsing.shape_table import dump

TARGETS = {"person": "fbox", "visible": "vbox", "head": "hbox"}
_CLASSES = {"person": "person", "visible": "person_visible", "head": "head"}
_VISIBLE = ("vis_x1", "vis_y1", "vis_x2", "vis_y2")
_COLUMNS = (
    *("x1", "y1", "x2", "y2", *_VISIBLE, "category_id", "iscrowd", "ignore"),
    *("ignore_reason", "attributes", "source"),
)
_SPLIT = re.compile("train|val|test")


@no_collection()
def read(
    root: Path, *, target: str = "person", missing_images: str = "error", on_error: str = "fail"
) -> AnnotationTable:
    """Read CrowdHuman: one class, `person`, `person_visible` or `head` by the target.

    Boxes with the ignore flag (of the head, for heads) are to be ignored, those with another tag than ``person`` are
    crowds as well (reason ``mask``). The visible box of a person goes to the columns `vis_*`, the other boxes and flags
    to `attributes`. A person without the box that is the target is left out, which the ledger counts.

    Args:
        root: The folder with ``annotation_train.odgt`` and the like and the images ``Images/<ID>.jpg``, or such a
            file.
        target: ``person`` for the full body, ``visible`` for its visible part, ``head``.
        missing_images: ``error``; ``keep`` goes on without sizes; ``skip`` leaves the image and its boxes out.
        on_error: ``fail``, or ``skip-row`` or ``skip-image`` to leave out what is at fault and count it.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its line.

    Source: Shao et al., CrowdHuman: A Benchmark for Detecting Human in a Crowd, 2018; the page of its download.
    """
    native.check_choice("target", target, tuple(TARGETS))
    media = ImageLookup(by="tail", missing_images=missing_images)
    problems = ErrorCollector(on_error)
    folder, names = annotation_files(root, (".odgt",), what="annotation_train.odgt")
    named: dict[str, ImageRef] = {}
    splits: list[str | None] = []
    rows: list[tuple[Any, ...]] = []
    absent: list[str] = []
    for name in names:
        split = _SPLIT.search(name.rpartition("/")[2])
        for record in read_json_lines(folder, name, problems):
            image = _image(record, folder, named, problems)
            if image is not None:
                named[image] = ImageRef(f"{folder}/{record.source}")
                splits.append(split[0] if split else None)
                rows += ((image, *row) for row in _boxes(record, image, target, problems, absent))
    problems.note(f"a person without {TARGETS[target]}", len(absent), tuple(absent), kind="box")
    schema = {name: pl.String if name == "image" else BOX_SCHEMA[name] for name in ("image", *_COLUMNS)}
    return finish_rows(
        problems,
        rows=pl.DataFrame(rows, schema=schema, orient="row"),
        found=find_images(folder, named, media, problems),
        categories={"category_id": [1], "name": [_CLASSES[target]]},
        image_root=folder,
        facts=pl.DataFrame({"image": list(named), "split": splits}, schema={"image": pl.String, "split": pl.String}),
    )


def _image(record: Node, root: Path, named: dict[str, ImageRef], problems: ErrorCollector) -> str | None:
    """Return the name of the image of a record, or None after reporting that it has none of its own."""
    with problems.image(record.source):
        image = f"Images/{record.string('ID')}.jpg"
        if image not in named:
            return image
        problems.add(
            "ID_DUPLICATE",
            f"it is annotated at {named[image].where} too",
            where=f"{root}/{record.source}/ID",
            field="ID",
            value=record.string("ID"),
            image=image,
            remedy="remove one of them",
        )
    return None


def _boxes(
    record: Node, image: str, target: str, problems: ErrorCollector, absent: list[str]
) -> Iterator[tuple[Any, ...]]:
    """Give the boxes of a record as values of `_COLUMNS`; a person without the target is noted in `absent`."""
    boxes: list[Node] = []
    with problems.image(image):
        boxes = record.items("gtboxes")
    for box in boxes:
        try:
            is_person = box.string("tag") == "person"
            key = TARGETS[target]
            if key not in box:
                if is_person and target != "person":
                    absent.append(box.source)
                    continue
                key = "fbox"
            row = _row(box, target, key, is_person=is_person)
        except InputError as error:
            problems.put(error, row_of=image)
        else:
            yield row


def _row(box: Node, target: str, key: str, *, is_person: bool) -> tuple[Any, ...]:
    xyxy = _corners(box, key)
    has_visible = target == "person" and "vbox" in box
    visible = _corners(box, "vbox") if has_visible else (None,) * 4
    flags = "head_attr" if target == "head" else "extra"
    flagged = flags in box and box.child(flags).number("ignore", 0) != 0
    held = {key, "tag", "vbox"} if has_visible else {key, "tag"}
    attributes = {name: value for name, value in box.value.items() if name not in held}
    reason = "mask" if not is_person else "ignore flag" if flagged else None
    return (
        *(*xyxy, *visible, 1, not is_person, reason is not None, reason),
        dump(attributes, box.where) if attributes else None,
        box.source,
    )


def _corners(box: Node, key: str) -> tuple[float, ...]:
    x, y, width, height = box.numbers(key, 4)
    if width < 0 or height < 0:
        raise box.error(key, "BOX_INVALID", "width and height must not be negative", "fix the box or remove it")
    return x, y, x + width, y + height
