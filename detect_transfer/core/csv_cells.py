"""Cells of CSV that a spreadsheet would run as a formula: an apostrophe before them makes them text."""

from __future__ import annotations

import polars as pl

_FORMULA = "=+-@\t\r"
_BEGINS = r"^([=+\-@\t\r])"


def harmless(text: str) -> str:
    """Return a text that no spreadsheet runs."""
    return f"'{text}" if text[:1] in _FORMULA and text else text


def harmless_column(name: str) -> pl.Expr:
    """Return a column of texts that no spreadsheet runs."""
    return pl.col(name).str.replace(_BEGINS, "'${1}")


def as_meant(column: pl.Expr) -> pl.Expr:
    """Return a column of texts without the apostrophes of `harmless`."""
    return column.str.replace(r"^'([=+\-@\t\r])", "${1}")
