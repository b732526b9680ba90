"""Our lossless tables: `images`, `boxes` and `categories` as Parquet files, with a `schema.json` that vouches for them.

Every column is kept as it is, in any number, and the types are those of the table, so a reader of any language sees
what the table holds.
"""

from __future__ import annotations

from io import BufferedIOBase
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import polars as pl

from detect_transfer.core.annotations import Annotations
from detect_transfer.core.columns import AnyFrame, n_rows
from detect_transfer.core.io import new_file, sha256_file, write_json
from detect_transfer.core.ledger import Ledger

SCHEMA_VERSION = 1
_ROWS_OF_A_GROUP = 32_000  # polars holds several groups of each file that it reads
FRAMES = ("images", "boxes", "categories")


def write_parquet(table: Annotations, out: Path, *, ledger: Ledger | None = None) -> None:
    """Write a table as three Parquet files (zstd) and `schema.json`, which is written last.

    Args:
        table: What to write.
        out: The folder that gets the files.
        ledger: Gets a step.

    Raises:
        ResourceError: The disk is full or does not let us write.
    """
    n_boxes = table.n_boxes
    step = (ledger or Ledger()).open("parquet", images=len(table.images), boxes=n_boxes)
    files = {}
    for name in FRAMES:
        path = out / f"{name}.parquet"
        sink(getattr(table, name), path)
        n_written = n_rows(pl.scan_parquet(path, glob=False, hive_partitioning=False))
        files[path.name] = {"rows": n_written, "bytes": path.stat().st_size, "sha256": sha256_file(path)}
    write_json(out / "schema.json", {"schema_version": SCHEMA_VERSION, "files": files})
    step.close(images_out=len(table.images), boxes_out=n_boxes)


class _Stream(BufferedIOBase):
    """What polars writes to: it keeps the error of the disk, which polars hides behind one of its own."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        try:
            return self.stream.write(data)
        except OSError as error:
            self.error = error
            raise


def sink(frame: AnyFrame, path: Path) -> None:
    """Write rows as a Parquet file, in portions.

    Raises:
        ResourceError: The disk is full or does not let us write.
    """
    with new_file(path) as file:
        stream = _Stream(file)
        try:
            frame.lazy().sink_parquet(
                cast(IO[bytes], stream), compression="zstd", statistics=False, row_group_size=_ROWS_OF_A_GROUP
            )
        except pl.exceptions.PolarsError:
            if stream.error is not None:
                raise stream.error from None
            raise
