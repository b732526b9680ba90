"""Generated cases made fit for a public evaluator: what it leaves to chance or has no rule for is taken out."""

import numpy as np
import polars as pl

from detect_transfer.core.annotations import XYXY, AnnotationTable, Detections
from detect_transfer.core.boxes import xyxy_to_xywh


def ranked_apart(detections, seed, *, in_image_only=False):
    """The detections with scores that all differ, as evaluators order equal ones each in its own way.

    Args:
        detections: The detections.
        seed: Says how the scores fall.
        in_image_only: Let detections of several images have one score, so that a threshold takes them together.
    """
    n = detections.rows.height
    rank = pl.col("score").rank("ordinal")
    rows = detections.rows.with_columns(pl.Series("score", np.random.default_rng(20_000 + seed).permutation(n)))
    return Detections(rows.with_columns(score=(rank.over("image_id") if in_image_only else rank) / (n + 1)))


def on_grid(frame, step=1 / 64):
    """The rows with corners that single precision holds exactly, as some evaluators count in it."""
    return frame.with_columns(((pl.col(c) / step).round() * step).alias(c) for c in XYXY)


def xywh(rows):
    """Boxes as lists of x, y, width, height."""
    return xyxy_to_xywh(rows.select(XYXY).to_numpy()).tolist()


def is_region(boxes):
    """Tell which truth boxes excuse detections instead of being wanted."""
    return boxes["ignore"] | boxes["iscrowd"]


def single_classes(generated, n_cases, **scores):
    """Yield the classes with objects and detections of generated cases, each alone: seed, table, detections.

    Regions of every class become the class's own, as no evaluator of one class knows others.
    """
    for seed in range(n_cases):
        table, detections = generated(seed)
        boxes, every = on_grid(table.boxes), ranked_apart(Detections(on_grid(detections.rows)), seed, **scores)
        for category_id in table.categories["category_id"]:
            own = pl.col("category_id") == category_id
            rows = boxes.filter(pl.col("category_id").is_null() | own).with_columns(
                category_id=pl.lit(category_id, pl.Int64)
            )
            alone = AnnotationTable(table.images, rows, table.categories.filter(own))
            detections = Detections(every.rows.filter(own))
            if not is_region(rows).all() and detections.rows.height:
                yield seed, alone, detections
