"""CrowdHuman: a JSON object a line in `annotation_<split>.odgt`, images named by their ID.

Each person has a full box `fbox`, a visible box `vbox` and a head box `hbox`, `[x, y, width, height]` from the top-left
corner of the first pixel; which of them is the target is a choice. A full box may leave its image. What has another
tag than `person` (crowds, reflections, drawings) is a region to be ignored.
"""

from __future__ import annotations

import re
from pathlib import Path

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.json_lines import read_json_lines
from detect_transfer.formats.parsing.json_nodes import Node
from detect_transfer.formats.parsing.shapes import Corners
from detect_transfer.formats.parsing.source import Source

TARGETS = {"person": "fbox", "visible": "vbox", "head": "hbox"}
_CLASSES = {"person": "person", "visible": "person_visible", "head": "head"}
_VISIBLE = ("vis_x1", "vis_y1", "vis_x2", "vis_y2")
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
        missing_images: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its line.

    Source: Shao et al., CrowdHuman: A Benchmark for Detecting Human in a Crowd, 2018; the page of its download.
    """
    native.check_choice("target", target, tuple(TARGETS))
    what = "a folder with annotation_train.odgt"
    source = Source(root, what, by="tail", missing_images=missing_images, on_error=on_error, or_file=True)
    absent: list[str] = []
    for name in source.files("*.odgt"):
        split = _SPLIT.search(name.rpartition("/")[2])
        for record in read_json_lines(source.root, name, source.errors):
            with source.errors.image(record.source):
                image = f"Images/{record.string('ID')}.jpg"
                with source.errors.image(image):
                    boxes = record.items("gtboxes")
                    if source.add_image(image, f"{record.where}/ID", split=split[0] if split else None):
                        for box in boxes:
                            with source.errors.row(image):
                                absent += _add_box(source, image, box, target)
    source.errors.note(f"a person without {TARGETS[target]}", len(absent), tuple(absent), kind="box")
    return source.table(source.box_rows(), [_CLASSES[target]])


def _add_box(source: Source, image: str, box: Node, target: str) -> list[str]:
    """Add a box; return the place of a person that lacks the box that is the target."""
    key = TARGETS[target]
    is_person = box.string("tag") == "person"
    if key not in box:
        if is_person and target != "person":
            return [box.source]
        key = "fbox"
    xyxy = _corners(box, key)
    columns_read = {key, "tag"}
    visible = {}
    if target == "person" and "vbox" in box:
        columns_read.add("vbox")
        visible = dict(zip(_VISIBLE, _corners(box, "vbox"), strict=True))
    flags = "head_attr" if target == "head" else "extra"
    is_flagged = flags in box and box.child(flags).number("ignore", 0) != 0
    source.add_box(
        image,
        _CLASSES[target],
        xyxy,
        box.source,
        {name: value for name, value in box.value.items() if name not in columns_read},
        iscrowd=not is_person,
        ignore=is_flagged or not is_person,
        ignore_reason="mask" if not is_person else "ignore flag" if is_flagged else None,
        **visible,
    )
    return []


def _corners(box: Node, key: str) -> Corners:
    x, y, width, height = box.numbers(key, 4)
    if width < 0 or height < 0:
        raise box.error(key, "BOX_INVALID", "width and height must not be negative", "fix the box or remove it")
    return x, y, x + width, y + height
