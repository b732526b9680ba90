"""Our lossless tables: `images`, `boxes` and `categories` as Parquet files, with a `schema.json` that vouches for them.

Every column is kept as it is, in any number, and the types are those of the table, so a reader of any language sees
what the table holds.
"""

from __future__ import annotations

import io
from pathlib import Path

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.io import sha256_file, write_atomic, write_json
from detect_transfer.core.ledger import Ledger

SCHEMA_VERSION = 1
FRAMES = ("images", "boxes", "categories")


def write_parquet(table: AnnotationTable, out: Path, *, ledger: Ledger | None = None) -> None:
    """Write a table as three Parquet files (zstd) and `schema.json`, which is written last.

    Args:
        table: What to write.
        out: The folder that gets the files.
        ledger: Gets a step.

    Raises:
        ResourceError: The disk is full or does not let us write.
    """
    step = (ledger or Ledger()).open("parquet", images=len(table.images), boxes=len(table.boxes))
    files = {}
    for name in FRAMES:
        path = out / f"{name}.parquet"
        frame = getattr(table, name)
        packed = io.BytesIO()  # polars hides a full disk behind an error of its own
        frame.write_parquet(packed, compression="zstd", statistics=False)
        write_atomic(path, packed.getvalue())
        files[path.name] = {"rows": len(frame), "bytes": path.stat().st_size, "sha256": sha256_file(path)}
    write_json(out / "schema.json", {"schema_version": SCHEMA_VERSION, "files": files})
    step.close(images_out=len(table.images), boxes_out=len(table.boxes))
