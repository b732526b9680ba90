"""What the images of a data folder were when it was converted, so that a run opens those alone that have changed since.

An image is taken for unchanged where its length, its inode and both of its times, which the system sets at every
change, are those of then.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import polars as pl

from detect_transfer.core.errors import InputError, ResourceError
from detect_transfer.core.io import read_bytes, write_atomic
from detect_transfer.data.image_writing import FileFacts
from detect_transfer.formats.parsing.tables import table_errors

FILE = ".checked_images.parquet"
FEWEST = 1000  # images; fewer are read in less than a second
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
    """Return the size and hashes of the files that are as they were then, by `file_name`.

    Args:
        folder: The data folder.
        states: As `file_states` returns them.
    """
    before, path = pl.DataFrame(schema=_SCHEMA), folder / FILE
    # without it, or with a damaged one, all images are read
    with suppress(InputError, ResourceError), table_errors("PARQUET_DAMAGED", path, remedy="convert the data again"):
        noted = pl.read_parquet(BytesIO(read_bytes(path)), columns=[*_SCHEMA])
        before = noted if dict(noted.schema) == _SCHEMA else before
    same = states.join(before, on=["file_name", *_STATE], how="inner")
    return same.select(*READ_SCHEMA).unique("file_name", maintain_order=True)


def remember_images(folder: Path, images: pl.DataFrame, facts: Mapping[str, FileFacts], *, before_ns: int) -> None:
    """Write down what the images of a new data folder are, if there are many.

    Args:
        folder: The data folder.
        images: `file_name` relative to its ``images/``, `width` and `height`.
        facts: Of each image.
        before_ns: Images that were changed later, in nanoseconds of the clock, are left out.

    Raises:
        ResourceError: The disk is full or does not let us write.
    """
    if len(images) < FEWEST:
        return
    settled = pl.max_horizontal("mtime_ns", "ctime_ns") < before_ns
    rows = file_states(folder / "images", images["file_name"]).filter(settled)
    rows = rows.join(images.select("file_name", "width", "height"), on="file_name")
    of_rows = [facts[name] for name in rows["file_name"]]
    hashes = {"head": [each.head for each in of_rows], "sha256": [each.sha256 for each in of_rows]}
    packed = BytesIO()
    rows.with_columns(pl.Series(name, values, dtype=pl.String) for name, values in hashes.items()).write_parquet(packed)
    write_atomic(folder / FILE, packed.getvalue())
