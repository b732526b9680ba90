"""Intervals of any of COCO's numbers, and of differences of two detectors, by drawing images with replacement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from detect_transfer.core.annotations import Detections
from detect_transfer.core.arrays import FloatArray
from detect_transfer.evaluation import Case, score_case


def resampled(case: Case, metrics: Sequence[str], *, n_draws: int = 300, seed: int = 0) -> FloatArray:
    """Return metrics of as many images drawn from those of a case, (n_draws, metrics); one seed draws the same ones."""
    rng = np.random.default_rng(seed)
    ids = case.truth.images["image_id"].to_numpy()
    return np.array([_metrics_of(drawn_case(case, rng.choice(ids, len(ids))), metrics) for _ in range(n_draws)])


def drawn_case(case: Case, image_ids: FloatArray) -> Case:
    """Return the case of these images in this order, each as an image of its own."""
    numbers = pl.DataFrame({"image_id": image_ids, "number": np.arange(1, len(image_ids) + 1)})

    def drawn(rows: pl.DataFrame) -> pl.DataFrame:
        columns = rows.columns
        return rows.join(numbers, on="image_id").with_columns(image_id="number").select(columns)

    boxes = drawn(case.truth.boxes).with_columns(annotation_id=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))
    images = drawn(case.truth.images).with_columns(file_name=pl.col("image_id").cast(pl.String))
    return Case(replace(case.truth, images=images, boxes=boxes), Detections(drawn(case.detections.rows)))


def span(values: FloatArray) -> str:
    """Return the middle 95 % of draws in words; "" where some have no value."""
    if not np.isfinite(values).all():
        return ""
    low, high = np.percentile(values, [2.5, 97.5])
    return f"[{low:+.3f}, {high:+.3f}]" if low < 0 else f"[{low:.3f}, {high:.3f}]"


def _metrics_of(case: Case, metrics: Sequence[str]) -> list[float]:
    values = score_case(case).metrics
    return [np.nan if values[name] is None else float(values[name] or 0) for name in metrics]
