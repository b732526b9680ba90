"""Checks on columns of rows: a row that fails one is reported by its file and line, and leaves the frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from detect_transfer.core.columns import text_of
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.numbers import NUMBER_PATTERN

FIX_ROW = "fix or remove the row"
_INTEGER_PATTERN = r"[+-]?[0-9]{1,18}"


def to_numbers(
    data: pl.DataFrame, columns: Sequence[str], root: Path, problems: ErrorCollector, *, whole: bool = False
) -> pl.DataFrame:
    """Turn columns of strings into Float64, or Int64 where `whole`; a row that holds no such number is reported.

    An absent field stays null. Python's and polars' liberties (``1_0``, ``nan``, ``0.``) are no numbers.
    """
    pattern = _INTEGER_PATTERN if whole else NUMBER_PATTERN
    dtype = pl.Int64 if whole else pl.Float64
    what = "expected an integer" if whole else "expected a finite number"
    numbers = data.with_columns(pl.col(columns).str.strip_prefix("+").cast(dtype, strict=False))
    if _all_good(data, numbers, columns, f"^(?:{pattern})$"):
        return numbers
    for name in columns:
        number = pl.col(name).str.contains(f"^(?:{pattern})$")
        data = check_rows(data, number, root, problems, told=("ROW_NUMBER", what, name))
        values = data.with_columns(pl.col(name).str.strip_prefix("+").cast(dtype, strict=False))
        fits = pl.col(name).is_null() if whole else ~pl.col(name).is_finite()
        lost = values[name].is_null() & data[name].is_not_null() if whole else values.select(fits)[name]
        if lost.fill_null(False).any():
            data = check_rows(data, pl.lit(~lost.fill_null(False)), root, problems, told=("ROW_NUMBER", what, name))
            values = data.with_columns(pl.col(name).str.strip_prefix("+").cast(dtype, strict=False))
        data = values
    return data


def _all_good(texts: pl.DataFrame, numbers: pl.DataFrame, columns: Sequence[str], pattern: str) -> bool:
    """Tell whether every field of these columns is absent or such a number, at one go, as in nearly all files."""
    fits = numbers.select(pl.col(columns).is_finite().fill_null(False))
    checks = [
        (pl.col(name).is_null() | (pl.col(name).str.contains(pattern) & pl.lit(fits[name]))).all() for name in columns
    ]
    return all(texts.select(checks).row(0))


def check_rows(
    data: pl.DataFrame, good: pl.Expr, root: Path, problems: ErrorCollector, *, told: tuple[str, str, str],
    remedy: str = FIX_ROW,
) -> pl.DataFrame:  # fmt: skip
    """Report the rows that fail a condition and return the others; null passes.

    Args:
        data: Rows with `file`, `line` and `image`, as of `read_delimited`, or with `source` and `image`.
        good: The condition.
        root: The folder that `file` is relative to.
        problems: Where faults go.
        told: The code, what is wrong, and the column at fault.
        remedy: What to do.
    """
    keep = data.select(good.fill_null(True).alias("keep"))["keep"]
    if keep.all():
        return data
    code, what, field = told
    value = pl.col(field) if field in data.columns else pl.lit(None)
    source = pl.col("source") if "source" in data.columns else text_of("{}:{}", "file", "line")
    for place, image, found in data.filter(~keep).select(source.alias("source"), "image", value).iter_rows():
        if problems.full:
            problems.count(1, code)
        else:
            problems.add(
                code, what, where=f"{root}/{place}", field=field, value=found, remedy=remedy, row_of=image or ""
            )
    return data.filter(keep)
