"""The frames of the table that readers end in, and its classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from detect_transfer.core.annotations import BOX_SCHEMA, Columns
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import FoundImage
from detect_transfer.formats.parsing.rows import source_of

_MOST_LISTED = 1000
_MOST_NAMED = 5

ImageColumn = Callable[[str], Any] | Mapping[str, Any]


def image_frame(
    found_images: Mapping[str, FoundImage], own: Mapping[str, Mapping[str, Any]], columns: Mapping[str, ImageColumn]
) -> pl.DataFrame:
    """Return a row a name: `image`, `file_name`, `width`, `height` and further columns.

    Args:
        found_images: The images by the names that annotations use; several names may stand for one image.
        own: Values of further columns, for the images that have some.
        columns: Whole further columns.
    """
    rows = [own.get(name, {}) for name in found_images]
    keys = sorted({key for row in rows for key, value in row.items() if value is not None})
    further = {key: [row.get(key) for row in rows] for key in keys}
    for key, column in columns.items():
        if isinstance(column, Mapping):
            further[key] = [column.get(name) for name in found_images]
        else:
            further[key] = [column(image.file_name) for image in found_images.values()]
    sizes = [image.size_wh or (None, None) for image in found_images.values()]
    return pl.DataFrame(
        {
            "image": list(found_images),
            "file_name": [image.file_name for image in found_images.values()],
            "width": [width for width, _ in sizes],
            "height": [height for _, height in sizes],
            **further,
        },
        schema_overrides={"image": pl.String, "file_name": pl.String, "width": pl.Int32, "height": pl.Int32},
    ).with_columns(pl.col(pl.Null).cast(pl.String))


def box_frame(rows: pl.DataFrame, images: pl.DataFrame, errors: ErrorCollector) -> pl.DataFrame:
    """Return the boxes of the images that there are; note the others.

    Args:
        rows: A row a box with `image`, its place and columns of the table.
        images: `image` and `image_id`.
        errors: Where to note.
    """
    rows = rows.with_columns(source_of(rows))
    lost = rows.join(images, on="image", how="anti")
    is_skipped = lost["image"].is_in(list(errors.skipped_images))
    errors.note("skipped with their image", int(is_skipped.sum()), kind="box")
    absent = lost.filter(~is_skipped)["source"]
    errors.note("its image is left out", len(absent), tuple(absent.head(_MOST_LISTED)), kind="box")
    boxes = rows.join(images.select("image", "image_id"), on="image", how="inner", maintain_order="left")
    columns = [name for name in BOX_SCHEMA if name in boxes.columns and name != "annotation_id"]
    return boxes.select(columns).with_row_index("annotation_id", offset=1)


def with_categories(
    rows: pl.DataFrame, categories: Columns | Sequence[str] | None, errors: ErrorCollector
) -> tuple[pl.DataFrame, Columns]:
    """Return the rows with `category_id`, and the classes as columns; see `Source.table`.

    Labels that are not among the classes are taken as further ones, which is noted in `errors`.
    """
    if categories is None:
        categories = rows["label"].drop_nulls().unique().sort().to_list()
    classes = categories if isinstance(categories, Mapping | pl.DataFrame) else numbered(categories)
    if "category_id" not in rows.columns:
        classes = _with_further(classes, rows, errors)
        ids = dict(zip(classes["name"], classes["category_id"], strict=True))
        number = pl.col("label").replace_strict(list(ids), list(ids.values()), return_dtype=pl.Int64)
        rows = rows.with_columns(category_id=number if ids else pl.lit(None, dtype=pl.Int64))
    return rows, classes


def _with_further(classes: Columns, rows: pl.DataFrame, errors: ErrorCollector) -> Columns:
    """Return the classes with those that rows name beside them: lists of published sets are seldom complete."""
    further = rows.filter(pl.col("label").is_not_null() & ~pl.col("label").is_in(list(classes["name"])))
    if further.is_empty():
        return classes
    names = further["label"].unique().sort().to_list()
    shown = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
    reason = f"their class is none that the format lists, taken as it is named: {shown}"
    places = further.head(_MOST_LISTED).select(source_of(further)).to_series()
    errors.remark(reason, len(further), tuple(places), kind="box")
    own = pl.DataFrame(classes)
    first = max(own["category_id"], default=0) + 1
    return pl.concat(
        [own, pl.DataFrame({"category_id": range(first, first + len(names)), "name": names})], how="diagonal"
    )


def numbered(names: Sequence[str], supercategories: Sequence[str | None] | None = None) -> dict[str, pl.Series]:
    """Number classes from 1 in the order given."""
    classes = {
        "category_id": pl.Series(range(1, len(names) + 1), dtype=pl.Int64),
        "name": pl.Series(list(names), dtype=pl.String),
    }
    if supercategories is not None:
        classes["supercategory"] = pl.Series(list(supercategories), dtype=pl.String)
    return classes


def listed(text: str) -> tuple[str, ...]:
    """Return the names in a text that commas divide."""
    return tuple(name.strip() for name in text.split(","))
