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
from detect_transfer.formats.parsing.rows import Rows
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.pedestrians.caltech_frames import Frames, frame_in
from detect_transfer.formats.pedestrians.caltech_json import read_dump
from detect_transfer.formats.pedestrians.caltech_text import read_texts
from detect_transfer.formats.pedestrians.caltech_vbb import read_vbb
from detect_transfer.formats.pedestrians.persons import FULL, VISIBLE, choose_form, visible_boxes

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
    `test`; a video is a group. Where no visible part is stated, the whole box is seen.

    Args:
        root: The folder that holds the annotations and, in any folders, extracted images (``set06_V000_I00029.jpg``,
            ``set06/V000/I00029.png``) or videos (``set06/V000.seq``); frames without an image are named
            ``set06/V000.seq#00029``.
        form: ``vbb``, ``json`` or ``text``; ``auto`` takes the one that is there.
        stride: Every how many frames one is taken, the first being number `stride` - 1 from 0. None means 30 for whole
            videos, which the benchmark uses, and every frame that has a text.
        one_based: Whether pixels count from 1; some dumps have subtracted it.
        missing_images: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its place.

    Source: P. Dollar et al., Pedestrian Detection: An Evaluation of the State of the Art, PAMI 2012.
    """
    what = "a folder of Caltech annotations"
    source = Source(root, what, missing_images=missing_images, on_error=on_error)
    files = {
        "vbb": io.list_files(root, (".vbb",)),
        "json": [name for name in io.list_files(root, (".json",)) if _DUMP.fullmatch(PurePosixPath(name).name)],
        "text": [name for name in io.list_files(root, (".txt",)) if frame_in(name)],
    }
    missing = "CALTECH_MISSING: no setNN/VNNN.vbb, annotations.json or setNN_VNNN_INNNNN.txt is there"
    chosen, names = choose_form(root, files, form, missing)
    step = stride if stride is not None else 1 if chosen == "text" else _STANDARD_STRIDE
    if step < 1:
        what = "expected a number of frames from 1 on"
        raise InputError("OPTION_VALUE", what, field="stride", value=stride, remedy="give 1")
    frames = Frames(source, step)
    if chosen == "text":
        data = read_texts(names, frames)
    else:
        data = pl.concat([(read_vbb if chosen == "vbb" else read_dump)(name, frames) for name in names])
    frames.note_left()
    rows = Rows(_seen(data), root, source.errors)
    rows = rows.check(pl.col("label").fill_null("") != "", "OBJECT_NAME", "it has no label", "label")
    is_crowd = pl.col("label").is_in(_IGNORED)
    rows = visible_boxes(rows, one_based=one_based).with_columns(
        label=pl.when(pl.col("label") != _REGION).then("label"),
        iscrowd=is_crowd,
        ignore=is_crowd | pl.col("ign"),
        ignore_reason=pl.when(is_crowd).then("label").when("ign").then(pl.lit("ignore flag")),
    )
    return source.table(rows, _CLASSES)


def _seen(data: pl.DataFrame) -> pl.DataFrame:
    """Take the whole box for the visible part where that is stated as four zeros."""
    is_stated = pl.any_horizontal(pl.col(*VISIBLE) != 0)
    return data.with_columns(
        pl.when(is_stated).then(pl.col(part)).otherwise(pl.col(whole)).alias(part)
        for whole, part in zip(FULL, VISIBLE, strict=True)
    )
