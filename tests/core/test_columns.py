"""Expressions on columns, and rows in memory or in a file."""

from typing import Any

import polars as pl
import pytest

from detect_transfer.core.columns import collected, has_repeats, joined, repeats, text_of


def test_text_of__fills_the_template() -> None:
    rows = pl.DataFrame({"file": ["a.csv", None], "line": [3, 4]})
    text = rows.select(text_of("{}:{} ({})", "file", "line", pl.lit(7)).alias("text"))["text"]
    assert text.to_list() == ["a.csv:3 (7)", None]


def test_text_of__takes_columns_whose_first_chunk_is_empty() -> None:
    parts = [pl.DataFrame({"file": ["a.csv"] * n, "line": range(n)}) for n in (5, 2)]
    rows = pl.concat(parts, rechunk=False).filter(pl.Series([False] * 5 + [True] * 2))
    assert rows.select(text_of("{}:{}", "file", "line").alias("text"))["text"].to_list() == ["a.csv:0", "a.csv:1"]
    assert rows.head(0).select(text_of("{}:{}", "file", "line").alias("text"))["text"].to_list() == []


@pytest.mark.parametrize("how", ["left", "semi", "anti"])
@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"key": [7, -1, 3], "width": [1.5, None, 2.5], "name": ["g", "m", "c"]}, id="some"),
        pytest.param({"key": [], "width": [], "name": []}, id="none"),
        pytest.param({"key": [9], "width": [1.0], "name": ["i"]}, id="no-match"),
    ],
)
def test_joined__rows_of_a_file_are_those_in_memory(how: Any, other: dict[str, Any]) -> None:
    rows = pl.DataFrame({"key": [3, None, 7, 3, 8, -1, -9], "width": [*range(7)]})
    small = pl.DataFrame(other, schema={"key": pl.Int64, "width": pl.Float64, "name": pl.String})
    expected = collected(joined(rows, small, on="key", how=how))
    assert collected(joined(rows.lazy(), small, on="key", how=how)).equals(expected)


@pytest.mark.parametrize("make", [pl.DataFrame, pl.LazyFrame])
def test_repeats__are_the_rows_that_equal_one_before_them(make: Any) -> None:
    rows = make({"a": [1, 2, 1, 1, None, None], "b": [0.0, 0.5, -0.0, 1.0, float("nan"), float("nan")], "id": range(6)})
    assert repeats(rows, ["a", "b"])["id"].to_list() == [2, 5]
    assert repeats(rows, ["id"]).is_empty()


def test_has_repeats__in_any_order() -> None:
    values = [[], [1], [1, 2, 3], [3, 1, 2], [2, 1, 2], [1, 1]]
    assert [has_repeats(pl.Series(v, dtype=pl.Int64)) for v in values] == [False, False, False, False, True, True]
