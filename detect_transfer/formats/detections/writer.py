"""Detections as COCO results JSON."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.io import write_json


def write_results(detections: Detections, table: AnnotationTable, path: Path) -> None:
    """Write a COCO results list: `image_id`, `category_id`, `bbox` (x, y, w, h in pixels), `score`.

    Each entry also has `file_name` and `category_name`, as ids alone mean nothing to a truth that numbers otherwise.

    Args:
        detections: What was found.
        table: Its images and classes.
        path: The file.

    Source: https://cocodataset.org/#format-results
    """
    images = table.images.select("image_id", "file_name")
    classes = table.categories.select("category_id", category_name="name")
    rows = detections.rows.join(images, on="image_id", how="left", maintain_order="left")
    rows = rows.join(classes, on="category_id", how="left", maintain_order="left").select(
        "image_id",
        "file_name",
        "category_id",
        "category_name",
        pl.concat_list("x1", "y1", pl.col("x2") - pl.col("x1"), pl.col("y2") - pl.col("y1")).alias("bbox"),
        "score",
    )
    write_json(path, rows.to_dicts(), indent=False)
