"""Checks of the frames of a table, of rows in memory and of those in a file alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from detect_transfer.core.columns import AnyFrame, collected, has_repeats, joined
from detect_transfer.core.errors import InputError, InternalError


def check_schema(data: AnyFrame, schema: Mapping[str, Any], name: str) -> None:
    """Check that a frame has the columns of a schema.

    Raises:
        InternalError: It has not, which only our own code can cause.
    """
    types = data.collect_schema()
    wrong = {c: (types.get(c), t) for c, t in schema.items() if types.get(c) != t}
    if wrong:
        raise InternalError(
            "TABLE_SCHEMA",
            f"{name}: {{column: (type, expected type)}} {wrong}",
            remedy="please report this with the command",
        )


def check_unique(data: AnyFrame, column: str, name: str) -> None:
    """Check that every value of a column occurs once.

    Raises:
        InputError: One occurs twice, or is null.
    """
    values = collected(data.select(column)).to_series()
    if not values.has_nulls() and not (
        has_repeats(values) if values.dtype.is_integer() else values.is_duplicated().any()
    ):
        return
    is_wrong = pl.col(column).is_null() | pl.col(column).is_in(values.filter(values.is_duplicated()).implode())
    wrong = collected(data.filter(is_wrong))
    raise InputError(
        "ID_DUPLICATE",
        f"{name}.{column} must be unique; {len(wrong)} rows share one or have none",
        where=wrong["source"][0] if "source" in wrong.columns else None,
        field=column,
        value=wrong[column][0],
        remedy="give each its own",
    )


def check_known(boxes: AnyFrame, other: pl.DataFrame, column: str, *, unless: pl.Expr | None = None) -> None:
    """Check that boxes name what is there.

    Args:
        boxes: With the column.
        other: With the same column.
        column: An id.
        unless: Boxes that need not.

    Raises:
        InputError: One names nothing.
    """
    ids = other.select(pl.col(column).unique())
    dangling = collected(joined(boxes if unless is None else boxes.filter(~unless), ids, on=column, how="anti"))
    if not dangling.is_empty():
        first: Sequence[int] = dangling[column].unique(maintain_order=True)[:10].to_list()
        raise InputError(
            "ID_DANGLING",
            f"{len(dangling)} boxes name a {column} that does not exist: {', '.join(map(str, first))}",
            where=dangling["source"][0],
            field=column,
            value=dangling[column][0],
            remedy="add what they name, or remove the boxes",
        )


def check_boxes(data: AnyFrame, xyxy: Sequence[str]) -> None:
    """Check that corners are finite and in order.

    Raises:
        InputError: A box is not.
    """
    finite = pl.all_horizontal(pl.col(*xyxy).is_finite().fill_null(False))
    ordered = (pl.col("x2") >= pl.col("x1")) & (pl.col("y2") >= pl.col("y1"))
    wrong = collected(data.filter(~(finite & ordered)))
    if not wrong.is_empty():
        row = wrong.row(0, named=True)
        raise InputError(
            "BOX_INVALID",
            f"a box must be finite with x2 >= x1 and y2 >= y1; {len(wrong)} are not, the first in image_id "
            f"{row['image_id']}",
            where=row.get("source"),
            field="xyxy",
            value=tuple(row[c] for c in xyxy),
            remedy="fix the box or remove it",
        )
