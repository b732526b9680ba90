"""What the data sets of pedestrians share: boxes with a visible part, and annotations in several forms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.box_format import PIXEL_SIZES
from detect_transfer.formats.parsing.rows import Rows

FULL, VISIBLE = ("x", "y", "w", "h"), ("vx", "vy", "vw", "vh")
ROW_SCHEMA: dict[str, type[pl.DataType]] = {
    "image": pl.String,  # as the annotations name it
    **dict.fromkeys((*FULL, *VISIBLE), pl.Float64),  # the visible part is null where none is stated
    "source": pl.String,
}


def visible_boxes(rows: Rows, *, one_based: bool = False) -> Rows:
    """Make corners of x, y, width and height, and of those of the visible part; report rows that are no boxes.

    Args:
        rows: At least the columns of `ROW_SCHEMA`.
        one_based: Whether the first pixel is number 1.

    Returns:
        The good rows with the corners as columns of the table, and `occluded`: the share of the box that is not in its
        visible part, null where no visible part is stated, as by four zeros.
    """
    is_stated = pl.any_horizontal(pl.col(*VISIBLE) != 0)
    rows = rows.with_columns(pl.when(is_stated).then(pl.col(*VISIBLE)))
    ends = [pl.col(start) + pl.col(size) for start, size in (("x", "w"), ("y", "h"), ("vx", "vw"), ("vy", "vh"))]
    is_finite = pl.all_horizontal(pl.col(*FULL, *VISIBLE).is_finite(), *[end.is_finite() for end in ends])
    rows = rows.check(is_finite, "ROW_NUMBER", "expected finite numbers", "box")
    for width, height, field in (("w", "h", "box"), ("vw", "vh", "visible box")):
        is_sized = (pl.col(width) >= 0) & (pl.col(height) >= 0)
        rows = rows.check(is_sized, "BOX_INVALID", "width and height must not be negative", field)
    left, top = pl.col("vx") - int(one_based), pl.col("vy") - int(one_based)
    area, seen = pl.col("w") * pl.col("h"), pl.col("vw") * pl.col("vh")
    return rows.box(*FULL, box_format=PIXEL_SIZES, one_based=one_based).with_columns(
        vis_x1=left,
        vis_y1=top,
        vis_x2=left + pl.col("vw"),
        vis_y2=top + pl.col("vh"),
        occluded=pl.when(area > 0).then((1 - seen / area).clip(0, 1)),
    )


def choose_form(root: Path, files: Mapping[str, list[str]], form: str, missing: str) -> tuple[str, list[str]]:
    """Return the form of the annotations that is asked for, or the only one that is there, and its files.

    Args:
        root: The folder of the data set.
        files: The files of each form.
        form: One of the forms, or ``auto``.
        missing: The code and what is missing where there is none, such as ``X_MISSING: no a.mat is there``.

    Raises:
        InputError: There is no such form, or none or several are there.
    """
    native.check_choice("form", form, ("auto", *files))
    there = [key for key, names in files.items() if names and form in ("auto", key)]
    if len(there) > 1:
        what = f"it holds annotations in {len(there)} forms: {', '.join(files[key][0] for key in there)}"
        raise InputError("FORM_SEVERAL", what, where=root, remedy="choose with form=" + " or form=".join(there))
    if not there:
        code, _, what = missing.partition(": ")
        raise InputError(code, what, where=root, remedy="give the folder that holds them")
    return there[0], files[there[0]]
