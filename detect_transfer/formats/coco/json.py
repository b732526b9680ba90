"""Turning lists of JSON objects into checked columns.

The objects become columns whose types are looked at as sets, so that checking costs little where nothing is wrong. Only
a column that fails is looked at value by value, for the message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detect_transfer.core.errors import one_line
from detect_transfer.formats.parsing.error_collector import ErrorCollector

ABSENT = type("Absent", (), {"__repr__": lambda self: "nothing"})()
_REMEDY = "fix or remove this entry"
_REMEDY_OF_INTEGER = f"{_REMEDY}, or read with lenient=true, which takes whole numbers written as floats, and texts"
_KINDS = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "true or false",
    int: "an integer",
    float: "a number",
}

Items = list[dict[str, Any]]
Of = Mapping[str, str | None]
Fault = tuple[str, str, str]  # code, what, remedy


class Columns:
    """The objects of one list as columns; faults are collected with their JSON pointers.

    A value at fault stands as null or zero in its column, and the index of its object in the whole list in `bad`.

    Args:
        items: The objects.
        where: File and pointer of the list, such as ``a.json#/annotations``.
        errors: Where faults go.
        of: Tells whose the fault of an object is: `row_of` or `image`, as for `Problems.add`; without it each is one of
            the data set.
        first: The index of the first object, where they are a portion of the list.
    """

    def __init__(
        self,
        items: Items,
        where: str,
        errors: ErrorCollector,
        of: Callable[[dict[str, Any]], Of] = lambda item: {},
        *,
        first: int = 0,
    ) -> None:
        self.items = items
        self.where = where
        self.errors = errors
        self.of = of
        self.first = first
        self.bad: set[int] = set()
        self.keys: set[str] = set().union(*items)

    def raw(self, key: str) -> list[Any]:
        """Return the values of a key as they are, `ABSENT` where there is none."""
        try:
            return list(map(itemgetter(key), self.items))  # twice as fast, and nearly every column is complete
        except KeyError:
            return [item.get(key, ABSENT) for item in self.items]

    def integers(self, key: str, *, required: bool = True) -> pl.Series:
        """Return a column of 64-bit integers."""
        if not required and key not in self.keys:
            return pl.Series(key, [None] * len(self.items), dtype=pl.Int64)
        values = self.raw(key)
        if not required:
            values = _none_if_absent(values)
        good = {int} if required else {int, type(None)}
        in_range = set(map(type, values)) <= good and fit_int64(values)
        if not in_range:
            values = self._explain(
                key,
                values,
                "an integer of 64 bits",
                lambda v: type(v) in good and fit_int64([v]),
                remedy=_REMEDY_OF_INTEGER,
            )
        return pl.Series(key, values, dtype=pl.Int64)

    def strings(self, key: str, *, required: bool = False) -> pl.Series:
        """Return a column of strings; an integer is taken for its digits unless the column is required."""
        if not required and key not in self.keys:
            return pl.Series(key, [None] * len(self.items), dtype=pl.String)
        values = self.raw(key)
        good = {str} if required else {str, int, type(None), type(ABSENT)}
        if not set(map(type, values)) <= good:
            values = self._explain(key, values, "a string", lambda v: type(v) in good)
        if not set(map(type, values)) <= {str}:
            values = [None if v is ABSENT or v is None else str(v) for v in values]
        return pl.Series(key, values, dtype=pl.String)

    def flags(self, key: str) -> pl.Series:
        """Return a column of booleans from 0, 1, true, false or null or nothing (false)."""
        if key not in self.keys:
            return pl.Series(key, [False] * len(self.items), dtype=pl.Boolean)
        values = [False if value is ABSENT or value is None else value for value in self.raw(key)]
        if not (set(map(type, values)) <= {int, bool} and set(values) <= {0, 1}):
            values = self._explain(
                key, values, "0 or 1", lambda v: type(v) in (int, bool) and v in (0, 1), instead=False
            )
        return pl.Series(key, list(map(bool, values)), dtype=pl.Boolean)

    def numbers(self, key: str, *, low: float = 0.0, high: float = float("inf")) -> pl.Series:
        """Return a column of numbers in [`low`, `high`], null where there is none; true and false are 1 and 0."""
        if key not in self.keys:
            return pl.Series(key, [None] * len(self.items), dtype=pl.Float64)
        values = _none_if_absent(self.raw(key))
        expected = f"a number from {low:g}" + (f" to {high:g}" if high < float("inf") else "")

        def good(value: Any) -> bool:
            return value is None or (type(value) in (int, float, bool) and low <= value <= high)

        if not set(map(type, values)) <= {int, float, bool, type(None)}:
            values = self._explain(key, values, expected, good)
        numbers = np.array(values, dtype=np.float64)  # None becomes NaN
        if ((numbers < low) | (numbers > high)).any():
            numbers = np.array(self._explain(key, values, expected, good), dtype=np.float64)
        return pl.Series(key, numbers, nan_to_null=True)

    def boxes(self, key: str, *, required: bool = True, sized: bool = True) -> NDArray[np.float64]:
        """Return four finite numbers (N, 4) of boxes that are not inverted; NaN where there is none.

        Args:
            key: Where they stand.
            required: Whether there must be some.
            sized: Whether the last two are width and height, which must not be negative, or the second corner.
        """
        if not required and key not in self.keys:
            return np.full((len(self.items), 4), np.nan)
        values = self.raw(key)
        if not required and not set(map(type, values)) <= {list}:
            absent = [value is ABSENT or value is None for value in values]
            values = [[0, 0, 0, 0] if gone else v for v, gone in zip(values, absent, strict=True)]
            flat = self._flat(key, values, sized=sized)
            flat[np.array(absent)] = np.nan
            return flat
        return self._flat(key, values, sized=sized)

    def _flat(self, key: str, values: list[Any], *, sized: bool) -> NDArray[np.float64]:
        if not (set(map(type, values)) <= {list} and set(map(len, values)) <= {4}) or not (
            set(map(type, chain.from_iterable(values))) <= {int, float}
        ):
            expected = "a list of four numbers " + ("[x, y, width, height]" if sized else "[x1, y1, x2, y2]")
            values = self._explain(key, values, expected, _is_four_numbers, instead=[0, 0, 0, 0])
        numbers = np.fromiter(chain.from_iterable(values), np.float64, 4 * len(values)).reshape(-1, 4)
        inverted = numbers[:, 2:] < (0 if sized else numbers[:, :2])
        what = "width and height must not be negative" if sized else "the second corner must not be before the first"
        for index in np.flatnonzero(inverted.any(axis=1)):
            self.report(int(index), key, "BOX_INVALID", what)
        with np.errstate(over="ignore"):
            past_all = ~np.isfinite(numbers[:, :2] + numbers[:, 2:]).all(axis=1)
        for index in np.flatnonzero(past_all):
            self.report(int(index), key, "BOX_INVALID", "the box ends past the largest number")
        return numbers

    def _explain(
        self,
        key: str,
        values: Sequence[Any],
        expected: str,
        good: Callable[[Any], bool],
        *,
        instead: Any = None,
        remedy: str = _REMEDY,
    ) -> list[Any]:
        """Report the values at fault and return all with `instead` in their places."""
        replaced = list(values)
        for index, value in enumerate(values):
            if good(value):
                continue
            replaced[index] = instead
            if value is ABSENT:
                self.report(index, key, "COCO_KEY", f"there is no such key, expected {expected}", remedy=remedy)
            else:
                self.report(index, key, "COCO_TYPE", f"found {kind_of(value)}, expected {expected}", remedy=remedy)
        return replaced

    def report(self, index: int, key: str, code: str, what: str, *, remedy: str = _REMEDY) -> None:
        """Add a problem with the value of one key of the object at an index of `items`."""
        self.report_of(self.items[index], self.first + index, key, (code, what, remedy))

    def report_of(self, item: dict[str, Any], row: int, key: str, fault: Fault, *, of: Of | None = None) -> None:
        """Add a problem with a key of an object of the whole list; `of` where it is not as for other faults.

        Args:
            item: The keys that are known of it, among them `key`.
            row: Its index in the list.
            key: What is at fault.
            fault: The code, what is wrong, and the remedy.
            of: Whose fault it is.
        """
        if row in self.bad and self.errors.on_error != "fail":
            return  # it is left out for another fault already
        self.bad.add(row)
        if self.errors.full:
            self.errors.count(1)
            return
        code, what, remedy = fault
        blame: dict[str, Any] = dict(self.of(item) if of is None else of)
        if key in item:
            blame["value"] = one_line(item[key])
        self.errors.add(code, what, where=f"{self.where}/{row}/{key}", remedy=remedy, field=key, **blame)


def kind_of(value: Any) -> str:
    """Return what a JSON value is, in words."""
    return "null" if value is None else "nothing" if value is ABSENT else _KINDS[type(value)]


def _none_if_absent(values: list[Any]) -> list[Any]:
    return [None if v is ABSENT else v for v in values] if type(ABSENT) in set(map(type, values)) else values


def _is_four_numbers(value: Any) -> bool:
    return type(value) is list and len(value) == 4 and set(map(type, value)) <= {int, float}


def fit_int64(values: Sequence[int | None]) -> bool:
    """Return whether all integers of a column can be stored in 64 bits."""
    given = [v for v in values if v is not None] if None in values else values
    return not given or (min(given) >= -(2**63) and max(given) < 2**63)  # type: ignore[type-var, operator]
