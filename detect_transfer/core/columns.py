"""What polars lacks, or has with a fault: expressions on columns, and one way to work with rows in memory or in a file.

Rows in memory are a `DataFrame`, those of a file a `LazyFrame` that the streaming engine of polars reads in portions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detect_transfer.core.disk import resource_errors

AnyFrame = pl.DataFrame | pl.LazyFrame


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


def collected(frame: AnyFrame) -> pl.DataFrame:
    """Return rows in memory; those of a file are read in portions."""
    return frame if isinstance(frame, pl.DataFrame) else frame.collect(engine="streaming")


def n_rows(frame: AnyFrame) -> int:
    """Return the number of rows."""
    return frame.height if isinstance(frame, pl.DataFrame) else int(collected(frame.select(pl.len())).item())


def joined(frame: AnyFrame, other: pl.DataFrame, *, on: str, how: Literal["left", "semi", "anti"]) -> AnyFrame:
    """Return rows joined with others that are in memory and have each whole number once, in their own order."""
    if isinstance(frame, pl.DataFrame):
        return frame.join(other, on=on, how=how, maintain_order="left")
    # a join of the streaming engine that keeps the order holds back all rows of the file
    other = other.drop_nulls(on).sort(on)
    keys, names = other[on].to_numpy(), frame.collect_schema().names()
    if how != "left":
        is_there = pl.col(on).map_batches(partial(_is_among, keys), return_dtype=pl.Boolean, is_elementwise=True)
        return frame.filter(is_there if how == "semi" else ~is_there)
    return frame.with_columns(
        pl.col(on)
        .map_batches(partial(_looked_up, keys, values), return_dtype=values.dtype, is_elementwise=True)
        .alias(f"{values.name}_right" if values.name in names else values.name)
        for values in other.drop(on)
    )


def _places(keys: NDArray[Any], numbers: pl.Series) -> pl.Series:
    """Return where numbers stand among sorted keys; null where they do not."""
    if len(keys) == 0:
        return pl.Series([None] * len(numbers), dtype=pl.Int64)
    values = numbers.fill_null(int(keys[0])).to_numpy()
    places = np.minimum(np.searchsorted(keys, values), len(keys) - 1)
    is_there = pl.Series(keys[places] == values) & numbers.is_not_null()
    return pl.select(pl.when(is_there).then(pl.lit(pl.Series(places)))).to_series()


def _is_among(keys: NDArray[Any], numbers: pl.Series) -> pl.Series:
    return _places(keys, numbers).is_not_null()


def _looked_up(keys: NDArray[Any], values: pl.Series, numbers: pl.Series) -> pl.Series:
    return values.gather(_places(keys, numbers))


def spilt(rows: pl.DataFrame, path: Path) -> pl.LazyFrame:
    """Write rows that need not be in memory into a file, and return a query of it.

    Raises:
        ResourceError: The disk is full or does not let us write.
    """
    with resource_errors(path), path.open("wb") as stream:
        rows.write_parquet(stream, compression="lz4")
    return pl.scan_parquet(path, glob=False)


def count_and_first(frame: AnyFrame, column: str = "source", *, most: int = 5) -> tuple[int, list[Any]]:
    """Return the number of rows, and what the first of them say in a column."""
    if (count := n_rows(frame)) == 0:
        return 0, []
    return count, collected(frame.select(column).head(most)).to_series().to_list()


def has_repeats(values: pl.Series) -> bool:
    """Return whether whole numbers without null occur twice; no table of them is made."""
    numbers = values.to_numpy()
    return not bool((numbers[1:] > numbers[:-1]).all()) and len(_repeated(numbers.copy())) > 0


def repeats(frame: AnyFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return the rows that equal one before them in some columns, of which no table is made."""
    digest = pl.struct(columns).hash()
    twice = _repeated(collected(frame.select(digest.alias("digest"))).to_series().to_numpy(writable=True))
    if len(twice) == 0:
        return collected(frame.head(0))
    suspects = collected(frame.filter(digest.is_in(pl.Series(twice).implode())))
    return suspects.filter(~pl.struct(columns).is_first_distinct())


def _repeated(numbers: NDArray[Any]) -> NDArray[Any]:
    """Return each number that occurs twice or more; the array is sorted in place."""
    numbers.sort()
    return np.unique(numbers[1:][numbers[1:] == numbers[:-1]])
