"""Typed access to a JSON document that says where a fault is.

The getters raise an `InputError` with the JSON pointer of what is wrong; a reader catches it by `ErrorCollector.row`
or `ErrorCollector.image`, which decide what becomes of the box or the image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detect_transfer.core import io
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.numbers import parse_number

_REQUIRED: Any = object()
_REMEDY = "fix the file"
_KINDS = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "true or false",
    int: "an integer",
    float: "a number",
}


def read_json(root: Path, name: str) -> Node:
    """Read a JSON file of a data set.

    Raises:
        InputError: It is missing, is no regular file, leads out of `root`, or is no JSON.
    """
    return parse_json(native.read_bytes(root, root / name), root, name)


def parse_json(data: bytes, root: Path, name: str) -> Node:
    """Parse the bytes of a JSON document that came from `name` (a file, or a file and line).

    Raises:
        InputError: It is no JSON, with line and column.
    """
    return Node(io.parse_json(data, root / name), f"{root}/", f"{name}#")


class Node:
    """A value of a JSON document with its place.

    Args:
        value: The value.
        base: The folder that `source` is relative to, ending in a slash.
        source: ``file#/pointer``.
    """

    __slots__ = ("_base", "source", "value")

    def __init__(self, value: Any, base: str, source: str) -> None:
        self.value = value
        self._base = base
        self.source = source

    @property
    def where(self) -> str:
        """The place for messages: `source` with its folder."""
        return self._base + self.source

    def error(self, key: str | None, code: str, what: str, remedy: str = _REMEDY) -> InputError:
        """Return the error for the value of `key` in this object, or for this value itself."""
        where = self.where
        if key is None:
            return InputError(code, what, where=where, value=self.value, remedy=remedy)
        value = self.value.get(key, "(missing)") if isinstance(self.value, dict) else self.value
        return InputError(code, what, where=f"{where}/{key}", field=key, value=value, remedy=remedy)

    def __contains__(self, key: str) -> bool:
        """Tell whether this object has the key with a value other than null."""
        return isinstance(self.value, dict) and self.value.get(key) is not None

    def child(self, key: str) -> Node:
        """Return the object under a key."""
        return Node(self._typed(key, dict, _REQUIRED), self._base, f"{self.source}/{key}")

    def below(self, key: str, value: Any) -> Node:
        """Return a value that was put together from this one as a node of its own, whose place is the key."""
        return Node(value, self._base, f"{self.source}/{key}")

    def items(self, key: str, default: Any = _REQUIRED) -> list[Node]:
        """Return the objects of the list under a key."""
        values = self._typed(key, list, default)
        nodes = [Node(value, self._base, f"{self.source}/{key}/{i}") for i, value in enumerate(values)]
        return [node.as_object() for node in nodes]

    def entries(self, key: str) -> dict[str, Node]:
        """Return the objects of the object under a key, by their keys."""
        return self.child(key).members()

    def members(self) -> dict[str, Node]:
        """Return the objects of this object by their keys."""
        values = self.as_object().value.items()
        return {k: Node(v, self._base, f"{self.source}/{k}").as_object() for k, v in values}

    def elements(self) -> list[Node]:
        """Return the objects of this value, which is a list."""
        if not isinstance(self.value, list):
            raise self.error(None, "JSON_TYPE", f"found {kind_of(self.value)}, expected a list of objects")
        return [Node(v, self._base, f"{self.source}/{i}").as_object() for i, v in enumerate(self.value)]

    def as_object(self) -> Node:
        """Return this node if it is an object."""
        if not isinstance(self.value, dict):
            raise self.error(None, "JSON_TYPE", f"found {kind_of(self.value)}, expected an object")
        return self

    def string(self, key: str, default: Any = _REQUIRED) -> str:
        """Return the string under a key."""
        return str(self._typed(key, str, default))

    def string_or_none(self, key: str) -> str | None:
        """Return the string under a key, or None where it is absent or null."""
        return self.string(key) if key in self else None

    def flag(self, key: str, default: Any = _REQUIRED) -> bool:
        """Return true or false under a key; 0 and 1 stand for them too."""
        value = self._raw(key, default)
        if isinstance(value, bool) or (type(value) in (int, float) and value in (0, 1)):
            return bool(value)
        raise self.error(key, "JSON_TYPE", f"found {kind_of(value)}, expected true or false")

    def number(self, key: str, default: Any = _REQUIRED, *, text: bool = False) -> float:
        """Return the finite number under a key; `text` takes one that is written as a string too."""
        value = self._raw(key, default)
        kind = type(value)
        if (kind is float or kind is int) and math.isfinite(value):
            return float(value)
        if text and kind is str and (parsed := parse_number(value.strip())) is not None:
            return parsed
        raise self.error(key, "JSON_NUMBER", f"found {kind_of(value)}, expected a finite number")

    def number_or_none(self, key: str) -> float | None:
        """Return the finite number under a key, or None where it is absent or null."""
        return self.number(key) if key in self else None

    def whole(self, key: str, default: Any = _REQUIRED) -> int:
        """Return the integer under a key."""
        value = self._raw(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 2**63:
            raise self.error(key, "JSON_NUMBER", f"found {kind_of(value)}, expected an integer")
        return value

    def size_wh(self, width: str = "width", height: str = "height") -> tuple[int, int]:
        """Return the width and height of an image under two keys, integers from 1."""
        for key in (width, height):
            if not 0 < self.whole(key) < 2**31:
                raise self.error(key, "IMAGE_SIZE", "a side must be from 1 to 2,147,483,647")
        return self.whole(width), self.whole(height)

    def numbers(self, key: str, count: int) -> tuple[float, ...]:
        """Return the `count` finite numbers of the list under a key."""
        values = self._typed(key, list, _REQUIRED)
        good = all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values)
        if len(values) != count or not good:
            raise self.error(key, "JSON_NUMBER", f"expected a list of {count} finite numbers")
        return tuple(map(float, values))

    def pairs(self, key: str) -> list[tuple[float, float]]:
        """Return the points under a key, a list of one or more pairs of finite numbers."""
        values = self._typed(key, list, _REQUIRED)
        if not values or not all(
            isinstance(pair, list) and len(pair) == 2 and all(map(_is_finite, pair)) for pair in values
        ):
            raise self.error(key, "JSON_NUMBER", "expected a list of pairs of finite numbers")
        return [(float(x), float(y)) for x, y in values]

    def words(self, key: str) -> list[str]:
        """Return the list of strings under a key."""
        values = self._typed(key, list, _REQUIRED)
        if not all(isinstance(v, str) for v in values):
            raise self.error(key, "JSON_TYPE", "expected a list of strings")
        return list(values)

    def choice(self, key: str, choices: Sequence[str], default: Any = _REQUIRED) -> str:
        """Return the string under a key, which is one of `choices`."""
        value = self.string(key, default)
        if value not in choices:
            raise self.error(key, "JSON_VALUE", "no such choice", did_you_mean(value, list(choices)))
        return value

    def _typed(self, key: str, kind: type, default: Any) -> Any:
        value = self._raw(key, default)
        if not isinstance(value, kind):
            raise self.error(key, "JSON_TYPE", f"found {kind_of(value)}, expected {_KINDS[kind]}")
        return value

    def _raw(self, key: str, default: Any) -> Any:
        """Return the value under a key; the default stands for an absent one and for null."""
        value = self.value.get(key) if isinstance(self.value, dict) else None
        if value is not None:
            return value
        if default is _REQUIRED:
            raise self.error(key, "JSON_KEY", "this key is needed")
        return default


def kind_of(value: Any) -> str:
    """Return what a JSON value is, for a message."""
    return "null" if value is None else _KINDS.get(type(value), "a value")


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
