"""BDD100K detection: the Scalabel lists of 2020, the lists of 2018, or a JSON a frame.

The corners count from the first pixel and include the last one, as the official conversion (w = x2 - x1 + 1) has it:
x2 and y2 grow by 1. Nothing is clipped, so a box may reach past its image by that pixel.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.image_lookup import ImageLookup, ImageRef, find_images
from detect_transfer.formats.parsing.json_boxes import row_frame
from detect_transfer.formats.parsing.row_table import finish_rows
from detect_transfer.formats.traffic_signs.bdd100k_frames import CLASSES, COLUMNS, FACTS, Frame, box_row, read_frames

_FORMS = {
    "det_20": re.compile(r"(?:.*/)?det_(train|val|test)\.json"),
    "lists_2018": re.compile(r"(?:.*/)?bdd100k_labels_images_(train|val|test)\.json"),
    "frames": re.compile(r"(?:.*/)?100k/(train|val|test)/[^/]+\.json"),
}


def read(
    root: Path, *, labels: str = "auto", missing_images: str = "error", size_mismatch: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:  # fmt: skip
    """Read BDD100K: the ten official classes in their order, whatever their older names.

    `other person`, `other vehicle` and `trailer` are crowds of the class that the official conversion gives them, and
    so are labels flagged ``crowd`` or ``ignored``; all are to be ignored. Labels without ``box2d`` (lanes, drivable
    areas) are left out, which the ledger counts. Weather, scene, time of day and time stamp are columns of `images`;
    what else is told of a frame is JSON in its column `attributes`.

    Args:
        root: The folder that holds the labels and, in ``images/100k/<split>`` or anywhere else below it, the images.
        labels: Which labels, where several are there: ``det_20`` (det_<split>.json), ``lists_2018``
            (bdd100k_labels_images_<split>.json) or ``frames`` (100k/<split>/<name>.json).
        missing_images: ``error``; ``keep`` goes on with the sizes stated, if any; ``skip`` leaves absent images out.
        size_mismatch: ``error``, or ``keep`` to trust the image where a frame states another size.
        on_error: As for `ErrorCollector`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once.

    Source: Yu et al., BDD100K, CVPR 2020; to_coco.py of its toolkit; the Scalabel format.
    """
    native.check_choice("labels", labels, ("auto", *_FORMS))
    media = ImageLookup(by="tail", missing_images=missing_images, size_mismatch=size_mismatch)
    problems = ErrorCollector(on_error)
    with no_collection():
        frames = _frames(root, _choose(root, labels), problems)
        rows = _rows(frames.values(), problems)
    named = {name: ImageRef(f"{root}/{one.source}", one.size_wh) for name, one in frames.items()}
    images = find_images(root, named, media, problems)
    return finish_rows(
        problems,
        rows=rows,
        found=images,
        categories={"category_id": range(1, len(CLASSES) + 1), "name": CLASSES},
        image_root=root,
        facts=_facts(frames),
    )


def _facts(frames: Mapping[str, Frame]) -> pl.DataFrame:
    """Return the columns of images beside those of the images; `attributes` only where a frame has some."""
    texts = dict.fromkeys(("image", "split", "group", *FACTS, "attributes"), pl.String)
    rows = [(name, one.split, one.video, *one.facts) for name, one in frames.items()]
    facts = pl.DataFrame(rows, schema={**texts, "timestamp": pl.Float64}, orient="row")
    return facts if facts["attributes"].count() else facts.drop("attributes")


def _choose(root: Path, labels: str) -> dict[str, str]:
    """Return the label files with the split that each tells."""
    io.require_dir(root, what="a folder with the labels of BDD100K")
    held = io.list_files(root, (".json",))
    found = {
        form: {name: match[1] for name in held if (match := pattern.fullmatch(name))}
        for form, pattern in _FORMS.items()
        if labels in ("auto", form)
    }
    there = [form for form, names in found.items() if names]
    if len(there) == 1:
        return found[there[0]]
    expected = "det_<split>.json, bdd100k_labels_images_<split>.json or 100k/<split>/<name>.json"
    raise InputError(
        *("BDD100K_LABELS", f"expected one of {expected}; found {' and '.join(there) or 'none'}"),
        where=root,
        field="labels",
        value=labels,
        remedy="choose one of them by labels=" if there else "give the folder that holds labels and images",
    )


def _frames(root: Path, names: Mapping[str, str], problems: ErrorCollector) -> dict[str, Frame]:
    """Return the frames by the names of their images."""
    folders = {split: f"images/100k/{split}/" for split in set(names.values())}
    folders = {split: folder if (root / folder).is_dir() else "" for split, folder in folders.items()}
    found: dict[str, Frame] = {}
    for name, split in names.items():
        for one in read_frames(root, name, (split, folders[split]), problems):
            if found.setdefault(one.image, one) is not one:
                what, remedy = f"{found[one.image].source} is of the same frame", "remove one of them"
                problems.add("ID_DUPLICATE", what, where=f"{root}/{one.source}", remedy=remedy, image=one.image)
    return found


def _rows(frames: Iterable[Frame], problems: ErrorCollector) -> pl.DataFrame:
    rows: list[Sequence[Any]] = []
    without: list[str] = []
    for frame in frames:
        for node in frame.labels:
            if node.value.get("box2d") is None:
                without.append(node.source)
                continue
            with problems.row(frame.image):
                rows.append((frame.image, *box_row(node)))
    problems.note("it has no box2d", len(without), tuple(without[:1000]), kind="box")
    return row_frame(rows, ("image", *COLUMNS))
