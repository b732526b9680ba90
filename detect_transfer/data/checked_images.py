"""What was read of the images of a data folder, so that the next run opens those alone that have changed since.

An image is taken for unchanged where its length, inode and both times are those of the last reading, which the system
sets at every change. Images that were written in the two seconds before that reading are read again, since clocks of
file systems are coarse.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import polars as pl

from detect_transfer.core.errors import ResourceError
from detect_transfer.core.io import write_atomic

FILE = ".checked_images.parquet"
FEWEST = 1000  # images; fewer are read in less than a second
_SETTLED_NS = 2 * 10**9
_STATE = {"bytes": pl.Int64, "inode": pl.UInt64, "mtime_ns": pl.Int64, "ctime_ns": pl.Int64}
READ_SCHEMA = {
    "file_name": pl.String,
    "width": pl.Int32,
    "height": pl.Int32,
    "head": pl.String,  # of length and first bytes, as `head_digest`
    "sha256": pl.String,
}
_SCHEMA = {**READ_SCHEMA, **_STATE}


def file_states(root: Path, names: Iterable[str]) -> pl.DataFrame:
    """Return `file_name`, length, inode and times of each file that is there.

    Args:
        root: The folder of the images.
        names: Relative to it, each once.
    """
    rows = []
    for name in names:
        try:
            state = os.stat(f"{root}/{name}")  # noqa: PTH116 - a Path for each would take as long as the call
        except (OSError, ValueError):
            continue
        rows.append((name, state.st_size, state.st_ino, state.st_mtime_ns, state.st_ctime_ns))
    return pl.DataFrame(rows, schema={"file_name": pl.String, **_STATE}, orient="row")


def unchanged_images(folder: Path, states: pl.DataFrame) -> pl.DataFrame:
    """Return what was read of the files that are as they were then: `file_name`, sizes and hashes.

    Args:
        folder: The data folder.
        states: As `file_states` returns them.
    """
    try:
        before = pl.read_parquet(BytesIO((folder / FILE).read_bytes()), columns=[*_SCHEMA])
        if dict(before.schema) != _SCHEMA:
            before = pl.DataFrame(schema=_SCHEMA)
    except (OSError, pl.exceptions.PolarsError):  # none, or a damaged one
        before = pl.DataFrame(schema=_SCHEMA)
    same = states.join(before, on=["file_name", *_STATE], how="inner")
    return same.select(*READ_SCHEMA).unique("file_name", maintain_order=True)


def remember_images(folder: Path, states: pl.DataFrame, read: pl.DataFrame) -> None:
    """Write down what was read of files; where the folder cannot be written, they are read again the next time.

    Args:
        folder: The data folder.
        states: What the files were before they were read.
        read: `file_name`, sizes and hashes of each.
    """
    last = time.time_ns() - _SETTLED_NS
    settled = states.filter(pl.max_horizontal("mtime_ns", "ctime_ns") < last)
    rows = settled.join(read, on="file_name", how="inner").select(*_SCHEMA)
    if len(rows) < FEWEST:
        return
    packed = BytesIO()
    rows.write_parquet(packed)
    with suppress(ResourceError):
        write_atomic(folder / FILE, packed.getvalue())
