"""Expressions on columns."""

import polars as pl

from detect_transfer.core.columns import text_of


def test_text_of__fills_the_template() -> None:
    rows = pl.DataFrame({"file": ["a.csv", None], "line": [3, 4]})
    text = rows.select(text_of("{}:{} ({})", "file", "line", pl.lit(7)).alias("text"))["text"]
    assert text.to_list() == ["a.csv:3 (7)", None]


def test_text_of__takes_columns_whose_first_chunk_is_empty() -> None:
    parts = [pl.DataFrame({"file": ["a.csv"] * n, "line": range(n)}) for n in (5, 2)]
    rows = pl.concat(parts, rechunk=False).filter(pl.Series([False] * 5 + [True] * 2))
    assert rows.select(text_of("{}:{}", "file", "line").alias("text"))["text"].to_list() == ["a.csv:0", "a.csv:1"]
    assert rows.head(0).select(text_of("{}:{}", "file", "line").alias("text"))["text"].to_list() == []
