"""Detections as pre-annotations: what a person accepts or corrects in a labelling tool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import read_size_wh
from detect_transfer.core.io import new_folder, read_json, require_dir, require_file, require_new, safe_join
from detect_transfer.data.seen_images import SEEN_IMAGES
from detect_transfer.formats.writing.pre_annotations import check_tools, write_pre_annotations
from detect_transfer.workflows.run_folder import RunFolder


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_KEYS: dict[str, Callable[[Any], bool]] = {
    "file_name": lambda value: isinstance(value, str),
    "category_name": lambda value: isinstance(value, str),
    "bbox": lambda value: isinstance(value, list) and len(value) == 4 and all(map(_is_number, value)),
    "score": _is_number,
}


def pre_annotate(
    predicted: Path, images: Path, out: Path, *, tools: Sequence[str], score_threshold: float
) -> AnnotationTable:
    """Write the detections that `predict` stored for labelling tools.

    Args:
        predicted: The folder that `predict` made, or a run folder, whose detections are of its validation images.
        images: The folder of the images.
        out: The folder to make, with one for each tool.
        tools: Keys of `LABELLING_TOOLS`.
        score_threshold: Detections from this score in [0, 1] on are written.

    Returns:
        What was written.

    Raises:
        InputError: There are no detections, an image is not there, a word is wrong, or `out` is not empty.
    """
    require_new(out)
    check_tools(tools)
    if not 0 <= score_threshold <= 1:
        what = "a number from 0 to 1 was expected"
        raise InputError("OPTION", what, field="--score", value=score_threshold, remedy="give 0.25, for example")
    require_dir(images, what="the folder of the images")
    path = predicted if predicted.is_file() else RunFolder(predicted).detections
    if predicted.is_dir() and not path.exists():
        remedy = "give a folder that predict made; where it wrote other files, predict again with --to coco"
        raise InputError("FILE_MISSING", "the folder holds no COCO results", where=path, remedy=remedy)
    rows = read_json(require_file(path, what="the detections, as predict writes them"))
    table = _table(_checked(rows, path), path, images, score_threshold)
    with new_folder(out) as building:
        write_pre_annotations(table, building, tools=tools, model=predicted.resolve().name)
    return table


def _checked(rows: Any, path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file of detections, which name image and class."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(
            "DETECTIONS", "a list of detections was expected", where=path, remedy="give what predict wrote"
        )
    for index, row in enumerate(rows):
        wrong = next((key for key, is_right in _KEYS.items() if not is_right(row.get(key))), None)
        if wrong:
            raise InputError(
                *("DETECTIONS", "the detection does not say it"),
                where=f"{path}#/{index}",
                field=wrong,
                value=row.get(wrong),
                remedy="give detections as predict writes them, which name image and class",
            )
    return rows


def _table(rows: list[dict[str, Any]], path: Path, images: Path, least: float) -> AnnotationTable:
    listing = path.parent / SEEN_IMAGES
    listed = [row["file_name"] for row in read_json(listing)] if listing.is_file() else []
    names = list(dict.fromkeys([*listed, *(row["file_name"] for row in rows)]))
    numbers = {name: i for i, name in enumerate(names, start=1)}
    sizes = [read_size_wh(_file(images, name)) for name in names]
    classes = sorted({row["category_name"] for row in rows})
    shown = [row for row in rows if row["score"] >= least]
    boxes = {
        "annotation_id": list(range(1, len(shown) + 1)),
        "image_id": [numbers[row["file_name"]] for row in shown],
        "category_id": [classes.index(row["category_name"]) + 1 for row in shown],
        "x1": [float(row["bbox"][0]) for row in shown],
        "y1": [float(row["bbox"][1]) for row in shown],
        "x2": [float(row["bbox"][0] + row["bbox"][2]) for row in shown],
        "y2": [float(row["bbox"][1] + row["bbox"][3]) for row in shown],
        "score": [float(row["score"]) for row in shown],
        "note": pl.Series([None] * len(shown), dtype=pl.String),
    }
    return AnnotationTable.from_columns(
        images={
            "image_id": list(numbers.values()),
            "file_name": names,
            "width": [width for width, _ in sizes],
            "height": [height for _, height in sizes],
        },
        boxes=boxes,
        categories={"category_id": range(1, len(classes) + 1), "name": classes},
        image_root=images,
    )


def _file(images: Path, name: str) -> Path:
    path = safe_join(images, name, links=True)
    if not path.is_file():
        raise InputError(
            "IMAGE_MISSING",
            "there is no such image",
            where=images,
            field="file_name",
            value=name,
            remedy="give the folder that predict was given as --images",
        )
    return path
