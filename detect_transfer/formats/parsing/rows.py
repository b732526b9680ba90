"""Rows under checks, and what they say of images and classes.

A row has `image`, the name that the annotations use, and its place: `file` and `line`, or `source`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detect_transfer.core.columns import text_of
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing.box_format import PIXEL_CORNERS, SHARES_CODE, BoxFormat
from detect_transfer.formats.parsing.error_collector import MOST_OF_A_KIND, ErrorCollector
from detect_transfer.formats.parsing.image_lookup import ImageRef
from detect_transfer.formats.parsing.numbers import NUMBER_PATTERN

_FIX_ROW = "fix or remove the row"
_INTEGER_PATTERN = r"[+-]?[0-9]{1,18}"


@dataclass(frozen=True)
class Rows:
    """Rows under checks: each check reports the rows that fail it with their places, and returns the others.

    Args:
        data: The rows.
        root: The folder that `file` and `source` are relative to.
        errors: Where faults go.
        box_format: What the numbers of the boxes were.
    """

    data: pl.DataFrame
    root: Path
    errors: ErrorCollector
    box_format: BoxFormat = PIXEL_CORNERS

    def _with(self, data: pl.DataFrame) -> Rows:
        return Rows(data, self.root, self.errors, self.box_format)

    def check(self, good: pl.Expr, code: str, what: str, field: str, remedy: str = _FIX_ROW) -> Rows:
        """Keep the rows that meet a condition; null passes. `field` is the column at fault."""
        keep = self.data.select(good.fill_null(True).alias("keep"))["keep"]
        if keep.all():
            return self
        wrong, value = self.data.filter(~keep), pl.col(field) if field in self.data.columns else pl.lit(None)
        rows = wrong.select(source_of(wrong), "image", value.alias("value")).iter_rows()
        for number, (source, image, given) in enumerate(rows):
            if self.errors.on_error == "fail" and (number >= MOST_OF_A_KIND or self.errors.full):
                self.errors.count(len(wrong) - number, code, None if self.errors.full else (code, what, remedy))
                break
            where, of = f"{self.root}/{source}", image or ""
            self.errors.add(code, what, where=where, field=field, value=given, remedy=remedy, row_of=of)
        return self._with(self.data.filter(keep))

    def between(
        self, field: str, low: float, high: float, what: str, code: str = "ROW_NUMBER", remedy: str = _FIX_ROW
    ) -> Rows:
        """Keep the rows whose number lies between two, both included."""
        return self.check(pl.col(field).is_between(low, high), code, what, field, remedy)

    def filled(self, *fields: str, what: str = "this field is needed", code: str = "ROW_EMPTY") -> Rows:
        """Keep the rows whose fields are not empty."""
        rows = self
        for field in fields:
            rows = rows.check(pl.col(field) != "", code, what, field)
        return rows

    def numbers(self, *fields: str, whole: bool = False) -> Rows:
        """Turn fields into finite floats, or integers where `whole`; an absent field stays null.

        Python's and polars' liberties (``1_0``, ``nan``, ``0.``) are no numbers.
        """
        pattern = f"^(?:{_INTEGER_PATTERN if whole else NUMBER_PATTERN})$"
        what = "expected an integer" if whole else "expected a finite number"
        dtype = pl.Int64 if whole else pl.Float64
        cast = {field: pl.col(field).str.strip_prefix("+").cast(dtype, strict=False) for field in fields}

        def is_good(field: str, number: pl.Expr) -> pl.Expr:
            text = pl.col(field)
            return text.is_null() | (text.str.contains(pattern) & number.is_finite().fill_null(False))

        numbers = self.data.select(**cast)
        if all(self.data.select(is_good(field, pl.lit(numbers[field])).all() for field in fields).row(0)):
            return self._with(self.data.with_columns(numbers))
        rows = self
        for field in fields:
            rows = rows.check(is_good(field, cast[field]), "ROW_NUMBER", what, field)
        return rows.with_columns(**cast)

    def box(
        self, *fields: str, box_format: BoxFormat = PIXEL_CORNERS, one_based: bool = False, inclusive: bool = False
    ) -> Rows:
        """Check the four numbers of boxes, and make `x1, y1, x2, y2` of them, in the units that they have.

        Args:
            fields: The columns of the left, top, right and bottom edge, or what else `box_format` says.
            box_format: What the numbers are; shares become pixels in `Source.table`.
            one_based: Whether the first pixel is number 1.
            inclusive: Whether the right and the bottom edge are the last pixel of the box.

        Raises:
            InputError: Pixels are counted otherwise, and the numbers are shares.
        """
        rows = self
        if box_format.units == "shares" and (one_based or inclusive):
            what, name = "pixels are counted, and the numbers are shares", "one_based" if one_based else "inclusive"
            raise InputError("OPTION_VALUE", what, field=name, value=True, remedy=f"leave {name} out")
        for field in fields if box_format.units == "shares" else ():
            what = "expected a share of the image from 0 to 1; it looks like pixels"
            rows = rows.between(field, -1, 2, what, SHARES_CODE, box_format.remedy(units="pixels"))
        for low, high in zip(fields[:2], fields[2:], strict=True):
            if box_format.is_sized:
                rows = rows.check(pl.col(high) >= 0, "BOX_INVALID", "it must not be negative", high)
            else:
                rows = rows.check(pl.col(high) >= pl.col(low), "BOX_INVALID", f"{high} must be >= {low}", high)
        x1, y1, x2, y2 = box_format.corners(*fields)
        first, last = int(one_based), int(one_based) - int(inclusive)
        if box_format.is_sized:
            last = first  # a size holds as many pixels wherever they are counted from
        data = rows.data.with_columns(x1=x1 - first, y1=y1 - first, x2=x2 - last, y2=y2 - last)
        return Rows(data, self.root, self.errors, box_format)

    def category(self, field: str, names: Sequence[str] | Mapping[str, int], remedy: str | None = None) -> Rows:
        """Add `category_id` by the word in a field: its place among `names` from 1, or what these map it to."""
        ids = names if isinstance(names, Mapping) else {name: i for i, name in enumerate(names, start=1)}
        is_class = pl.col(field).is_in(list(ids)).fill_null(False)
        remedy = remedy or "give one of: " + ", ".join(ids)
        rows = self.check(is_class, "CLASS_UNKNOWN", "there is no such class", field, remedy)
        number = pl.col(field).replace_strict(list(ids), list(ids.values()), return_dtype=pl.Int64)
        return rows.with_columns(category_id=number)

    def ignore(self, reasons: Mapping[str, pl.Expr], crowds: Sequence[str] = ()) -> Rows:
        """Mark rows as neither target nor background, by the first of some reasons whose condition holds.

        Args:
            reasons: The conditions by their reasons.
            crowds: The reasons that make a region which stands for many objects.
        """
        reason = pl.coalesce(pl.when(good).then(pl.lit(word)) for word, good in reasons.items())
        rows = self.with_columns(ignore=reason.is_not_null(), ignore_reason=reason)
        return rows.with_columns(iscrowd=reason.is_in(list(crowds)).fill_null(False)) if crowds else rows

    def attributes(self, *fields: str | pl.Expr, where: pl.Expr | None = None) -> Rows:
        """Keep fields that no column of the table holds as `attributes`, in the rows that meet a condition."""
        text = pl.struct(*fields).struct.json_encode()
        return self.with_columns(attributes=text if where is None else pl.when(where).then(text))

    def by_image(self, value: str | pl.Expr) -> dict[str, Any]:
        """Return the value of the first row of each image."""
        first = self.data.unique("image", keep="first", maintain_order=True)
        value = pl.col(value) if isinstance(value, str) else value
        return dict(first.select("image", value.alias("value")).rows())

    def filter(self, condition: pl.Expr) -> Rows:
        """Keep rows without a word about the others, as polars does."""
        return self._with(self.data.filter(condition))

    def rename(self, names: Mapping[str, str]) -> Rows:
        """Return the rows with columns of other names, as polars does."""
        return self._with(self.data.rename(names))

    def with_columns(self, *expressions: Any, **named: Any) -> Rows:
        """Return the rows with further columns, as polars does."""
        return self._with(self.data.with_columns(*expressions, **named))

    def sources(self) -> tuple[str, ...]:
        """Return the place of each row."""
        return tuple(self.data.select(source_of(self.data)).to_series())


def source_of(rows: pl.DataFrame) -> pl.Expr:
    """Return the place of each row: its `source`, or ``file:line``."""
    return pl.col("source") if "source" in rows.columns else text_of("{}:{}", "file", "line").alias("source")


def named_in(rows: pl.DataFrame, root: Path) -> dict[str, ImageRef]:
    """Return the images that rows name, in the order of their first rows."""
    first = rows.unique("image", keep="first", maintain_order=True)
    places = first.select(text_of("{}/{}", pl.lit(str(root)), source_of(rows))).to_series()
    return dict(zip(first["image"].to_list(), map(ImageRef, places.to_list()), strict=True))


def number_classes(rows: pl.DataFrame, column: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Number the names in a column from 1 in sorted order: the rows with `category_id`, and the categories."""
    names = rows[column].drop_nulls().unique().sort()
    classes = pl.DataFrame({"category_id": pl.int_range(1, len(names) + 1, eager=True, dtype=pl.Int64), "name": names})
    return rows.join(classes, left_on=column, right_on="name", how="left", maintain_order="left"), classes


def linked(rows: pl.DataFrame, column: str) -> dict[str, str]:
    """Group images that share a value of a column (a sign on its track), directly or by way of other images.

    Returns:
        The least value in its group for each image that has one.
    """
    pairs = rows.select("image", column).drop_nulls().unique()
    images, values = pairs["image"].unique().sort(), pairs[column].unique().sort()
    value_nodes = values.search_sorted(pairs[column]).to_numpy().astype(np.int64)
    image_nodes = images.search_sorted(pairs["image"]).to_numpy().astype(np.int64) + len(values)
    least = _least_reached(value_nodes, image_nodes, len(values) + len(images))
    return dict(zip(images.to_list(), values.gather(least[len(values) :]).to_list(), strict=True))


def _least_reached(starts: NDArray[np.int64], ends: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the least node that each of `count` nodes reaches over edges (E,) from `starts` to `ends`."""
    lead = np.arange(count)
    while True:
        low = np.minimum(lead[starts], lead[ends])
        new = lead.copy()
        np.minimum.at(new, lead[starts], low)
        np.minimum.at(new, lead[ends], low)
        new = new[new]  # the leader of the leader: long chains take few rounds
        if (new == lead).all():
            return lead
        lead = new
