"""What went wrong, worst first: misses, false alarms, confusions and poor boxes."""

from __future__ import annotations

import polars as pl

from detect_transfer.core.annotations import DETECTION_SCHEMA, XYXY, AnnotationTable, Detections
from detect_transfer.evaluation import Case, Matches
from detect_transfer.evaluation.metrics.tide import CLASS, DUPLICATE, LOCATION, classify

KINDS_OF_FAILURE = {
    "miss": "Missed",
    "false_alarm": "False alarm",
    "confusion": "Confused",
    "poor_box": "Poor box",
}
_OVERALL, _EACH = 8, 16  # the worst of all, with the worst of each class
_COLUMNS = ("image_id", "category_id", *XYXY, "score", "failure", "again", "badness")


def worst(truth: AnnotationTable, matches: Matches) -> pl.DataFrame:
    """Return the worst failures of each kind of `KINDS_OF_FAILURE`, up to sixteen each.

    Misses are ranked by their visible area, the others by score. The first eight are the worst of all, then comes the
    worst of each further class.

    Args:
        truth: The images and classes.
        matches: A matching at the score threshold of interest.

    Returns:
        `image_id`, `category_id`, corners, `score` (null for a miss), `failure`, `again` (whether the object was found
        by another detection) and `badness`.
    """
    rows = pl.concat([_misses(matches), _wrong_detections(truth, matches)])
    return pl.concat([_worst(rows.filter(pl.col("failure") == kind)) for kind in KINDS_OF_FAILURE])


def _misses(matches: Matches) -> pl.DataFrame:
    area = (pl.col("x2") - pl.col("x1")) * (pl.col("y2") - pl.col("y1"))
    seen = 1 - pl.col("occluded").fill_null(0.0).clip(0, 1)
    missed = matches.truth.filter(pl.col("status") == "miss")
    return missed.with_columns(
        score=pl.lit(None, pl.Float64), failure=pl.lit("miss"), again=pl.lit(False), badness=area * seen
    ).select(_COLUMNS)


def _wrong_detections(truth: AnnotationTable, matches: Matches) -> pl.DataFrame:
    """Sort the false alarms by what TIDE calls their error: class, location, or neither."""
    rows = matches.detections
    kinds = pl.Series("kind", classify(Case(truth, Detections(rows.select(*DETECTION_SCHEMA)))).kind)
    failure = (
        pl.when(pl.col("kind") == CLASS)
        .then(pl.lit("confusion"))
        .when(pl.col("kind") == LOCATION)
        .then(pl.lit("poor_box"))
        .otherwise(pl.lit("false_alarm"))
    )
    told = rows.with_columns(kinds).filter(pl.col("status") == "false_alarm")
    return told.with_columns(failure=failure, again=pl.col("kind") == DUPLICATE, badness=pl.col("score")).select(
        _COLUMNS
    )


def _worst(rows: pl.DataFrame) -> pl.DataFrame:
    rows = rows.sort("badness", descending=True, maintain_order=True).with_row_index("_place")
    first = pl.col("_place") < _OVERALL
    classes = rows.filter(first)["category_id"].unique().implode()
    others = rows.filter(~first & ~pl.col("category_id").is_in(classes)).unique("category_id", keep="first")
    rest = rows.filter(~first & ~pl.col("_place").is_in(others["_place"].implode()))
    return pl.concat([rows.filter(first), others.sort("_place"), rest]).head(_EACH).drop("_place")
