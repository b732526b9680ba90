"""Our lossless Parquet tables, as `exports/parquet.py` writes them.

The files are held to `schema.json` before they are parsed, so that a damaged one is reported as such.
"""

from __future__ import annotations

import hashlib
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import BOX_SCHEMA, CATEGORY_SCHEMA, IMAGE_SCHEMA, AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.written_links import link_root
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.tables import table_errors

SCHEMA_VERSION = 1
_SCHEMA = "schema.json"
_FRAMES: dict[str, dict[str, Any]] = {"images": IMAGE_SCHEMA, "boxes": BOX_SCHEMA, "categories": CATEGORY_SCHEMA}
_ADDED = ("vis_ratio",)  # columns that older files do not have
_FLAGS = ("iscrowd", "ignore", "difficult")
_REMEDY = "write the tables again"


def read(root: Path, *, images: Path | None = None) -> AnnotationTable:
    """Read ``images.parquet``, ``boxes.parquet`` and ``categories.parquet`` with all their columns.

    Args:
        root: The folder that holds them and ``schema.json``.
        images: The folder that `file_name` is relative to. Without it ``images/`` in `root` or beside it is taken,
            where there is one.

    Raises:
        InputError: A file is missing, is not what ``schema.json`` says, lacks a column, or what it holds is no table.
    """
    io.require_dir(root, what="a folder with images.parquet, boxes.parquet, categories.parquet and schema.json")
    listed = _listed(root)
    frames = {name: _read_frame(root, f"{name}.parquet", listed, schema) for name, schema in _FRAMES.items()}
    _check_values(root, frames["boxes"])
    if images is not None:
        image_root: Path | None = io.require_dir(images, what="the folder of the images")
    else:
        places = (root / "images", root.parent / "images")
        image_root = next((folder for folder in places if folder.is_dir()), None)
    names = frames["images"]["file_name"]
    for name in names.filter(
        names.is_null() | names.str.contains(io.SUSPECT_NAME)
    ):  # looking at every name takes a while
        io.safe_join(Path(), name or "", where=root / "images.parquet")
    return AnnotationTable(frames["images"], frames["boxes"], frames["categories"], image_root, link_root=link_root())


def _listed(root: Path) -> dict[str, Any]:
    """Return what `schema.json` says of each file."""
    path = root / _SCHEMA
    native.require_regular(root, path)
    content = io.read_json(path)
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise InputError(
            "PARQUET_VERSION",
            f"expected version {SCHEMA_VERSION}",
            where=f"{path}#/schema_version",
            field="schema_version",
            value=version,
            remedy="read it with the version of this program that wrote it",
        )
    listed = content.get("files")
    if not isinstance(listed, dict) or not all(isinstance(facts, dict) for facts in listed.values()):
        raise InputError("PARQUET_SCHEMA", "found no object of files", where=f"{path}#/files", remedy=_REMEDY)
    return listed


def _read_frame(root: Path, name: str, listed: dict[str, Any], schema: dict[str, Any]) -> pl.DataFrame:
    path = root / name
    data = native.read_bytes(root, path)
    if listed.get(name, {}).get("sha256") != hashlib.sha256(data).hexdigest():
        raise InputError("DATA_CHANGED", f"its bytes are not those that {_SCHEMA} names", where=path, remedy=_REMEDY)
    with table_errors("PARQUET_DAMAGED", path, remedy=_REMEDY):
        frame = pl.read_parquet(BytesIO(data)).rechunk()  # else every step that adds a column copies all
    added = [c for c in _ADDED if c in schema and c not in frame.columns]
    frame = frame.with_columns(pl.lit(None, schema[c]).alias(c) for c in added)
    wrong = [c for c, dtype in schema.items() if frame.schema.get(c) != dtype]
    if wrong:
        what = f"{frame.schema.get(wrong[0], 'nothing')} was found, {schema[wrong[0]]} was expected"
        raise InputError("PARQUET_SCHEMA", what, where=path, field="column", value=wrong[0], remedy=_REMEDY)
    return frame


def _check_values(root: Path, boxes: pl.DataFrame) -> None:
    """Check that flags are given and that every cell of `attributes` is a JSON object."""
    for flag in _FLAGS:
        if boxes[flag].null_count():
            raise InputError(
                *("PARQUET_VALUE", "true or false was expected"),
                where=root / "boxes.parquet",
                field=flag,
                value=None,
                remedy=_REMEDY,
            )
    for text in boxes["attributes"].drop_nulls().unique(maintain_order=True):
        what = "a JSON object was expected"
        try:
            good = isinstance(io.parse_json(text.encode(), root / "boxes.parquet"), dict)
        except InputError as error:
            good, what = False, f"{what}: {error.what}"
        if not good:
            raise InputError(
                *("PARQUET_VALUE", what),
                where=root / "boxes.parquet",
                field="attributes",
                value=text,
                remedy=_REMEDY,
            )
