"""The Caltech Pedestrian Benchmark: `.vbb` files, their JSON dump, or texts of one frame each.

Boxes are `l, t, w, h` and count pixels from 1, as MATLAB does: x1 = l - 1, x2 = l - 1 + w.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing.checks import check_rows
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.frames import find_media
from detect_transfer.formats.parsing.image_lookup import ImageLookup
from detect_transfer.formats.parsing.row_table import finish_rows
from detect_transfer.formats.pedestrians.caltech_frames import Frames, frame_in
from detect_transfer.formats.pedestrians.caltech_json import read_dump
from detect_transfer.formats.pedestrians.caltech_text import read_texts
from detect_transfer.formats.pedestrians.caltech_vbb import read_vbb
from detect_transfer.formats.pedestrians.persons import FULL, VISIBLE, choose_form, to_boxes

_CLASSES = ("person", "people", "person?", "person-fa")
_REGION = "ignore"
_IGNORED = ("people", "person?", _REGION)
_DUMP = re.compile(r"annotations.*\.json")
_STANDARD_STRIDE = 30


def read(
    root: Path,
    *,
    form: str = "auto",
    stride: int | None = None,
    one_based: bool = True,
    missing_images: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read the Caltech annotations: the classes are its four labels, and `ignore` is a region without a class.

    `people` (a group), `person?` (perhaps a person) and regions are crowds to be ignored; `person-fa` (looks like a
    person and is none) is a class of its own, which the evaluation leaves out. Sets 00 to 05 are `train`, 06 to 10
    `test`; a video is a group. Where no visible part is told, the whole box is seen.

    Args:
        root: The folder that holds the annotations and, in any folders, extracted images (``set06_V000_I00029.jpg``,
            ``set06/V000/I00029.png``) or videos (``set06/V000.seq``); frames without an image are named
            ``set06/V000.seq#00029``.
        form: ``vbb``, ``json`` or ``text``; ``auto`` takes the one that is there.
        stride: Every how many frames one is taken, the first being number `stride` - 1 from 0. None means 30 for whole
            videos, which the benchmark uses, and every frame that has a text.
        one_based: Whether pixels count from 1; some dumps have subtracted it.
        missing_images: ``error``, ``keep`` to go on without the images that are not there, or ``skip`` to leave them
            and their boxes out.
        on_error: What becomes of a row or an image at fault: ``fail``, ``skip-row`` or ``skip-image``.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its place.

    Source: P. Dollar et al., Pedestrian Detection: An Evaluation of the State of the Art, PAMI 2012.
    """
    media = ImageLookup("name", missing_images)
    problems = ErrorCollector(on_error)
    found, names = _annotations(root, form)
    step = stride if stride is not None else 1 if found == "text" else _STANDARD_STRIDE
    if step < 1:
        raise InputError(
            *("OPTION_VALUE", "expected a number of frames from 1 on"), field="stride", value=stride, remedy="give 1"
        )
    frames = Frames(root, step, problems)
    if found == "text":
        rows = read_texts(names, frames)
    else:
        rows = pl.concat([(read_vbb if found == "vbb" else read_dump)(name, frames) for name in names])
    told = ("CLASS_UNKNOWN", f"expected one of {', '.join((*_CLASSES, _REGION))}", "label")
    known = pl.col("label").is_in([*_CLASSES, _REGION]).fill_null(False)
    rows = check_rows(_seen(rows), known, root, problems, told=told)
    return finish_rows(
        problems,
        rows=_marked(to_boxes(rows, root, problems, first=int(one_based))),
        found=find_media(root, frames.named, media, problems),
        categories={"category_id": range(1, len(_CLASSES) + 1), "name": _CLASSES},
        image_root=root,
        facts=frames.facts(),
    )


def _annotations(root: Path, form: str) -> tuple[str, list[str]]:
    """Return the form of the annotations and their files."""
    io.require_dir(root, what="a folder of Caltech annotations")
    there = {
        "vbb": io.list_files(root, (".vbb",)),
        "json": [n for n in io.list_files(root, (".json",)) if _DUMP.fullmatch(PurePosixPath(n).name)],
        "text": [n for n in io.list_files(root, (".txt",)) if frame_in(n)],
    }
    missing = InputError(
        *("CALTECH_MISSING", "no setNN/VNNN.vbb, annotations.json or setNN_VNNN_INNNNN.txt is there"),
        where=root,
        remedy="give the folder that holds them",
    )
    return choose_form(root, there, form, missing)


def _seen(rows: pl.DataFrame) -> pl.DataFrame:
    """Take the whole box for the visible part where that is told as four zeros."""
    told = pl.any_horizontal(pl.col(*VISIBLE) != 0)
    return rows.with_columns(
        pl.when(told).then(pl.col(part)).otherwise(pl.col(whole)).alias(part)
        for whole, part in zip(FULL, VISIBLE, strict=True)
    )


def _marked(rows: pl.DataFrame) -> pl.DataFrame:
    """Put class and ignore flags into columns of the table."""
    label, crowd = pl.col("label"), pl.col("label").is_in(_IGNORED)
    ids = {name: i for i, name in enumerate(_CLASSES, start=1)}
    return rows.with_columns(
        category_id=label.replace_strict(ids, default=None, return_dtype=pl.Int64),
        iscrowd=crowd,
        ignore=crowd | pl.col("ign"),
        ignore_reason=pl.when(crowd).then(label).when("ign").then(pl.lit("ignore flag")),
    ).drop("label", "ign")
