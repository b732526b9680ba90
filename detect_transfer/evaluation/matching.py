"""Which detection found which object: hits, misses, false alarms, and what ignored regions excuse."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.errors import InputError
from detect_transfer.evaluation.arrays import (
    EVERY_CLASS,
    DetectionArrays,
    IgnorePolicy,
    IntArray,
    TruthArrays,
    detection_arrays,
    truth_arrays,
)
from detect_transfer.evaluation.assignment import Pairs, assign, best_of_each, joined, overlapping

_STATUS = ("false_alarm", "hit", "ignored", "miss")
_FALSE_ALARM, _HIT, _IGNORED, _MISS = range(4)


@dataclass(frozen=True)
class Matches:
    """Every detection and every truth box with its fate.

    Args:
        detections: The detections with `score >= score_threshold` in their order, and further columns: `status` (`hit`,
            `false_alarm` or `ignored`), `annotation_id` of the truth box that was hit or that excuses it (else null)
            and `iou` with it (intersection over the area of the detection where it is excused).
        truth: All truth boxes in their order, and further columns: `status` (`hit`, `miss` or `ignored`) and the
            `score` of the detection that hit it (else null).
        n_images: How many images were scored, empty ones among them.
        iou_threshold: The overlap that made a hit.
        score_threshold: Detections below it were left out.
        ignore_policy: `region` or `strict`, see `policy`.
    """

    detections: pl.DataFrame
    truth: pl.DataFrame
    n_images: int
    iou_threshold: float
    score_threshold: float
    ignore_policy: IgnorePolicy = "region"


@dataclass(frozen=True)
class Confusion:
    """What was taken for what.

    Args:
        counts: (K + 1, K + 1); row: the true class, column: the predicted one; the last of each is the background, so
            the last column counts misses and the last row false alarms.
        category_ids: The K ids in order.
        names: The K names in order.
        iou_threshold: The overlap that made a pair.
        score_threshold: Detections below it were left out.
    """

    counts: NDArray[np.int64]
    category_ids: tuple[int, ...]
    names: tuple[str, ...]
    iou_threshold: float
    score_threshold: float


def match(
    truth: AnnotationTable,
    detections: Detections,
    *,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.0,
    ignore_policy: IgnorePolicy = "region",
) -> Matches:
    """Match detections to objects per image and class, greedily in order of score as COCO does.

    A detection takes the free object with the largest IoU, if that reaches `iou_threshold`. One that gets none is
    excused when its intersection with an ignored region, over its own area, reaches the same threshold. There is no cap
    on the number of detections. The matching above a score is a part of the matching of all, so one call with
    `score_threshold=0` serves every operating point.

    Raises:
        InputError: The truth has no image, a detection names an unknown id, or a threshold is outside [0, 1].

    Source:
        pycocotools 2.0.11, `COCOeval.evaluateImg` for the area range `all`.
    """
    _check_thresholds(iou_threshold, score_threshold)
    rows = detections.rows.filter(pl.col("score") >= score_threshold)
    known = truth_arrays(truth, ignore_policy=ignore_policy)
    detection_arrays(detections, known)  # unknown ids are told of whatever their score
    found = detection_arrays(Detections(rows), known)
    n_classes = len(known.category_ids)
    objects = np.flatnonzero(known.is_object)
    pairs = overlapping(
        found.image * n_classes + found.category,
        found.xywh,
        known.image[objects] * n_classes + known.category[objects],
        known.xywh[objects],
        threshold=iou_threshold,
    )
    pairs = Pairs(pairs.found, objects[pairs.truth], pairs.overlap)
    hits = assign(pairs, found.score, len(known.image))
    excused = _excused(known, found, hits.found, iou_threshold)
    return Matches(
        detections=_detection_rows(rows, truth.boxes, hits, excused),
        truth=_truth_rows(truth.boxes, known, found, hits),
        n_images=len(known.image_ids),
        iou_threshold=iou_threshold,
        score_threshold=score_threshold,
        ignore_policy=ignore_policy,
    )


def above(matches: Matches, score_threshold: float) -> Matches:
    """Return the matching of the detections with at least this score, without matching again.

    The greedy order makes it a part of the matching of all, so this equals `match` with the higher threshold.
    """
    kept = pl.col("score") >= score_threshold
    lost = (pl.col("status") == "hit") & ~kept
    return replace(
        matches,
        detections=matches.detections.filter(kept),
        truth=matches.truth.with_columns(
            pl.when(lost).then(pl.lit("miss")).otherwise(pl.col("status")).alias("status"),
            pl.when(lost).then(None).otherwise(pl.col("score")).alias("score"),
        ),
        score_threshold=max(matches.score_threshold, score_threshold),
    )


def confusion(
    truth: AnnotationTable, detections: Detections, *, iou_threshold: float = 0.5, score_threshold: float = 0.25
) -> Confusion:
    """Count which class was taken for which, matching without regard to the class.

    This is no part of COCO. Per image, detections with `score >= score_threshold` in order of score each take the free
    object of *any* class with the largest IoU, if that reaches `iou_threshold`; of equal IoUs the object of its own
    class. A detection that gets none is excused when it lies in a region that is ignored for its class or for every
    class, else it counts in the background row. An object that nobody took counts in the background column.

    Raises:
        InputError: As for `match`.
    """
    _check_thresholds(iou_threshold, score_threshold)
    known = truth_arrays(truth, ignore_policy="region")
    detection_arrays(detections, known)
    found = detection_arrays(Detections(detections.rows.filter(pl.col("score") >= score_threshold)), known)
    objects = np.flatnonzero(known.is_object)
    pairs = overlapping(found.image, found.xywh, known.image[objects], known.xywh[objects], threshold=iou_threshold)
    pairs = Pairs(pairs.found, objects[pairs.truth], pairs.overlap)
    same = known.category[pairs.truth] == found.category[pairs.found]
    hits = assign(pairs, found.score, len(known.image), prefer=same)
    excused = _excused(known, found, hits.found, iou_threshold)
    missed = np.setdiff1d(objects, hits.truth)
    alarms = np.setdiff1d(np.arange(len(found.image)), np.concatenate([hits.found, excused.found]))
    n = len(known.category_ids)
    counts = np.zeros((n + 1, n + 1), np.int64)
    np.add.at(counts, (known.category[hits.truth], found.category[hits.found]), 1)
    np.add.at(counts[:, n], known.category[missed], 1)
    np.add.at(counts[n], found.category[alarms], 1)
    return Confusion(
        counts=counts,
        category_ids=tuple(int(i) for i in known.category_ids),
        names=tuple(truth.class_names),
        iou_threshold=iou_threshold,
        score_threshold=score_threshold,
    )


def _check_thresholds(iou_threshold: float, score_threshold: float) -> None:
    for field, value, low in (("iou_threshold", iou_threshold, 1e-9), ("score_threshold", score_threshold, 0.0)):
        if not low <= value <= 1:
            raise InputError(
                "THRESHOLD_RANGE",
                "a threshold must be in [0, 1], and an overlap above 0",
                field=field,
                value=value,
                remedy="give a share such as 0.5, not percent",
            )


def _excused(known: TruthArrays, found: DetectionArrays, taken: IntArray, threshold: float) -> Pairs:
    """Find for each detection without an object the region that covers it best; `truth` are rows of the table."""
    is_free = np.ones(len(found.image), bool)
    is_free[taken] = False
    free = np.flatnonzero(is_free)
    n_classes = len(known.category_ids)
    parts = []
    for every_class in (False, True):
        rows = np.flatnonzero(known.is_region & ((known.category == EVERY_CLASS) == every_class))
        scale = 0 if every_class else 1
        pairs = overlapping(
            found.image[free] * n_classes + found.category[free] * scale,
            found.xywh[free],
            known.image[rows] * n_classes + known.category[rows] * scale,
            known.xywh[rows],
            threshold=threshold,
            by_own_area=True,
        )
        parts.append(Pairs(free[pairs.found], rows[pairs.truth], pairs.overlap))
    return best_of_each(joined(parts))


def _detection_rows(rows: pl.DataFrame, truth: pl.DataFrame, hits: Pairs, excused: Pairs) -> pl.DataFrame:
    status = np.full(len(rows), _FALSE_ALARM)
    partner = np.full(len(rows), -1, np.int64)
    overlap = np.full(len(rows), np.nan)
    for code, pairs in ((_HIT, hits), (_IGNORED, excused)):
        status[pairs.found], partner[pairs.found], overlap[pairs.found] = code, pairs.truth, pairs.overlap
    ids = truth["annotation_id"].gather(pl.Series(partner).replace(-1, None))
    return rows.with_columns(_words(status), ids.alias("annotation_id"), pl.Series("iou", overlap).fill_nan(None))


def _truth_rows(rows: pl.DataFrame, known: TruthArrays, found: DetectionArrays, hits: Pairs) -> pl.DataFrame:
    status = np.where(known.is_object, _MISS, _IGNORED)
    status[hits.truth] = _HIT
    score = np.full(len(rows), np.nan)
    score[hits.truth] = found.score[hits.found]
    return rows.with_columns(_words(status), pl.Series("score", score).fill_nan(None))


def _words(status: IntArray) -> pl.Series:
    return pl.Series("status", _STATUS).gather(status)
