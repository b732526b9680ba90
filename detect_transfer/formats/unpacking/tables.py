"""Tables of Hugging Face `datasets`: Parquet files, or Arrow files that `save_to_disk` wrote.

A row has the image as a struct of `bytes` and `path`, and `objects`, as lists of one length or as a list of structs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from detect_transfer.core.errors import InputError
from detect_transfer.core.io import parse_json, read_json
from detect_transfer.formats.parsing.tables import table_errors
from detect_transfer.formats.unpacking.arrow import read_arrow
from detect_transfer.formats.unpacking.image_folder import ImageFolder, split_of_file

SUFFIXES = (".parquet", ".arrow")
_AT_ONCE = 200  # rows, whose images are in memory together
_INFO = "dataset_info.json"
_DAMAGED = "download or write it again"


def unpack(root: Path, names: list[str], out: ImageFolder) -> None:
    """Bring out the images and the objects of tables.

    Args:
        root: The folder of the tables.
        names: Their names below it.
        out: Where they go.

    Raises:
        InputError: A table is damaged, or has no images inside.
    """
    classes: list[str] | None = None
    for name in names:
        path = root / name
        classes = classes or _class_names(path)
        number = 0
        for rows in _frames(path):
            column = _image_column(rows, path)
            for row in rows.iter_rows(named=True):
                image = row.pop(column) or {}
                where = f"{path}:{number + 1}"
                number += 1
                if not image.get("bytes"):
                    what = f"the row holds no image, only the way to it: {image.get('path')}"
                    remedy = "write the tables again with the images inside (datasets: embed_external_files=True)"
                    raise InputError("IMAGE_MISSING", what, where=where, remedy=remedy)
                said = {key: value for key, value in row.items() if _is_plain(value)}
                if row.get("objects"):
                    said["objects"] = _objects(row["objects"], where)
                out.add(image["bytes"], image.get("path"), said, split=split_of_file(path, root), where=where)
    out.close(classes)


def _frames(path: Path) -> Iterator[pl.DataFrame]:
    """Give the rows of a table, some at a time."""
    with table_errors("TABLE_DAMAGED", path, remedy=_DAMAGED):
        rows = read_arrow(path).lazy() if path.suffix == ".arrow" else pl.scan_parquet(path)
        count = rows.select(pl.len()).collect().item()
    for start in range(0, count, _AT_ONCE):
        with table_errors("TABLE_DAMAGED", path, remedy=_DAMAGED):
            part = rows.slice(start, _AT_ONCE).collect()
        yield part


def _objects(objects: Any, where: str) -> dict[str, Any]:
    """Return the objects of an image as lists of one length by name; there they may be a list of objects, too.

    Raises:
        InputError: They are neither.
    """
    if isinstance(objects, list) and all(isinstance(each, dict) for each in objects):
        return {key: [each[key] for each in objects] for key in objects[0]}  # a table has the same keys in each
    if isinstance(objects, dict):
        return objects
    what, remedy = "lists by name, or a list of objects, were expected", "write the objects as data sets have them"
    raise InputError("TABLE_TYPE", what, where=where, field="objects", value=objects, remedy=remedy)


def _image_column(rows: pl.DataFrame, path: Path) -> str:
    for name, dtype in rows.schema.items():
        kinds = {field.name: field.dtype for field in dtype.fields} if isinstance(dtype, pl.Struct) else {}
        if {"bytes", "path"} <= kinds.keys():
            if kinds["bytes"] in (pl.Binary, pl.Null) and kinds["path"] in (pl.String, pl.Null):
                return name
            what = f"bytes and a text were expected as bytes and path; found {kinds['bytes']} and {kinds['path']}"
            raise InputError("TABLE_TYPE", what, where=path, field=name, remedy=_DAMAGED)
    what = f"no column holds images (a struct of bytes and path); there is: {', '.join(rows.columns)}"
    raise InputError("IMAGE_MISSING", what, where=path, remedy="give tables of an image data set of Hugging Face")


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)


def _class_names(path: Path) -> list[str] | None:
    """Return the names of the one list of classes that the features of a table tell, in the order of their numbers."""
    try:
        if path.suffix == ".parquet":
            with table_errors("TABLE_DAMAGED", path, remedy=_DAMAGED):
                text = pl.read_parquet_metadata(path).get("huggingface", "{}")
            features = parse_json(text.encode(), path)
        else:
            features = read_json(path.parent / _INFO) if (path.parent / _INFO).is_file() else None
    except (OSError, ValueError):
        return None
    lists = list(_labels(features))
    return lists[0] if len(lists) == 1 else None


def _labels(value: Any) -> Iterator[list[str]]:
    """Give the names of every class label below a value."""
    if isinstance(value, dict):
        names = value.get("names")
        if value.get("_type") == "ClassLabel" and isinstance(names, list) and all(isinstance(n, str) for n in names):
            yield names
        for each in value.values():
            yield from _labels(each)
    elif isinstance(value, list):
        for each in value:
            yield from _labels(each)
