"""What the data sets of pedestrians share: boxes with a visible part, and annotations in several forms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.checks import check_rows
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.json_nodes import Node
from detect_transfer.formats.parsing.native import SizeWh

FULL, VISIBLE = ("x", "y", "w", "h"), ("vx", "vy", "vw", "vh")
ROW_SCHEMA: dict[str, type[pl.DataType]] = {
    "image": pl.String,  # as the annotations name it
    **dict.fromkeys((*FULL, *VISIBLE), pl.Float64),  # the visible part is null where none is told
    "source": pl.String,
}


def to_boxes(rows: pl.DataFrame, root: Path, problems: ErrorCollector, *, first: int = 0) -> pl.DataFrame:
    """Turn x, y, width and height, and those of the visible part, into corners; report rows that are no boxes.

    Args:
        rows: At least the columns of `ROW_SCHEMA`.
        root: The folder that `source` is relative to.
        problems: Where faults go.
        first: What the first pixel is counted as, 0 or 1.

    Returns:
        The good rows with the columns of `BOX_SCHEMA` for the corners instead, and `occluded`: the share of the box
        that is not in its visible part, null where no visible part is told, as by four zeros.
    """
    told = pl.any_horizontal(pl.col(*VISIBLE) != 0)
    rows = rows.with_columns(pl.when(told).then(pl.col(*VISIBLE)))
    ends = [pl.col(start) + pl.col(size) for start, size in (("x", "w"), ("y", "h"), ("vx", "vw"), ("vy", "vh"))]
    rows = check_rows(
        rows,
        pl.all_horizontal(pl.col(*FULL, *VISIBLE).is_finite(), *[end.is_finite() for end in ends]),
        *(root, problems),
        told=("ROW_NUMBER", "expected finite numbers", "box"),
    )
    for width, height, name in (("w", "h", "box"), ("vw", "vh", "visible box")):
        sizes = (pl.col(width) >= 0) & (pl.col(height) >= 0)
        rows = check_rows(
            rows, sizes, root, problems, told=("BOX_INVALID", "width and height must not be negative", name)
        )
    area, seen = pl.col("w") * pl.col("h"), pl.col("vw") * pl.col("vh")
    return rows.with_columns(
        *[
            (pl.col(start) - first + (pl.col(size) if end == 2 else 0)).alias(f"{prefix}{axis}{end}")
            for prefix, (x, y, w, h) in (("", FULL), ("vis_", VISIBLE))
            for axis, start, size in (("x", x, w), ("y", y, h))
            for end in (1, 2)
        ],
        occluded=pl.when(area > 0).then((1 - seen / area).clip(0, 1)),
    ).drop(*FULL, *VISIBLE)


def choose_form(root: Path, there: Mapping[str, list[str]], form: str, missing: InputError) -> tuple[str, list[str]]:
    """Return the form of the annotations that is asked for, or the only one that is there, and its files.

    Args:
        root: The folder of the data set.
        there: The files of each form.
        form: One of the forms, or ``auto``.
        missing: What to raise where there is none.

    Raises:
        InputError: There is no such form, or none or several are there.
    """
    native.check_choice("form", form, ("auto", *there))
    found = [key for key, names in there.items() if names and form in ("auto", key)]
    if len(found) > 1:
        what = f"it holds annotations in {len(found)} forms: {', '.join(there[key][0] for key in found)}"
        raise InputError("FORM_SEVERAL", what, where=root, remedy="choose with form=" + " or form=".join(found))
    if not found:
        raise missing
    return found[0], there[found[0]]


def stated_size(document: Node, width: str, height: str) -> SizeWh:
    """Return the size of an image that stands under two keys.

    Raises:
        InputError: A key is missing, or is no length of pixels.
    """
    for key in (width, height):
        if not 0 < document.whole(key) < 2**31:
            raise document.error(key, "IMAGE_SIZE", "expected a number of pixels of at least 1")
    return document.whole(width), document.whole(height)
