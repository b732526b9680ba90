"""Columns of the table that our writers put among the attributes of a tool's boxes, under their own names.

A tool has a flag or two and attributes of any name, as text or as JSON. One whose value is not that of its column stays
an attribute.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import orjson

from detect_transfer.formats.parsing.numbers import parse_number

FLAGS = ("iscrowd", "ignore", "difficult")  # written where they are true
_VISIBLE = ("vis_x1", "vis_y1", "vis_x2", "vis_y2")
# written where not null
VALUES = ("ignore_reason", "truncated", "track_id", "vis_ratio", *_VISIBLE)
_SHARES = ("truncated", "vis_ratio")
_YES_NO = {"true": 1.0, "false": 0.0}


def own_attributes(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a row of boxes that say something, as `take_columns` takes them back."""
    said: dict[str, Any] = {name: True for name in FLAGS if row[name]}
    return said | {name: row[name] for name in VALUES if row[name] is not None}


def take_columns(attributes: dict[str, Any], shares: Collection[str] = _SHARES) -> dict[str, Any]:
    """Take the attributes of a shape that are columns out of it, and return these columns with their values.

    Args:
        attributes: Texts, or values of JSON.
        shares: The columns with a share in [0, 1] that are looked for.
    """
    names = attributes.keys() & {*FLAGS, *VALUES, *shares}
    texts = {name: _text(attributes[name]) for name in names if attributes[name] is not None}
    if not texts:
        return {}
    columns: dict[str, Any] = {name: texts[name] == "true" for name in FLAGS if texts.get(name) in _YES_NO}
    for name in shares:
        if type(attributes.get(name)) is int:  # a level, such as 1 of 3
            continue
        text = texts.get(name, "")
        share = _YES_NO.get(text, parse_number(text))
        if share is not None and 0 <= share <= 1:
            columns[name] = share
    corners = [parse_number(texts.get(name, "")) for name in _VISIBLE]
    if None not in corners:
        columns |= dict(zip(_VISIBLE, corners, strict=True))
    if texts.get("track_id"):
        columns["track_id"] = texts["track_id"]
    for name in columns:
        del attributes[name]
    if columns.get("iscrowd") or columns.get("ignore"):
        usual = "crowd" if columns.get("iscrowd") else "ignore flag"
        attributes.pop("ignore_reason", None)
        columns |= {"ignore": True, "ignore_reason": texts.get("ignore_reason", usual)}
    return columns


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
