"""Boxes of JSON objects as rows of the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import polars as pl

from detect_transfer.core.annotations import BOX_SCHEMA
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing.json_nodes import Node

_DEEPEST = 100  # levels of a value that goes along as it is; written again it lies deeper, and orjson writes 254
Xyxy = tuple[float, float, float, float]


def corners(node: Node, keys: Sequence[str] = ("xmin", "ymin", "xmax", "ymax")) -> Xyxy:
    """Return the corners that an object holds under four keys, in the order left, top, right, bottom.

    Raises:
        InputError: One is no finite number, or they are swapped.
    """
    x1, y1, x2, y2 = map(node.number, keys)
    if x2 < x1:
        raise node.error(keys[2], "BOX_INVALID", f"{keys[2]} must be >= {keys[0]}, which is {x1:g}")
    if y2 < y1:
        raise node.error(keys[3], "BOX_INVALID", f"{keys[3]} must be >= {keys[1]}, which is {y1:g}")
    return x1, y1, x2, y2


def row_frame(rows: Sequence[Sequence[Any]], columns: Sequence[str]) -> pl.DataFrame:
    """Make the frame of rows of values; `image` and further columns that the table does not have are strings."""
    schema = {name: BOX_SCHEMA.get(name, pl.String) for name in columns}
    return pl.DataFrame(rows, schema=schema, orient="row")


def dump(value: Mapping[str, Any] | Sequence[Any], where: str) -> str:
    """Return a value as JSON.

    Raises:
        InputError: It is nested too deeply.
    """
    return dump_bytes(value, where).decode()


def dump_bytes(value: Any, where: str) -> bytes:
    """Return a value as the bytes of JSON.

    Raises:
        InputError: It is nested too deeply.
    """
    try:
        data = orjson.dumps(value)
        if data.count(b"[") + data.count(b"{") <= _DEEPEST or not _is_deeper(value, _DEEPEST):
            return data
    except TypeError:  # as orjson says it
        pass
    what = f"it is nested more than {_DEEPEST} levels deep"
    raise InputError("JSON_DEPTH", what, where=where, remedy="remove what is nested so deeply")


def _is_deeper(value: Any, levels: int) -> bool:
    layer = [value]
    for _ in range(levels + 1):
        inner = [each.values() if isinstance(each, dict) else each for each in layer if isinstance(each, dict | list)]
        layer = [item for each in inner for item in each if isinstance(item, dict | list)]
        if not layer:
            return False
    return True
