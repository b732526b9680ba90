"""Two tables compared field by field: what was read back from a file, and what was written.

Rows are the same when they stand at the same place of the same image, so a row that is lost or added is reported where
it is and does not shift all that follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
import polars as pl

from detect_transfer.core.annotations import XYXY, AnnotationTable

_VISIBLE = ("vis_x1", "vis_y1", "vis_x2", "vis_y2")
_GROUPS = {"xyxy": XYXY, "visible box": _VISIBLE}  # columns that are one field, compared in pixels
_MOST_EXAMPLES = 5
_SHARE_TOLERANCE = 1e-9
_BOX_KEY, _IMAGE_KEY, _CLASS_KEY = ["file_name", "_place"], ["file_name"], ["name"]


@dataclass(frozen=True)
class FieldComparison:
    """One field of two tables.

    Args:
        field: Its name, with the frame that it is of.
        equal: In how many rows both say the same.
        differing: In how many they do not.
        examples: The first of these: the place, what was expected, and what was read.
    """

    field: str
    equal: int
    differing: int
    examples: tuple[str, ...] = ()


def compare_tables(
    expected: AnnotationTable, actual: AnnotationTable, *, leave_out: Sequence[str] = (), tolerance_px: float
) -> tuple[FieldComparison, ...]:
    """Compare every field of the expected table, by the names of images and classes.

    Args:
        expected: What was written.
        actual: What was read back.
        leave_out: Columns that are not compared; `category_id` leaves out the numbers of classes, not their names.
        tolerance_px: How far two coordinates may be apart.
    """
    parts = (
        ("image", expected.images, actual.images, _IMAGE_KEY),
        ("box", _boxes(expected), _boxes(actual), _BOX_KEY),
        ("class", expected.categories, actual.categories, _CLASS_KEY),
    )
    results = []
    for kind, left, right, key in parts:
        columns = [c for c in left.columns if c not in (*key, *leave_out) and not (c == "image_id" and kind == "box")]
        joined, extra = _side_by_side(left, _with_columns(right, left), key)
        results.append(_presence(kind, joined, extra))
        both = joined.filter(pl.col("_there").is_not_null())
        together = {name: group for name, group in _GROUPS.items() if set(group) <= set(columns)}
        single = [c for c in columns if c not in XYXY and c not in _VISIBLE and c != "_source"]
        for name, group in {**together, **{c: (c,) for c in single}}.items():
            results.append(_compare(kind, name, both, group, tolerance_px=tolerance_px))
    return tuple(results)


def _boxes(table: AnnotationTable) -> pl.DataFrame:
    """Return the boxes with the name of their image and class, and their place among those of the image."""
    classes = table.categories.select("category_id", pl.col("name").alias("class"))
    # the ids alone are joined: a join copies all columns that it takes part in
    return table.boxes.with_columns(
        *(
            table.boxes.select(key).join(other, on=key, how="left", maintain_order="left").drop(key).to_series()
            for key, other in (("image_id", table.images.select("image_id", "file_name")), ("category_id", classes))
        ),
        pl.int_range(pl.len()).over("image_id").alias("_place"),
        pl.col("source").alias("_source"),
        _canonical(table.boxes["attributes"]),
    )


def _side_by_side(left: pl.DataFrame, right: pl.DataFrame, key: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of `left` with those of `right` of the same key, and the rows of `right` that `left` lacks.

    Columns of `right` end in `_actual`; `_there` is null where it has no such row. Rows that stand in one order, as
    they do but for faults, are not copied.
    """
    there = right.with_columns(pl.lit(True).alias("_there"))
    if not left.select(key).equals(right.select(key)):
        return left.join(there, on=key, how="left", suffix="_actual"), right.join(left, on=key, how="anti")
    names = {name: f"{name}_actual" for name in right.columns if name in left.columns and name not in key}
    return left.with_columns(there.drop(key).rename(names).get_columns()), right.clear()


def _canonical(attributes: pl.Series) -> pl.Series:
    """Return JSON texts with sorted keys and no blanks, so that equal objects are equal texts."""
    texts = attributes.drop_nulls().unique().to_list()
    same = {text: orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS).decode() for text in texts}
    return attributes.replace_strict(same, default=None, return_dtype=pl.String)


def _with_columns(frame: pl.DataFrame, like: pl.DataFrame) -> pl.DataFrame:
    """Return a frame that has every column of another, null where it had none."""
    missing = [pl.lit(None).cast(like.schema[c]).alias(c) for c in like.columns if c not in frame.columns]
    return frame.with_columns(missing).select(like.columns)


def _place_text(kind: str, frame: pl.DataFrame) -> pl.Expr:
    if kind == "box":
        return pl.coalesce(pl.col("_source"), pl.col("file_name"))
    return pl.col("file_name" if "file_name" in frame.columns else "name")


def _presence(kind: str, joined: pl.DataFrame, extra: pl.DataFrame) -> FieldComparison:
    """Count the rows that both have, and those that only one has."""
    lost = joined.filter(pl.col("_there").is_null())
    examples = [f"{where}: lost" for where in lost.head(_MOST_EXAMPLES).select(_place_text(kind, lost)).to_series()]
    name = "name" if kind == "class" else "file_name"
    examples += [f"{where}: added" for where in extra[name].head(_MOST_EXAMPLES - len(examples))]
    return FieldComparison(f"{kind} rows", len(joined) - len(lost), len(lost) + len(extra), tuple(examples))


def _compare(
    kind: str, name: str, both: pl.DataFrame, columns: Sequence[str], *, tolerance_px: float
) -> FieldComparison:
    tolerance = tolerance_px if len(columns) > 1 else _SHARE_TOLERANCE
    same = pl.all_horizontal([_same(c, both.schema[c], tolerance) for c in columns])
    differing = both.filter(~same)
    first = differing.head(_MOST_EXAMPLES)
    examples = tuple(
        f"{row['_where']}: {_shown(row, columns)}, then {_shown(row, [f'{c}_actual' for c in columns])}"
        for row in first.with_columns(_place_text(kind, first).alias("_where")).iter_rows(named=True)
    )
    return FieldComparison(f"{kind} {name}", len(both) - len(differing), len(differing), examples)


def _same(column: str, dtype: pl.DataType, tolerance: float) -> pl.Expr:
    first, other = pl.col(column), pl.col(f"{column}_actual")
    if not dtype.is_float():
        return first.eq_missing(other.cast(dtype, strict=False))
    near = ((first - other).abs() <= tolerance).fill_null(False)
    return near | (first.is_null() & other.is_null())


def _shown(row: dict[str, object], columns: Sequence[str]) -> str:
    return ", ".join(str(row[c]) for c in columns)
