"""Keys that stand twice in one object of a JSON document: parsers keep the last and forget the first.

Writing the parsed document again tells whether a key was lost: it then has fewer colons behind keys than what was read.
Only where the numbers differ does the slow parser of the standard library look which key it is.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import orjson

_BEFORE = b'" \t\n\r'  # what may stand between a key and its colon, or inside a text before one
_BEFORE_COLON = [bytes([byte]) + b":" for byte in _BEFORE]
_HIDDEN = (b"\\u0020", b"\\u0022", b"\\u003a", b"\\u003A")  # which become a blank, a quote or a colon when written
_IS_BEFORE = np.isin(np.arange(256), list(_BEFORE))
_LARGE = 1 << 11


def key_twice(data: bytes, document: Any) -> tuple[str, str] | None:
    """Return the JSON pointer of the first object that has a key twice, and the key; None where there is none.

    Args:
        data: What was parsed, without a byte-order mark.
        document: What orjson made of it.

    Raises:
        RecursionError: It nests deeper than 254 levels.
    """
    try:
        written = orjson.dumps(document)
    except orjson.JSONEncodeError as error:  # all else of a document can be written
        raise RecursionError(str(error)) from error
    hidden = b"\\u00" in data and any(each in data for each in _HIDDEN)
    if not hidden and _colons(data) == _colons(written):
        return None
    return _first(json.loads(data, object_pairs_hook=_marked, parse_int=str, parse_float=str), "")


def _colons(data: bytes) -> int:
    """Count the colons behind a quote or white space: those behind keys, and as many in both forms inside texts."""
    if len(data) < _LARGE:
        return sum(map(data.count, _BEFORE_COLON))
    values = np.frombuffer(data, np.uint8)
    before = values[np.flatnonzero(values == ord(":")) - 1]
    return int(np.count_nonzero(_IS_BEFORE[before]))


class _Twice(dict[str, Any]):
    """An object that has a key twice."""

    key = ""


def _marked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) == len(pairs):
        return content
    twice, seen = _Twice(content), set[str]()
    twice.key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return twice


def _first(value: Any, pointer: str) -> tuple[str, str] | None:
    if isinstance(value, _Twice):
        return pointer, value.key
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return next((twice for key, child in children if (twice := _first(child, f"{pointer}/{key}"))), None)
