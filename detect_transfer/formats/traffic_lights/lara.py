"""LaRA traffic lights: one sequence of frames and one text.

A row is ``mm:ss.ffff / frame x1 y1 x2 y2 id 'Traffic Light' 'state'``, below a header of ``#`` lines. Pixels count from
0; whether the last one is included is not documented, so the corners are edges unless `inclusive` says otherwise.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.columns import text_of
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing.delimited import Dialect
from detect_transfer.formats.parsing.source import Source

_STATES = ("go", "warning", "stop", "ambiguous")
_FIELDS = ("timestamp", "slash", "frame", *XYXY, "id", "first_word", "second_word", "state")
_FRAME = re.compile(r"frame_([0-9]{1,9})")


def read(
    root: Path,
    *,
    inclusive: bool = False,
    block_frames: int = 250,
    missing_images: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read LaRA: the states ``go``, ``warning``, ``stop`` and ``ambiguous``, the last one ignored.

    All frames of the folder are images of the data set; those without a row show no light. The number of the light is
    the `track_id`. There is one drive alone, so the `group` is a block of frames.

    Args:
        root: The folder with ``Lara_UrbanSeq1_GroundTruth_GT.txt`` and the frames ``frame_NNNNNN.jpg``, at any depth.
        inclusive: Whether x2 and y2 are the last pixels.
        block_frames: How many frames a block has; ten seconds are 250.
        missing_images: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: de Charette and Nashashibi, Traffic light recognition using image processing, 2009.
    """
    if block_frames < 1:
        raise InputError(
            "OPTION_VALUE", "expected 1 or more", field="block_frames", value=block_frames, remedy="give a number"
        )
    source = Source(
        root, "a folder with the ground truth and the frames", missing_images=missing_images, on_error=on_error
    )
    frames = _frames(source)
    source.add_images(frames.values())
    texts = [n for n in io.list_files(root, (".txt",)) if "groundtruth" in PurePosixPath(n).name.casefold()]
    if len(texts) != 1:
        what = f"{len(texts)} texts are named like Lara_UrbanSeq1_GroundTruth_GT.txt, expected one"
        raise InputError("LARA_MISSING", what, where=root, remedy="give the folder that holds it")
    rows = source.rows(texts, _FIELDS, Dialect(" ", comment="#")).numbers("frame", whole=True)
    rows = rows.between("frame", 0, 999_999, "expected a number from 0 to 999999", "ROW_FRAME")
    usual = text_of("Lara3D_UrbanSeq1_JPG/frame_{}.jpg", pl.col("frame").cast(pl.String).str.zfill(6))
    rows = rows.with_columns(
        image=pl.col("frame").replace_strict(frames, default=usual, return_dtype=pl.String),
        state=pl.col("state").str.strip_chars("'"),
        track_id="id",
    ).numbers(*XYXY)
    rows = rows.check(pl.col("slash") == "/", "ROW_VALUE", "expected / between time and frame", "slash")
    rows = rows.filled("state").with_columns(label="state").box(*XYXY, inclusive=inclusive)
    ignored = pl.col("state") == "ambiguous"
    rows = rows.with_columns(ignore=ignored, ignore_reason=pl.when(ignored).then(pl.lit("ambiguous")))

    def block_of(name: str) -> str | None:
        number = _frame_number(name)
        return None if number is None else f"block {number // block_frames}"

    return source.table(rows, _STATES, frame=_frame_number, group=block_of)


def _frame_number(name: str) -> int | None:
    match = _FRAME.fullmatch(PurePosixPath(name).stem)
    return int(match[1]) if match else None


def _frames(source: Source) -> dict[int, str]:
    """Map the number of each frame to its file."""
    frames: dict[int, str] = {}
    for name in source.image_files():
        number = _frame_number(name)
        if number is not None and frames.setdefault(number, name) != name:
            what = f"'{frames[number]}' is the same frame"
            source.errors.add("IMAGE_TWICE", what, where=source.root / name, image=name, remedy="remove one of them")
    return frames
