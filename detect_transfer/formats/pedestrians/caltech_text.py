"""Texts of one frame each, versions 0 to 3 of the bbGt format.

A row is ``label l t w h occluded lv tv wv hv``, from version 2 on with ``ignore``, from version 3 on with ``angle``.
The first line tells the version, and is absent in version 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import polars as pl

from detect_transfer.core.columns import text_of
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.checks import to_numbers
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.pedestrians.caltech_frames import SCHEMA, Frames, frame_in
from detect_transfer.formats.pedestrians.persons import FULL, VISIBLE

_FIELDS = ("label", *FULL, "occl", *VISIBLE, "ign", "ang")
_COUNT = {0: 10, 1: 10, 2: 11, 3: 12}
_VERSION = re.compile(r"%\s*bbGt\s+version\s*=\s*([0-9])\s*")


def read_texts(names: Iterable[str], frames: Frames) -> pl.DataFrame:
    """Read the texts of all frames.

    Args:
        names: The files, relative to the root of `frames`.
        frames: Where the frames are added, and which are taken.

    Returns:
        A row a box, with the columns of `SCHEMA`.

    Source: P. Dollar's toolbox 3.50, bbGt.m.
    """
    by_version: dict[int, dict[str, str | None]] = {version: {} for version in _COUNT}
    for name in names:
        video, number = frame_in(name) or (None, 0)
        if video is None:
            continue  # a text of something else
        if not frames.wanted(number):
            frames.leave(1, 0)
            continue
        image = frames.add(video, number, f"{frames.root / name}:1")
        if image is None:
            continue
        with frames.problems.image(image):
            by_version[_version(name, frames)][name] = image
    parts = [_read(held, version, frames) for version, held in by_version.items() if held]
    return pl.concat(parts) if parts else pl.DataFrame(schema=SCHEMA)


def _version(name: str, frames: Frames) -> int:
    first = native.read_text(frames.root, frames.root / name).lstrip().partition("\n")[0]
    found = _VERSION.fullmatch(first.strip())
    if found and int(found[1]) in _COUNT:
        return int(found[1])
    if not first.startswith("%"):
        return 0
    raise InputError(
        *("BBGT_VERSION", "expected '% bbGt version=' and 0, 1, 2 or 3"),
        where=f"{frames.root / name}:1",
        field="line",
        value=first,
        remedy="this is another format: move it away",
    )


def _read(names: dict[str, str | None], version: int, frames: Frames) -> pl.DataFrame:
    root, problems = frames.root, frames.problems
    fields = _FIELDS[: _COUNT[version]]
    rows = read_delimited(root, names, fields, Dialect(" ", comment="%"), problems)
    rows = to_numbers(rows, fields[1:], root, problems)
    told = [pl.col(name).cast(pl.Int64, strict=False) for name in ("occl", "ang") if name in fields]
    return rows.with_columns(
        ign=pl.col("ign") != 0 if "ign" in fields else pl.lit(False),
        track_id=pl.lit(None, dtype=pl.String),
        attributes=pl.struct(told).struct.json_encode(),
        source=text_of("{}:{}", "file", "line"),
    ).select(*SCHEMA)
