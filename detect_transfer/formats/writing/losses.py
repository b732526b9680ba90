"""What a target format has no field for, counted in its ledger step."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from detect_transfer.core.annotations import BOX_SCHEMA, CATEGORY_SCHEMA, IMAGE_SCHEMA, XYXY, AnnotationTable
from detect_transfer.core.ledger import LedgerStep

_KEYS = {"annotation_id", "image_id", "category_id", "source", *XYXY}  # what every target keeps, or numbers itself
_VISIBLE = ("vis_x1", "vis_y1", "vis_x2", "vis_y2")
_IMAGE_KEYS = {"image_id", "file_name", "width", "height"}


def note_losses(step: LedgerStep, table: AnnotationTable, carried: Collection[str]) -> None:
    """Add a line for each field that says something in some row and that the target cannot carry.

    Args:
        step: The step of the writer.
        table: What it writes.
        carried: The columns that it carries, `supercategory` among them, beyond ids, names, sizes and boxes.
    """
    for name, rows in lost_fields(table, carried).items():
        kind, column = ("image", "file_name") if name.startswith("image ") else ("box", "source")
        examples = rows[column].drop_nulls()
        step.add(kind, "noted", f"no field for '{name.removeprefix('image ')}'", len(rows), examples)  # type: ignore[arg-type]


def lost_fields(table: AnnotationTable, carried: Collection[str]) -> dict[str, pl.DataFrame]:
    """Return the rows that say something in a field that is not carried, by the name of the field.

    Fields of images have the prefix `image `, those of classes `class `; the four edges of the visible box are one
    field, `visible box`.
    """
    of_class = {f"class {name}": pl.col(name) for name in table.categories.columns if name not in CATEGORY_SCHEMA}
    classes = table.categories.select("category_id", "supercategory", **of_class)
    of_boxes = table.boxes.select("category_id").join(classes, on="category_id", how="left", maintain_order="left")
    boxes = pl.concat([table.boxes, of_boxes.drop("category_id")], how="horizontal")
    lost = {}
    for name in (*table.boxes.columns, "supercategory", *of_class):
        if name not in carried and name not in _KEYS:
            label = "visible box" if name in _VISIBLE else name
            says = boxes.select(_says(name, BOX_SCHEMA.get(name))).to_series()
            lost[label] = boxes.select("source").filter(says)
    for name in table.images.columns:
        if name not in carried and name not in _IMAGE_KEYS:
            lost[f"image {name}"] = table.images.select("file_name", name).filter(_says(name, IMAGE_SCHEMA.get(name)))
    return {name: rows for name, rows in lost.items() if len(rows)}


def _says(name: str, dtype: object) -> pl.Expr:
    return pl.col(name) if dtype == pl.Boolean else pl.col(name).is_not_null()
