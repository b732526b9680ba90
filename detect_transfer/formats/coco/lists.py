"""The images and the categories of a COCO file as frames.

Each frame has the column `row`, the index of the object in its list.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import CATEGORY_SCHEMA, IMAGE_SCHEMA, JSON
from detect_transfer.core.columns import AnyFrame, collected, has_repeats
from detect_transfer.core.errors import InputError
from detect_transfer.formats.coco.json import ABSENT, Columns, Of, fit_int64
from detect_transfer.formats.parsing.json_boxes import dump_bytes

_IMAGE_KEYS = {"id", "file_name", "width", "height", "split", "group"}
_PLAIN: dict[frozenset[type], type[pl.DataType]] = {
    frozenset({str}): pl.String,
    frozenset({bool}): pl.Boolean,
    frozenset({int}): pl.Int64,
    frozenset({float}): pl.Float64,
    frozenset({int, float}): pl.Float64,
}


def read_images(columns: Columns) -> pl.DataFrame:
    """Return the columns of `IMAGE_SCHEMA` and one for each further key."""
    image_id, name = columns.integers("id"), columns.strings("file_name", required=True)
    width, height = columns.integers("width", required=False), columns.integers("height", required=False)
    data = pl.DataFrame(
        {
            "image_id": image_id,
            "file_name": name,
            "width": width,
            "height": height,
            "split": columns.strings("split"),
            "group": columns.strings("group"),
        }
    ).with_columns(_extras(columns, _IMAGE_KEYS, IMAGE_SCHEMA))
    data = data.with_row_index("row")
    for column, key in (("image_id", "id"), ("file_name", "file_name")):
        check_unique(columns, data, column, key, of={})  # a fault of the data set: whose would the boxes be?
    for row in data.filter(_BAD_NAME)["row"]:
        _check_name(columns, row, data["file_name"][row])
    is_side = {key: pl.col(key).is_between(1, 2**31 - 1).fill_null(False) for key in ("width", "height")}
    neither = pl.col("width").is_null() & pl.col("height").is_null()
    for row, is_width in (
        data.filter(~(pl.all_horizontal(is_side.values()) | neither)).select("row", is_side["width"]).rows()
    ):
        key = "height" if is_width else "width"
        columns.report(row, key, "IMAGE_SIZE", "width and height must both be there, from 1 to 2,147,483,647")
    data = data.filter(pl.col("image_id").is_not_null())  # null where a fault of its own was reported
    return data.with_columns(pl.col("width", "height").cast(pl.Int32, strict=False))


_BAD_NAME = pl.col("file_name").str.contains(r"^$|^[/\\]|^.:|\\|\x00|(^|/)\.\.(/|$)|^[A-Za-z][A-Za-z0-9+.-]*://")


def _check_name(columns: Columns, row: int, name: str | None) -> None:
    where = f"{columns.where}/{row}/file_name"
    try:
        io.safe_join(Path(), name or "", where=where)
        raise InputError(
            *("PATH_OUTSIDE", "it is an address, not a relative path"),
            remedy="give the path of the image in the image folder",
            where=where,
            field="file_name",
            value=name,
        )
    except InputError as error:
        remedy = f"{error.remedy}, or read with lenient=true to go on with the part of it inside the folder"
        outside = InputError(error.code, error.what, where=where, field="file_name", value=name, remedy=remedy)
        columns.errors.put(outside, image=name or None)


def read_categories(columns: Columns) -> pl.DataFrame:
    """Return the columns of `CATEGORY_SCHEMA` and one for each further key."""
    data = pl.DataFrame(
        {
            "category_id": columns.integers("id"),
            "name": columns.strings("name", required=True),
            "supercategory": columns.strings("supercategory"),
        }
    ).with_columns(_extras(columns, {"id", "name", "supercategory"}, CATEGORY_SCHEMA))
    data = data.with_row_index("row")
    check_unique(columns, data, "category_id", "id")
    check_unique(columns, data, "name", "name")
    for row in data.filter(pl.col("name").str.strip_chars() == "")["row"]:
        columns.report(row, "name", "COCO_NAME", "a class needs a name")
    return data


def _extras(columns: Columns, own_keys: set[str], schema: dict[str, Any]) -> list[pl.Series]:
    """Return the keys of our own or somebody else's extension as columns; what is no plain value is JSON as bytes."""
    columns_found = []
    for key in sorted(columns.keys - own_keys):
        values = [None if v is ABSENT else v for v in columns.raw(key)]
        name = f"native_{key}" if key in schema or key == "row" else key
        kinds = frozenset(map(type, values)) - {type(None)}
        dtype = _PLAIN.get(kinds)
        if dtype == pl.Int64 and not fit_int64(values):
            dtype = pl.Float64
        if dtype is None and kinds:
            values, dtype = [_as_bytes(columns, row, key, v) for row, v in enumerate(values)], JSON
        columns_found.append(pl.Series(name, values, dtype=dtype or pl.String, strict=False))
    return columns_found


def _as_bytes(columns: Columns, row: int, key: str, value: object) -> bytes | None:
    try:
        return None if value is None else dump_bytes(value, "")
    except InputError as error:
        columns.report(row, key, error.code, error.what)
        return None


def check_unique(columns: Columns, data: AnyFrame, column: str, key: str, *, of: Of | None = None) -> None:
    """Report objects whose value of a key an earlier one has; null is none. `of` as for `Columns.report_of`."""
    values = collected(data.select(column)).to_series()
    if not values.has_nulls() and not (
        has_repeats(values) if values.dtype.is_integer() else values.is_duplicated().any()
    ):
        return
    twice = values.filter(values.is_duplicated()).drop_nulls()
    known = [name for name in ("image_id",) if name in data.collect_schema() and name != column]
    rows = collected(data.filter(pl.col(column).is_in(twice.implode())).select("row", *known, value=column))
    later = rows.with_columns(first=pl.col("row").min().over("value")).filter(pl.col("first") < pl.col("row"))
    for item in later.iter_rows(named=True):
        fault = "ID_DUPLICATE", f"entry {item['first']} has the same {key}", "give each its own"
        columns.report_of({**item, key: item["value"]}, item["row"], key, fault, of=of)
