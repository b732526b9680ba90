"""Expressions on columns that polars lacks, or has with a fault."""

from __future__ import annotations

import polars as pl


def text_of(template: str, *values: str | pl.Expr | pl.Series) -> pl.Expr:
    """Return the template with each ``{}`` filled by a column, an expression or a series; null where one is.

    It is `pl.format`, which in polars 2.1 ends in a panic where a column has several chunks and the first is empty.
    """
    first, *texts = template.split("{}")
    parts = [pl.lit(first)]
    for value, text in zip(values, texts, strict=True):
        value = pl.col(value) if isinstance(value, str) else value
        parts += [value if isinstance(value, pl.Expr) else pl.lit(value), pl.lit(text)]
    return pl.concat_str(parts)
