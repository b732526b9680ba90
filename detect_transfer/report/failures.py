"""What went wrong, worst first: false negatives and positives, confusions and poor boxes."""

from __future__ import annotations

import polars as pl

from detect_transfer.core.annotations import XYXY
from detect_transfer.evaluation import Case, match_case
from detect_transfer.evaluation.metrics.tide import CLASS, DUPLICATE, LOCATION, classify

KINDS_OF_FAILURE = {
    "fn": "Missed",
    "fp": "False positive",
    "confusion": "Confused",
    "poor_box": "Poor box",
}
_OVERALL, _EACH = 8, 16  # the worst of all, with the worst of each class
_COLUMNS = ("image_id", "category_id", *XYXY, "score", "failure", "duplicate", "badness")


def worst(case: Case, score_threshold: float) -> pl.DataFrame:
    """Return the worst failures of each kind of `KINDS_OF_FAILURE`, up to sixteen each.

    False negatives are ranked by their visible area, the others by score. The first eight are the worst of all, then
    comes the worst of each further class.

    Args:
        case: What is shown.
        score_threshold: Detections below it are left out.

    Returns:
        `image_id`, `category_id`, corners, `score` (null for a false negative), `failure`, `duplicate` (whether another
        detection matches the object) and `badness`.
    """
    rows = pl.concat([_false_negatives(case, score_threshold), _wrong_detections(case, score_threshold)])
    return pl.concat([_worst(rows.filter(pl.col("failure") == kind)) for kind in KINDS_OF_FAILURE])


def _false_negatives(case: Case, score_threshold: float) -> pl.DataFrame:
    area = (pl.col("x2") - pl.col("x1")) * (pl.col("y2") - pl.col("y1"))
    visible = 1 - pl.col("occluded").fill_null(0.0).clip(0, 1)
    rows = match_case(case).above(score_threshold).truth.filter(pl.col("status") == "fn")
    return rows.with_columns(
        score=pl.lit(None, pl.Float64), failure=pl.lit("fn"), duplicate=pl.lit(False), badness=area * visible
    ).select(_COLUMNS)


def _wrong_detections(case: Case, score_threshold: float) -> pl.DataFrame:
    """Sort the false positives by what TIDE calls their error: class, location, or neither."""
    kind = pl.Series("kind", classify(case).kind)
    failures = {CLASS: "confusion", LOCATION: "poor_box"}
    rows = match_case(case).detections.with_columns(kind)
    return (
        rows.filter((pl.col("status") == "fp") & (pl.col("score") >= score_threshold))
        .with_columns(
            failure=pl.col("kind").replace_strict(failures, default="fp", return_dtype=pl.String),
            duplicate=pl.col("kind") == DUPLICATE,
            badness=pl.col("score"),
        )
        .select(_COLUMNS)
    )


def _worst(rows: pl.DataFrame) -> pl.DataFrame:
    rows = rows.sort("badness", descending=True, maintain_order=True).with_row_index("_place")
    first = pl.col("_place") < _OVERALL
    classes = rows.filter(first)["category_id"].unique().implode()
    others = rows.filter(~first & ~pl.col("category_id").is_in(classes)).unique("category_id", keep="first")
    rest = rows.filter(~first & ~pl.col("_place").is_in(others["_place"].implode()))
    return pl.concat([rows.filter(first), others.sort("_place"), rest]).head(_EACH).drop("_place")
