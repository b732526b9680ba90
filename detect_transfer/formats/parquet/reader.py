"""Our lossless Parquet tables, as `exports/parquet.py` writes them.

The files are held to `schema.json` before they are parsed, so that a damaged one is reported as such.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import (
    BOX_SCHEMA,
    CATEGORY_SCHEMA,
    IMAGE_SCHEMA,
    VISIBLE_XYXY,
    AnnotationTable,
    ScannedTable,
    check_table,
)
from detect_transfer.core.columns import collected
from detect_transfer.core.errors import InputError
from detect_transfer.core.written_links import link_root
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.tables import table_errors

SCHEMA_VERSION = 1
_SCHEMA = "schema.json"
_FRAMES: dict[str, dict[str, Any]] = {"images": IMAGE_SCHEMA, "boxes": BOX_SCHEMA, "categories": CATEGORY_SCHEMA}
_ADDED = ("vis_ratio",)  # columns that older files do not have
_FLAGS = ("iscrowd", "ignore", "difficult")
_SHARES = ("occluded", "truncated", "vis_ratio")
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
    table = scan(root, images=images)
    with table_errors("PARQUET_DAMAGED", root / "boxes.parquet", remedy=_REMEDY):
        return table.in_memory()


def scan(root: Path, *, images: Path | None = None, spill: Path | None = None) -> ScannedTable:
    """Check the files as `read` does, and leave the boxes in theirs.

    Args:
        root: As for `read`.
        images: As for `read`.
        spill: Not needed: the boxes lie in a file of their own.

    Raises:
        InputError: As for `read`.
    """
    io.require_dir(root, what="a folder with images.parquet, boxes.parquet, categories.parquet and schema.json")
    listed = _listed(root)
    frames = {name: _scan_frame(root, f"{name}.parquet", listed, schema) for name, schema in _FRAMES.items()}
    if images is not None:
        image_root: Path | None = io.require_dir(images, what="the folder of the images")
    else:
        places = (root / "images", root.parent / "images")
        image_root = next((folder for folder in places if folder.is_dir()), None)
    with table_errors("PARQUET_DAMAGED", root / "boxes.parquet", remedy=_REMEDY):
        _check_values(root, frames["boxes"])
        rows, classes = collected(frames["images"]).rechunk(), collected(frames["categories"]).rechunk()
        table = ScannedTable(rows, frames["boxes"], classes, image_root, link_root=link_root())
        for name in rows.filter(pl.col("file_name").is_null() | pl.col("file_name").str.contains(io.SUSPECT_NAME))[
            "file_name"
        ]:  # looking at every name takes a while
            io.safe_join(Path(), name or "", where=root / "images.parquet")
        check_table(table)
    return table


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


def _scan_frame(root: Path, name: str, listed: dict[str, Any], schema: dict[str, Any]) -> pl.LazyFrame:
    path = root / name
    native.require_regular(root, path)
    if listed.get(name, {}).get("sha256") != io.sha256_file(path):
        raise InputError("DATA_CHANGED", f"its bytes are not those that {_SCHEMA} names", where=path, remedy=_REMEDY)
    with table_errors("PARQUET_DAMAGED", path, remedy=_REMEDY):
        frame = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        types = frame.collect_schema()
    added = [c for c in _ADDED if c in schema and c not in types]
    wrong = [c for c, dtype in schema.items() if types.get(c) != dtype and c not in added]
    if wrong:
        what = f"{types.get(wrong[0], 'nothing')} was found, {schema[wrong[0]]} was expected"
        raise InputError("PARQUET_SCHEMA", what, where=path, field="column", value=wrong[0], remedy=_REMEDY)
    for column, dtype in types.items():
        if column not in schema and _holds_bytes(dtype):
            what = f"{dtype} was found, which no format that is written has a place for"
            remedy = "write it as text or as numbers, or leave the column out"
            raise InputError("PARQUET_SCHEMA", what, where=path, field="column", value=column, remedy=remedy)
    return frame.with_columns(pl.lit(None, schema[c]).alias(c) for c in added)


def _holds_bytes(dtype: Any) -> bool:
    """Tell whether a type has bytes, or values of a program, somewhere in it."""
    if isinstance(dtype, pl.Struct):
        return any(_holds_bytes(each.dtype) for each in dtype.fields)
    if isinstance(dtype, pl.List | pl.Array):
        return _holds_bytes(dtype.inner)
    return dtype in (pl.Binary, pl.Object)


def _check_values(root: Path, boxes: pl.LazyFrame) -> None:
    """Check that flags are given, numbers in their range, and every cell of `attributes` is a JSON object."""
    path = root / "boxes.parquet"
    wrong = {name: pl.col(name).is_null() for name in _FLAGS}
    wrong |= {name: ~pl.col(name).is_between(0.0, 1.0) for name in _SHARES}  # of NaN too
    wrong |= {name: ~pl.col(name).is_finite() for name in VISIBLE_XYXY}
    expected = {**dict.fromkeys(_FLAGS, "true or false"), **dict.fromkeys(_SHARES, "a share in [0, 1]")}
    found = collected(boxes.select(rule.any().alias(name) for name, rule in wrong.items())).row(0, named=True)
    for name in (name for name, is_wrong in found.items() if is_wrong):
        what = f"{expected.get(name, 'a finite number')} was expected"
        value = collected(boxes.filter(wrong[name]).select(name).head(1)).item()
        raise InputError("PARQUET_VALUE", what, where=path, field=name, value=value, remedy=_REMEDY)
    no_object = pl.col("attributes").map_batches(_are_no_objects, return_dtype=pl.Boolean, is_elementwise=True)
    for text in collected(boxes.select("attributes").filter(no_object).head(1))["attributes"]:
        what = "a JSON object was expected"
        try:
            io.parse_json(text.encode(), path)
        except InputError as error:
            what = f"{what}: {error.what}"
        raise InputError("PARQUET_VALUE", what, where=path, field="attributes", value=text, remedy=_REMEDY)


def _are_no_objects(texts: pl.Series) -> pl.Series:
    """Return which texts are no JSON objects, of a portion in which many may be alike; null is none at all."""
    known = {None: True, **{text: _is_object(text) for text in texts.drop_nulls().unique()}}
    return pl.Series([not known[text] for text in texts], dtype=pl.Boolean)


def _is_object(text: str) -> bool:
    try:
        return isinstance(io.parse_json(text.encode(), Path()), dict)
    except InputError:
        return False
