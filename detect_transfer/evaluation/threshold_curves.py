"""Precision, recall and F1 against the score threshold, from one matching."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detect_transfer.evaluation.matching import Matches

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class OperatingPoint:
    """A score threshold and what it gives; all in [0, 1]."""

    score_threshold: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class ThresholdCurve:
    """What counting every detection with at least `score` (S,) gives (S,); scores descend."""

    score: FloatArray
    precision: FloatArray
    recall: FloatArray
    f1: FloatArray
    false_alarms_per_image: FloatArray


def threshold_curve(matches: Matches, category_id: int | None = None) -> ThresholdCurve | None:
    """Return the curve of one class, or of all classes together, with one point for each score that occurs.

    Args:
        matches: A matching with `score_threshold=0`.
        category_id: The class; None counts all classes in one.

    Returns:
        None where no object must be found, since recall then has no meaning. Ignored detections are left out.
    """
    rows, truth = matches.detections, matches.truth
    if category_id is not None:
        rows, truth = (f.filter(pl.col("category_id") == category_id) for f in (rows, truth))
    n_objects = int((truth["status"] != "ignored").sum())
    rows = rows.filter(pl.col("status") != "ignored")
    if not n_objects:
        return None
    return _curve(rows["score"].to_numpy(), (rows["status"] == "hit").to_numpy(), n_objects, matches.n_images)


def class_curves(matches: Matches) -> dict[int, ThresholdCurve]:
    """Return `threshold_curve` of every class with objects, by its id; a class never detected has an empty one."""
    n_objects = _count(matches.truth)
    rows = matches.detections.filter(pl.col("status") != "ignored").sort("category_id", maintain_order=True)
    ids = rows["category_id"].to_numpy()
    score, hit = rows["score"].to_numpy(), (rows["status"] == "hit").to_numpy()
    curves = {}
    for category_id in sorted(n_objects):
        part = slice(*np.searchsorted(ids, [category_id, category_id + 1]).tolist())
        curves[category_id] = _curve(score[part], hit[part], n_objects[category_id], matches.n_images)
    return curves


def best_f1_threshold(matches: Matches) -> dict[int, OperatingPoint | None]:
    """Return for each class with rows the score threshold with the largest F1 = 2 PR / (P + R).

    Of equal F1 the highest threshold is taken. A class without objects, or without a hit, has None.

    Args:
        matches: A matching with `score_threshold=0`; choose on validation images, never on the test images.

    Source:
        formats.md 4.9; no smoothing and no interpolation, so the threshold is a score that occurs.
    """
    ids = {*matches.detections["category_id"].unique().to_list(), *_count(matches.truth)}
    points: dict[int, OperatingPoint | None] = dict.fromkeys(sorted(ids))
    for category_id, curve in class_curves(matches).items():
        if len(curve.f1) and curve.f1.max() > 0:
            points[category_id] = point_of(curve, int(np.argmax(curve.f1)))
    return points


def point_of(curve: ThresholdCurve, index: int) -> OperatingPoint:
    """Return one point of a curve."""
    columns = (curve.score, curve.precision, curve.recall, curve.f1)
    return OperatingPoint(*(float(column[index]) for column in columns))


def _count(truth: pl.DataFrame) -> dict[int, int]:
    objects = truth.filter(pl.col("status") != "ignored")
    return {int(i): int(n) for i, n in objects.group_by("category_id").len().iter_rows()}


def _curve(score: FloatArray, hit: NDArray[np.bool_], n_objects: int, n_images: int) -> ThresholdCurve:
    order = np.argsort(-score, kind="stable")
    score, hit = score[order], hit[order]
    last = np.ones(len(score), bool)  # a threshold takes all detections of one score together
    last[:-1] = score[1:] != score[:-1]
    hits, counted = np.cumsum(hit)[last], np.flatnonzero(last) + 1
    precision, recall = hits / counted, hits / n_objects
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)
    return ThresholdCurve(score[last], precision, recall, f1, (counted - hits) / n_images)
