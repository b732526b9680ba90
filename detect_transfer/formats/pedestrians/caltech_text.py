"""Texts of one frame each, versions 0 to 3 of the bbGt format.

A row is ``label l t w h occluded lv tv wv hv``, from version 2 on with ``ignore``, from version 3 on with ``angle``.
The first line states the version, and is absent in version 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import polars as pl

from detect_transfer.core.columns import text_of
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.delimited import Dialect
from detect_transfer.formats.pedestrians.caltech_frames import SCHEMA, Frames, frame_in
from detect_transfer.formats.pedestrians.persons import FULL, VISIBLE

_FIELDS = ("label", *FULL, "occl", *VISIBLE, "ign", "ang")
_COUNT = {0: 10, 1: 10, 2: 11, 3: 12}
_VERSION = re.compile(r"%\s*bbGt\s+version\s*=\s*([0-9])\s*")


def read_texts(names: Iterable[str], frames: Frames) -> pl.DataFrame:
    """Read the texts of all frames, add these and return a row a box, with the columns of `SCHEMA`.

    Source: P. Dollar's toolbox 3.50, bbGt.m.
    """
    source = frames.source
    images: dict[int, dict[str, str]] = {version: {} for version in _COUNT}
    for name in names:
        frame = frame_in(name)
        if frame is None:
            continue  # a text of something else
        if not frames.takes(frame[1]):
            frames.leave(1, 0)
        elif image := frames.add(*frame, f"{source.root / name}:1"):
            with source.errors.image(image):
                images[_version(name, frames)][name] = image
    parts = [_rows(texts, version, frames) for version, texts in images.items() if texts]
    return pl.concat(parts) if parts else pl.DataFrame(schema=SCHEMA)


def _version(name: str, frames: Frames) -> int:
    path = frames.source.root / name
    first = native.read_text(frames.source.root, path).lstrip().partition("\n")[0]
    match = _VERSION.fullmatch(first.strip())
    if match and int(match[1]) in _COUNT:
        return int(match[1])
    if not first.startswith("%"):
        return 0
    what, remedy = "expected '% bbGt version=' and 0, 1, 2 or 3", "this is another format: move it away"
    raise InputError("BBGT_VERSION", what, where=f"{path}:1", field="line", value=first, remedy=remedy)


def _rows(images: Mapping[str, str], version: int, frames: Frames) -> pl.DataFrame:
    fields = _FIELDS[: _COUNT[version]]
    rows = frames.source.rows(images, fields, Dialect(" ", comment="%"), of=images).numbers(*fields[1:])
    flags = [pl.col(name).cast(pl.Int64, strict=False) for name in ("occl", "ang") if name in fields]
    rows = rows.with_columns(
        ign=pl.col("ign") != 0 if "ign" in fields else pl.lit(False),
        track_id=pl.lit(None, dtype=pl.String),
        attributes=pl.struct(flags).struct.json_encode(),
        source=text_of("{}:{}", "file", "line"),
    )
    return rows.data.select(*SCHEMA)
