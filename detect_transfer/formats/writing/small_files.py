"""Many small text files: a label or an XML for each image."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core.columns import AnyFrame
from detect_transfer.core.disk import resource_errors
from detect_transfer.core.io import safe_join

_ROWS_AT_ONCE = 250_000
_FLAGS = os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0)  # Windows would change line ends


def write_small_files(folder: Path, names: Sequence[str], texts: Sequence[str]) -> None:
    """Write UTF-8 texts straight to their place, so `folder` should be one that is published whole.

    Args:
        folder: Where they go; made if it is not there.
        names: A relative path for each.
        texts: As many.

    Raises:
        InputError: A name leads out of the folder.
        ResourceError: The disk is full or does not let us write.
    """
    with resource_errors(folder):
        _make_parents(folder, names)
        for name, text in zip(names, texts, strict=True):
            _write_plain(f"{folder}/{name}", text.encode())


def write_rows_by_image(folder: Path, names: pl.DataFrame, rows: AnyFrame) -> int:
    """Write a file of the lines of each image, an empty one where it has none; rows come in portions.

    Args:
        folder: As for `write_small_files`.
        names: `image_id`, and the relative path as `name`.
        rows: `image_id` and `text`, a line with its end.

    Returns:
        The number of rows.

    Raises:
        InputError: A name leads out of the folder.
        ResourceError: The disk is full or does not let us write.
    """
    begun: set[int] = set()
    n_written = 0

    def write(portion: pl.DataFrame) -> None:
        nonlocal n_written
        n_written += len(portion)
        texts = portion.group_by("image_id", maintain_order=True).agg(pl.col("text").str.join(""))
        for image_id, text, name in texts.join(names, on="image_id", how="left").iter_rows():
            _write_plain(f"{folder}/{name}", text.encode(), goes_on=image_id in begun)
            begun.add(image_id)

    with resource_errors(folder):
        _make_parents(folder, names["name"])
        rows.lazy().sink_batches(write, chunk_size=_ROWS_AT_ONCE)
        for image_id, name in names.select("image_id", "name").iter_rows():
            if image_id not in begun:
                _write_plain(f"{folder}/{name}", b"")
    return n_written


def _make_parents(folder: Path, names: Iterable[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for parent in sorted({str(PurePosixPath(name).parent) for name in names}):
        safe_join(folder, parent).mkdir(parents=True, exist_ok=True)


def _write_plain(path: str, data: bytes, *, goes_on: bool = False) -> None:
    """Write a small file, or the next part of one; fifty thousand of them are no place for `pathlib`."""
    descriptor = os.open(path, _FLAGS | (os.O_APPEND if goes_on else os.O_TRUNC), 0o644)
    try:
        while data:  # a disk that fills up may take a part
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)
