"""What rows say of images and classes.

A row has `file`, `line` and `image`, as of `read_delimited`; `image` is the name that the annotations use.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detect_transfer.core.columns import text_of
from detect_transfer.formats.parsing.image_lookup import ImageRef


def named_in(rows: pl.DataFrame, root: Path) -> dict[str, ImageRef]:
    """Return the images that rows name, in the order of their first rows."""
    first = rows.unique("image", keep="first", maintain_order=True)
    places = first.select(text_of("{}/{}:{}", pl.lit(str(root)), "file", "line")).to_series()
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
    one = values.search_sorted(pairs[column]).to_numpy().astype(np.int64)
    other = images.search_sorted(pairs["image"]).to_numpy().astype(np.int64)
    least = _least_reached(one, other + len(values), len(values) + len(images))
    return dict(zip(images.to_list(), values.gather(least[len(values) :]).to_list(), strict=True))


def _least_reached(one: NDArray[np.int64], other: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the least node that each of `count` nodes reaches over edges (E,) from `one` to `other`."""
    lead = np.arange(count)
    while True:
        low = np.minimum(lead[one], lead[other])
        new = lead.copy()
        np.minimum.at(new, lead[one], low)
        np.minimum.at(new, lead[other], low)
        new = new[new]  # the leader of the leader: long chains take few rounds
        if (new == lead).all():
            return lead
        lead = new
