"""Detections as COCO results JSON."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from detect_transfer.core.annotations import Detections
from detect_transfer.core.io import write_json


def write_results(detections: Detections, path: Path) -> None:
    """Write detections as a COCO results list: `image_id`, `category_id`, `bbox` (x, y, w, h in pixels), `score`.

    Source: https://cocodataset.org/#format-results
    """
    rows = detections.rows.select(
        "image_id",
        "category_id",
        pl.concat_list("x1", "y1", pl.col("x2") - pl.col("x1"), pl.col("y2") - pl.col("y1")).alias("bbox"),
        "score",
    )
    write_json(path, rows.to_dicts(), indent=False)
