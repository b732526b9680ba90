"""Rows of the LISA annotation tools, of signs and of lights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from detect_transfer.formats.parsing.checks import check_rows, to_numbers
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.row_table import check_corners

# one column name holds a comma, so the separator is never guessed
_FLAGS = "Occluded,On another road"
_COLUMNS = {
    "Filename": "name",
    "Annotation tag": "tag",
    "Upper left corner X": "x1",
    "Upper left corner Y": "y1",
    "Lower right corner X": "x2",
    "Lower right corner Y": "y2",
    "Origin file": "origin_file",
    "Origin frame number": "origin_frame_number",
    "Origin track": "origin_track",
    "Origin track frame number": "origin_track_frame_number",
}
_CORNERS = ("x1", "y1", "x2", "y2")
_FRAMES = ("origin_frame_number", "origin_track_frame_number")


def read_rows(
    root: Path, names: Mapping[str, str | None], problems: ErrorCollector, *, flags: bool, inclusive: bool
) -> pl.DataFrame:
    """Read annotation files as checked rows, with `attributes`.

    Args:
        root: The folder of the data set.
        names: The files, with the folder that their images are named relative to.
        problems: Where faults go.
        flags: Whether the column of `occluded` (0 or 1) and of `on_another_road` (a boolean) is there.
        inclusive: Whether the lower right corner is the last pixel, not the edge after it.
    """
    told = {**_COLUMNS, _FLAGS: "flags"} if flags else _COLUMNS
    dialect = Dialect(";", header=True, trailing=True, image_field="Filename")
    rows = read_delimited(root, names, list(told), dialect, problems).rename(told)
    for name in ("name", "tag", "origin_file", "origin_track"):
        rows = check_rows(rows, pl.col(name) != "", root, problems, told=("ROW_EMPTY", "this field is needed", name))
    rows = to_numbers(rows, _CORNERS, root, problems)
    rows = to_numbers(rows, _FRAMES, root, problems, whole=True)
    rows = check_corners(rows, root, problems, _CORNERS)
    rows = rows.with_columns(pl.col("x2", "y2") + float(inclusive))
    facts = ["origin_file", "origin_track", *_FRAMES]
    if flags:
        what = "expected two flags, 0 or 1 each, such as 1,0"
        good = pl.col("flags").str.contains("^[01],[01]$")
        rows = check_rows(rows, good, root, problems, told=("LISA_FLAGS", what, "flags"))
        rows = rows.with_columns(
            occluded=pl.col("flags").str.starts_with("1").cast(pl.Float64),
            on_another_road=pl.col("flags").str.ends_with("1"),
        )
        facts.append("on_another_road")
    return rows.with_columns(attributes=pl.struct(facts).struct.json_encode())
