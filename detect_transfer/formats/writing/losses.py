"""What a target format has no field for, counted in its ledger step."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from detect_transfer.core.annotations import BOX_SCHEMA, CATEGORY_SCHEMA, IMAGE_SCHEMA, XYXY, Annotations
from detect_transfer.core.columns import collected
from detect_transfer.core.ledger import Kind, LedgerStep

_KEYS = {"annotation_id", "image_id", "category_id", "source", *XYXY}  # what every target keeps, or numbers itself
_VISIBLE = ("vis_x1", "vis_y1", "vis_x2", "vis_y2")
_MOST_EXAMPLES = 5
_IMAGE_KEYS = {"image_id", "file_name", "width", "height"}


def note_losses(step: LedgerStep, table: Annotations, carried: Collection[str]) -> None:
    """Add a line for each field that says something in some row and that the target cannot carry.

    Args:
        step: The step of the writer.
        table: What it writes.
        carried: The columns that it carries, `supercategory` among them, beyond ids, names, sizes and boxes.
    """
    for name, (count, examples) in lost_fields(table, carried).items():
        kind: Kind = "image" if name.startswith("image ") else "box"
        step.add(kind, "noted", f"no field for '{name.removeprefix('image ')}'", count, examples)


def lost_fields(table: Annotations, carried: Collection[str]) -> dict[str, tuple[int, list[str]]]:
    """Return how many rows say something in a field that is not carried, and the first of them, by its name.

    Fields of images have the prefix `image `, those of classes `class `; the four edges of the visible box are one
    field, `visible box`.
    """
    classes, says = table.categories, {}
    for name in table.boxes.collect_schema():
        if name not in carried and name not in _KEYS:
            says["visible box" if name in _VISIBLE else name] = _says(name, BOX_SCHEMA.get(name))
    for name in classes.columns:
        label = name if name == "supercategory" else f"class {name}"
        if label not in carried and name not in ("category_id", "name"):
            ids = classes.filter(_says(name, CATEGORY_SCHEMA.get(name)))["category_id"]
            says[label] = pl.col("category_id").is_in(ids.implode())
    counts = collected(table.boxes.select(expr.sum().alias(label) for label, expr in says.items()))
    lost = {}
    for label, count in (counts.row(0, named=True) if counts.height else {}).items():
        if count:
            rows = table.boxes.filter(says[label] & pl.col("source").is_not_null())
            lost[label] = count, collected(rows.select("source").head(_MOST_EXAMPLES))["source"].to_list()
    for name in table.images.columns:
        if name not in carried and name not in _IMAGE_KEYS:
            rows = table.images.filter(_says(name, IMAGE_SCHEMA.get(name)))
            lost[f"image {name}"] = len(rows), rows["file_name"].drop_nulls().head(_MOST_EXAMPLES).to_list()
    return {name: lines for name, lines in lost.items() if lines[0]}


def _says(name: str, dtype: object) -> pl.Expr:
    return pl.col(name) if dtype == pl.Boolean else pl.col(name).is_not_null()
