"""Rows of the LISA annotation tools, of signs and of lights."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from detect_transfer.core.annotations import XYXY
from detect_transfer.formats.parsing.delimited import Dialect
from detect_transfer.formats.parsing.rows import Rows
from detect_transfer.formats.parsing.source import Source

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
_FRAMES = ("origin_frame_number", "origin_track_frame_number")


def read_rows(source: Source, folders: Mapping[str, str | None], *, flags: bool, inclusive: bool) -> Rows:
    """Read annotation files as checked rows, with `label` and `attributes`.

    Args:
        source: The data set.
        folders: The files, with the folder that their images are named relative to.
        flags: Whether the column of `occluded` (0 or 1) and of `on_another_road` (a boolean) is there.
        inclusive: Whether the lower right corner is the last pixel, not the edge after it.
    """
    columns = {**_COLUMNS, _FLAGS: "flags"} if flags else _COLUMNS
    dialect = Dialect(";", header=True, trailing=True, image_field="Filename")
    rows = source.rows(folders, list(columns), dialect, folders).rename(columns)
    rows = rows.filled("name", "tag", "origin_file", "origin_track")
    rows = rows.numbers(*XYXY).numbers(*_FRAMES, whole=True).box(*XYXY, inclusive=inclusive)
    facts = ["origin_file", "origin_track", *_FRAMES]
    if flags:
        what = "expected two flags, 0 or 1 each, such as 1,0"
        rows = rows.check(pl.col("flags").str.contains("^[01],[01]$"), "LISA_FLAGS", what, "flags")
        rows = rows.with_columns(
            occluded=pl.col("flags").str.starts_with("1").cast(pl.Float64),
            on_another_road=pl.col("flags").str.ends_with("1"),
        )
        facts.append("on_another_road")
    return rows.attributes(*facts).with_columns(label="tag")
