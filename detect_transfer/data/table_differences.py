"""Two tables compared field by field: what was read back from a file, and what was written.

Rows are the same when they stand at the same place of the same image, so a row that is lost or added is reported where
it is and does not shift all that follow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson
import polars as pl

from detect_transfer.core.annotations import XYXY, Annotations
from detect_transfer.core.columns import AnyFrame, collected, count_and_first, joined, n_rows

_VISIBLE = ("vis_x1", "vis_y1", "vis_x2", "vis_y2")
_GROUPS = {"xyxy": XYXY, "visible box": _VISIBLE}  # columns that are one field, compared in pixels
_MOST_EXAMPLES = 5
_FIELDS_AT_ONCE = 4  # of rows in two files: what is read ahead in one waits for the other, in all columns
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
    expected: Annotations, actual: Annotations, *, leave_out: Sequence[str] = (), tolerance_px: float
) -> tuple[FieldComparison, ...]:
    """Compare every field of the expected table, by the names of images and classes.

    Boxes that stay in a file are compared there as long as both tables have them in one order; else both come into
    memory.

    Args:
        expected: What was written.
        actual: What was read back.
        leave_out: Columns that are not compared; `category_id` leaves out the numbers of classes, not their names.
        tolerance_px: How far two coordinates may be apart.
    """
    boxes = _boxes_side_by_side(expected, actual)
    parts = (
        ("image", expected.images.columns, _side_by_side(expected.images, actual.images, _IMAGE_KEY), _IMAGE_KEY),
        ("box", [*expected.boxes.collect_schema(), "class"], boxes, _BOX_KEY),
        (
            "class",
            expected.categories.columns,
            _side_by_side(expected.categories, actual.categories, _CLASS_KEY),
            _CLASS_KEY,
        ),
    )
    results = []
    for kind, names, (joined_rows, extra), key in parts:
        columns = [c for c in names if c not in (*key, *leave_out) and not (c == "image_id" and kind == "box")]
        results.append(_presence(kind, joined_rows, extra))
        both = joined_rows.filter(pl.col("_there").is_not_null())
        together = {name: group for name, group in _GROUPS.items() if set(group) <= set(columns)}
        single = [c for c in columns if c not in XYXY and c not in _VISIBLE]
        results += _compare(kind, both, {**together, **{c: (c,) for c in single}}, tolerance_px=tolerance_px)
    return tuple(results)


def _boxes_side_by_side(expected: Annotations, actual: Annotations) -> tuple[AnyFrame, pl.DataFrame]:
    """Return the boxes of two tables as `_side_by_side` does."""
    if isinstance(expected.boxes, pl.DataFrame) and isinstance(actual.boxes, pl.DataFrame):
        return _side_by_side(_with_place(_named(expected)), _with_place(_named(actual)), _BOX_KEY)
    left = _named(expected).lazy()
    right = _with_columns(_named(actual), left).lazy().with_columns(pl.lit(True).alias("_there"))
    right = right.rename({name: f"{name}_actual" for name in left.collect_schema()})
    both = pl.concat([left, right], how="horizontal")
    # of one order are the rows whose images are: the n-th of an image is then the n-th of it in both
    if n_rows(left) == n_rows(right):
        moved = pl.col("file_name").ne_missing(pl.col("file_name_actual")).any()
        if not collected(both.select(moved)).item():
            return both, pl.DataFrame(schema={"file_name": pl.String})
    return _boxes_side_by_side(expected.in_memory(), actual.in_memory())


def _named(table: Annotations) -> AnyFrame:
    """Return the boxes with the name of their image and class."""
    images = table.images.select("image_id", "file_name")
    classes = table.categories.select("category_id", pl.col("name").alias("class"))
    if isinstance(table.boxes, pl.LazyFrame):
        names = joined(joined(table.boxes, images, on="image_id", how="left"), classes, on="category_id", how="left")
    else:  # the ids alone are joined: a join copies all columns that it takes part in
        names = table.boxes.with_columns(
            collected(joined(table.boxes.select(key), other, on=key, how="left")).drop(key).to_series()
            for key, other in (("image_id", images), ("category_id", classes))
        )
    canonical = pl.col("attributes").map_batches(_canonical, return_dtype=pl.String, is_elementwise=True)
    return names.with_columns(pl.col("source").alias("_source"), canonical)


def _with_place(boxes: AnyFrame) -> pl.DataFrame:
    """Return the boxes with their place among those of the image."""
    return collected(boxes).with_columns(pl.int_range(pl.len()).over("image_id").alias("_place"))


def _side_by_side(left: pl.DataFrame, right: pl.DataFrame, key: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of `left` with those of `right` of the same key, and the rows of `right` that `left` lacks.

    Columns of `right` end in `_actual`; `_there` is null where it has no such row. Rows that stand in one order, as
    they do but for faults, are not copied.
    """
    there = collected(_with_columns(right, left)).with_columns(pl.lit(True).alias("_there"))
    if not left.select(key).equals(right.select(key)):
        return left.join(there, on=key, how="left", suffix="_actual"), right.join(left, on=key, how="anti")
    names = {name: f"{name}_actual" for name in there.columns if name in left.columns and name not in key}
    return left.with_columns(there.drop(key).rename(names).get_columns()), right.clear()


def _canonical(attributes: pl.Series) -> pl.Series:
    """Return JSON texts with sorted keys and no blanks, so that equal objects are equal texts."""
    texts = attributes.drop_nulls().unique().to_list()
    same = {text: orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS).decode() for text in texts}
    return attributes.replace_strict(same, default=None, return_dtype=pl.String)


def _with_columns(frame: AnyFrame, like: AnyFrame) -> AnyFrame:
    """Return a frame that has every column of another, null where it had none."""
    there, types = frame.collect_schema(), like.collect_schema()
    return frame.with_columns(pl.lit(None).cast(types[c]).alias(c) for c in types if c not in there).select(*types)


def _place_text(kind: str, frame: AnyFrame) -> pl.Expr:
    if kind == "box":
        return pl.coalesce(pl.col("_source"), pl.col("file_name"))
    return pl.col("file_name" if "file_name" in frame.collect_schema() else "name")


def _presence(kind: str, joined_rows: AnyFrame, extra: pl.DataFrame) -> FieldComparison:
    """Count the rows that both have, and those that only one has."""
    lost = joined_rows.filter(pl.col("_there").is_null())
    places = lost.select(_place_text(kind, joined_rows).alias("_where"))
    n_lost, first = count_and_first(places, "_where", most=_MOST_EXAMPLES)
    examples = [f"{where}: lost" for where in first]
    name = "name" if kind == "class" else "file_name"
    examples += [f"{where}: added" for where in extra[name].head(_MOST_EXAMPLES - len(examples))]
    return FieldComparison(f"{kind} rows", n_rows(joined_rows) - n_lost, n_lost + len(extra), tuple(examples))


def _compare(
    kind: str, both: AnyFrame, fields: Mapping[str, Sequence[str]], *, tolerance_px: float
) -> list[FieldComparison]:
    types = both.collect_schema()
    same = {
        name: pl.all_horizontal(
            [_same(c, types[c], tolerance_px if len(columns) > 1 else _SHARE_TOLERANCE) for c in columns]
        )
        for name, columns in fields.items()
    }
    n_both, names = n_rows(both), list(same)
    n_differing: dict[str, int] = {}
    for start in range(0, len(names), _FIELDS_AT_ONCE):
        few = names[start : start + _FIELDS_AT_ONCE]
        n_differing |= collected(both.select((~same[name]).sum().alias(name) for name in few)).row(0, named=True)
    results = []
    for name, columns in fields.items():
        examples: tuple[str, ...] = ()
        if n_differing[name]:
            first = collected(both.filter(~same[name]).head(_MOST_EXAMPLES))
            examples = tuple(
                f"{row['_where']}: {_shown(row, columns)}, then {_shown(row, [f'{c}_actual' for c in columns])}"
                for row in first.with_columns(_place_text(kind, first).alias("_where")).iter_rows(named=True)
            )
        results.append(FieldComparison(f"{kind} {name}", n_both - n_differing[name], n_differing[name], examples))
    return results


def _same(column: str, dtype: pl.DataType, tolerance: float) -> pl.Expr:
    first, other = pl.col(column), pl.col(f"{column}_actual")
    if not dtype.is_float():
        return first.eq_missing(other.cast(dtype, strict=False))
    near = ((first - other).abs() <= tolerance).fill_null(False)
    return near | (first.is_null() & other.is_null())


def _shown(row: dict[str, object], columns: Sequence[str]) -> str:
    return ", ".join(str(row[c]) for c in columns)
