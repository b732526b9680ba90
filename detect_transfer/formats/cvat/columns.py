"""Attributes of CVAT that are columns of the table: our writer gives them these names.

CVAT has a flag `occluded` and nothing else of the kind, but attributes of any name as text. One whose value is not that
of its column stays an attribute.
"""

from __future__ import annotations

from typing import Any

from detect_transfer.formats.parsing.numbers import parse_number

_FLAGS = ("iscrowd", "ignore", "difficult")
_VISIBLE = ("vis_x1", "vis_y1", "vis_x2", "vis_y2")
_SHARES = ("truncated", "vis_ratio")
_COLUMNS = frozenset((*_FLAGS, *_SHARES, "track_id", *_VISIBLE))
_YES_NO = {"true": 1.0, "false": 0.0}


def take_columns(attributes: dict[str, Any]) -> dict[str, Any]:
    """Take the attributes of a shape that are columns out of it, and return these columns with their values."""
    if not attributes.keys() & _COLUMNS:
        return {}
    columns: dict[str, Any] = {
        name: attributes.pop(name) == "true" for name in _FLAGS if attributes.get(name) in ("true", "false")
    }
    for name in _SHARES:
        text = attributes.get(name, "")
        share = _YES_NO.get(text, parse_number(text))
        if share is not None and 0 <= share <= 1:
            columns[name] = share
            del attributes[name]
    corners = [parse_number(attributes.get(name, "")) for name in _VISIBLE]
    if None not in corners:
        columns |= dict(zip(_VISIBLE, corners, strict=True))
        for name in _VISIBLE:
            del attributes[name]
    if attributes.get("track_id"):
        columns["track_id"] = attributes.pop("track_id")
    if columns.get("iscrowd") or columns.get("ignore"):
        usual = "crowd" if columns.get("iscrowd") else "ignore flag"
        columns |= {"ignore": True, "ignore_reason": attributes.pop("ignore_reason", usual)}
    return columns
