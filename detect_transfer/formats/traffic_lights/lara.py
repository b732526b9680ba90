"""LaRA traffic lights: one sequence of frames and one text.

A row is ``timestamp / frame x1 y1 x2 y2 id 'Traffic Light' 'state'``, below a header of ``#`` lines. Pixels count from
0; whether the last one is included is not documented, so the corners are edges unless `inclusive` says otherwise.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.columns import text_of
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.formats.parsing.checks import check_rows, to_numbers
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import ImageLookup, ImageRef, find_images
from detect_transfer.formats.parsing.row_table import check_classes, check_corners, finish_rows
from detect_transfer.formats.parsing.rows import named_in

_STATES = ("go", "warning", "stop", "ambiguous")
_IGNORED = "ambiguous"
_CORNERS = ("x1", "y1", "x2", "y2")
_FIELDS = ("timestamp", "slash", "frame", *_CORNERS, "id", "first_word", "second_word", "state")
_FOLDER = "Lara3D_UrbanSeq1_JPG"
_FRAME = re.compile(r"frame_([0-9]{1,9})")


def read(
    root: Path, *, inclusive: bool = False, block_frames: int = 250, missing_images: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:  # fmt: skip
    """Read LaRA: the states ``go``, ``warning``, ``stop`` and ``ambiguous``, the last one ignored.

    All frames of the folder are images of the data set; those without a row show no light. The number of the light is
    the `track_id`. There is one drive alone, so the `group` is a block of frames.

    Args:
        root: The folder with ``Lara_UrbanSeq1_GroundTruth_GT.txt`` and the frames ``frame_NNNNNN.jpg``, at any depth.
        inclusive: Whether x2 and y2 are the last pixels.
        block_frames: How many frames a block has; ten seconds are 250.
        missing_images: As for `ImageLookup`.
        on_error: What becomes of rows and images at fault, as for `ErrorCollector`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: de Charette and Nashashibi, Traffic light recognition using image processing, 2009.
    """
    problems, media = ErrorCollector(on_error), ImageLookup(missing_images=missing_images)
    if block_frames < 1:
        raise InputError(
            *("OPTION_VALUE", "expected 1 or more"), field="block_frames", value=block_frames, remedy="give a number"
        )
    io.require_dir(root, what="a folder with the ground truth and the frames")
    frames = _frames(root, problems)
    rows = _rows(root, _text(root), frames, problems)
    named = {name: ImageRef(str(root / name)) for name in frames.values()}
    images = find_images(root, named | named_in(rows, root), media, problems)
    number = pl.col("image").str.extract(r"frame_([0-9]+)\.").cast(pl.Int64)
    return finish_rows(
        problems,
        rows=_columns(rows, last=int(inclusive)),
        found=images,
        categories={"category_id": range(1, len(_STATES) + 1), "name": _STATES},
        image_root=root,
        facts=pl.DataFrame({"image": list(images)}, schema={"image": pl.String}).with_columns(
            frame=number, group=text_of("block {}", number // block_frames)
        ),
    )


def _text(root: Path) -> str:
    """Return the name of the ground truth."""
    held = [n for n in io.list_files(root, (".txt",)) if "groundtruth" in PurePosixPath(n).name.casefold()]
    if len(held) != 1:
        raise InputError(
            *("LARA_MISSING", f"{len(held)} texts are named like Lara_UrbanSeq1_GroundTruth_GT.txt, expected one"),
            where=root,
            remedy="give the folder that holds it",
        )
    return held[0]


def _frames(root: Path, problems: ErrorCollector) -> dict[int, str]:
    """Map the number of each frame to its file."""
    found: dict[int, str] = {}
    for name in io.list_files(root, IMAGE_SUFFIXES):
        match = _FRAME.fullmatch(PurePosixPath(name).stem)
        if match and found.setdefault(int(match[1]), name) != name:
            problems.add(
                "IMAGE_TWICE",
                f"'{found[int(match[1])]}' is the same frame",
                where=root / name,
                image=name,
                remedy="remove one of them",
            )
    return found


def _rows(root: Path, text: str, frames: dict[int, str], problems: ErrorCollector) -> pl.DataFrame:
    """Return the rows that are not at fault, with their images."""
    data = read_delimited(root, {text: None}, _FIELDS, Dialect(" ", comment="#"), problems)
    data = to_numbers(data, ["frame"], root, problems, whole=True)
    told = ("ROW_FRAME", "expected a number from 0 to 999999", "frame")
    data = check_rows(data, pl.col("frame").is_between(0, 999_999), root, problems, told=told)
    usual = text_of(f"{_FOLDER}/frame_{{}}.jpg", pl.col("frame").cast(pl.String).str.zfill(6))
    data = data.with_columns(
        image=pl.col("frame").replace_strict(frames, default=usual, return_dtype=pl.String),
        state=pl.col("state").str.strip_chars("'"),
    )
    data = to_numbers(data, ["timestamp", *_CORNERS], root, problems)
    for field, good in (("slash", "/"), ("first_word", "'Traffic"), ("second_word", "Light'")):
        told = ("ROW_VALUE", f"expected {good}", field)
        data = check_rows(data, pl.col(field) == good, root, problems, told=told)
    data = check_classes(data, "state", {state: i for i, state in enumerate(_STATES, start=1)}, root, problems)
    return check_corners(data, root, problems, _CORNERS)


def _columns(rows: pl.DataFrame, *, last: int) -> pl.DataFrame:
    """Return the columns of the table."""
    ignored = pl.col("state") == _IGNORED
    return rows.select(
        *("file", "line", "image", "category_id", "x1", "y1"),
        x2=pl.col("x2") + last,
        y2=pl.col("y2") + last,
        ignore=ignored,
        ignore_reason=pl.when(ignored).then(pl.lit(_IGNORED)),
        track_id="id",
    )
