"""What the truth boxes are like: height, visible and hidden share, attributes, and the spans that cut subsets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import polars as pl

from detect_transfer.core import boxes
from detect_transfer.core.annotations import VISIBLE_XYXY, XYXY, AnnotationTable
from detect_transfer.core.arrays import BoolArray, FloatArray

WALKING = 0.41  # width / height of a walking person


@dataclass(frozen=True)
class Span:
    """A range of numbers.

    Args:
        low: Its lower end, which is in unless `above`.
        high: Its upper end, which is in unless `below`.
        below: Only what is less than `high` is in.
        above: Only what is more than `low` is in.
    """

    low: float = -math.inf
    high: float = math.inf
    below: bool = False
    above: bool = False

    def holds(self, values: FloatArray) -> BoolArray:
        """Return a mask (N,) of the values in it; NaN is in none."""
        from_low = values > self.low if self.above else values >= self.low
        return np.asarray(from_low & (values < self.high if self.below else values <= self.high))

    def __str__(self) -> str:
        """Return it as in a paper: ``[50, inf)``."""
        left = "(" if self.above or self.low == -math.inf else "["
        return f"{left}{self.low:g}, {self.high:g}{')' if self.below or self.high == math.inf else ']'}"


Bounds = Mapping[str, Span]  # a column of `truth_attributes` to the values that are in


def inside(attributes: Mapping[str, FloatArray], bounds: Bounds) -> BoolArray:
    """Return a mask (N,) of the boxes within all the bounds."""
    n = len(next(iter(attributes.values())))
    within = np.ones(n, bool)
    for column, span in bounds.items():
        within &= span.holds(attributes[column])
    return within


def truth_attributes(truth: AnnotationTable) -> dict[str, FloatArray]:
    """Return for all truth boxes (N,) what subsets are cut by.

    Returns:
        `height` in pixels; `off_aspect`, how far width / height is from .41, that of a walking person; `visible`, the
        share of the box that can be seen: by the visible box, else `vis_ratio`, else 1 - `occluded`, else 1; `occluded`
        and `truncated`, shares, 0 where they are not stated; `stated_visible`, `stated_occluded` and
        `stated_truncated`, the same with NaN where nothing is stated.
    """
    rows = truth.boxes
    full = rows.select(XYXY).to_numpy()
    width, height = (full[:, 2:] - full[:, :2]).T
    seen = rows.select(pl.col(VISIBLE_XYXY).cast(pl.Float64)).to_numpy()
    area = boxes.area(full)
    by_box = np.divide(boxes.area(seen), area, out=np.zeros_like(area), where=area > 0)
    by_box[np.isnan(seen).any(axis=1)] = np.nan
    columns = ("occluded", "truncated", "vis_ratio")
    occluded, truncated, ratio = (rows[c].fill_null(float("nan")).to_numpy() for c in columns)
    visible = np.where(np.isnan(by_box), np.where(np.isnan(ratio), 1 - occluded, ratio), by_box)
    return {
        "height": height,
        "off_aspect": np.abs(np.divide(width, height, out=np.full(len(full), np.inf), where=height > 0) - WALKING),
        "visible": np.nan_to_num(visible, nan=1.0),
        "occluded": np.nan_to_num(occluded),
        "truncated": np.nan_to_num(truncated),
        "stated_visible": visible,
        "stated_occluded": occluded,
        "stated_truncated": truncated,
    }


def attribute_values(truth: AnnotationTable, among: BoolArray, *, most: int) -> Iterator[tuple[str, str, BoolArray]]:
    """Yield each value of each attribute of objects, such as the state of a light, with which boxes (N,) have it.

    Words, whole numbers, true and false are values, and so is each word of a list; a key with one value in all, or with
    more than `most`, is nothing to cut by.

    Args:
        truth: Its column `attributes` holds JSON objects.
        among: (N,) boxes whose values are counted.
        most: So many values at most may a key have.
    """
    texts = truth.boxes["attributes"]
    objects = texts.filter(pl.Series(among)).drop_nulls().unique().sort().to_list()  # each is parsed once
    having: dict[str, dict[str, list[int]]] = {}
    for index, text in enumerate(objects):
        for key, value in orjson.loads(text).items():
            values = having.setdefault(key, {})
            for word in _words(value) if len(values) <= most else ():
                values.setdefault(word, []).append(index)
    n = len(objects)
    indices = texts.replace_strict(objects, range(n), default=n, return_dtype=pl.Int64).to_numpy()
    for key, values in sorted(having.items()):
        for word, rows in sorted(values.items()) if 2 <= len(values) <= most else ():
            has = np.zeros(n + 1, bool)  # the last for boxes without attributes
            has[rows] = True
            yield key, word, has[indices]


def _words(value: Any) -> list[str]:
    """Return an attribute as words: none for what is empty, a fraction or nested."""
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return [part for part in dict.fromkeys(value) if part.strip()]
    return [str(value)] if isinstance(value, (int, str)) and str(value).strip() else []
