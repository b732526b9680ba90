"""Precision, recall and F1 against the score threshold, from one matching."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from detect_transfer.core.arrays import BoolArray, FloatArray
from detect_transfer.evaluation.matching import Matches
from detect_transfer.evaluation.outcomes import last_of_score


@dataclass(frozen=True)
class OperatingPoint:
    """A score threshold with its precision, recall and F1; all in [0, 1]."""

    score_threshold: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class ThresholdCurve:
    """Precision, recall, F1 and false positives per image (S,) of all detections from `score` (S,) on, which falls."""

    score: FloatArray
    precision: FloatArray
    recall: FloatArray
    f1: FloatArray
    fp_per_image: FloatArray

    def point(self, index: int) -> OperatingPoint:
        """Return one point of the curve."""
        columns = (self.score, self.precision, self.recall, self.f1)
        return OperatingPoint(*(float(column[index]) for column in columns))

    @property
    def best_f1(self) -> int | None:
        """The index of the largest F1, of equal ones the highest score; None where there is no true positive."""
        return int(np.argmax(self.f1)) if len(self.f1) and self.f1.max() > 0 else None


def threshold_curve(matches: Matches, category_id: int | None = None) -> ThresholdCurve | None:
    """Return the curve of one class, or of all classes together, with one point for each score that occurs.

    Args:
        matches: A matching with `score_threshold=0`.
        category_id: The class; None counts all classes in one.

    Returns:
        None where there is no object, since recall then has no meaning. Ignored detections are left out.
    """
    if category_id is not None:
        matches = matches.of_class(category_id)
    n_objects = int((matches.truth["status"] != "ignored").sum())
    rows = matches.detections.filter(pl.col("status") != "ignored")
    if not n_objects:
        return None
    return _curve(rows["score"].to_numpy(), (rows["status"] == "tp").to_numpy(), n_objects, matches.n_images)


def class_curves(matches: Matches) -> dict[int, ThresholdCurve]:
    """Return `threshold_curve` of every class with objects, by its id; a class never detected has an empty one."""
    rows = matches.detections.filter(pl.col("status") != "ignored").sort("category_id", maintain_order=True)
    ids = rows["category_id"].to_numpy()
    score, tp = rows["score"].to_numpy(), (rows["status"] == "tp").to_numpy()
    curves = {}
    for category_id, n in sorted(object_counts(matches).items()):
        part = slice(*np.searchsorted(ids, [category_id, category_id + 1]).tolist())
        curves[category_id] = _curve(score[part], tp[part], n, matches.n_images)
    return curves


def mean_curve(curves: Iterable[ThresholdCurve], *, least_precision: float = 0.0) -> ThresholdCurve | None:
    """Return the mean over classes of their curves, at every score that occurs in one; None where there is no class.

    Each class weighs the same, however many objects it has. Precision is the mean over the classes that have a
    detection by then; F1 counts as 0 where the precision of the class is below `least_precision`.
    """
    each = list(curves)
    if not each:
        return None
    score = np.concatenate([curve.score for curve in each])
    order = np.argsort(-score, kind="stable")
    last = last_of_score(score[order])

    def total(columns: Sequence[FloatArray]) -> FloatArray:
        steps = np.concatenate([np.diff(column, prepend=0.0) for column in columns])
        return np.cumsum(steps[order])[last].round(12)  # a sum of steps, whose ends would not be equal otherwise

    detected = total([np.ones(len(curve.score)) for curve in each])
    precision = total([curve.precision for curve in each])
    recall, fp_per_image = (total([getattr(curve, name) for curve in each]) for name in ("recall", "fp_per_image"))
    f1 = total([np.where(curve.precision >= least_precision, curve.f1, 0.0) for curve in each])
    n = len(each)
    return ThresholdCurve(score[order][last], precision / detected, recall / n, f1 / n, fp_per_image / n)


def best_f1_threshold(matches: Matches) -> dict[int, OperatingPoint | None]:
    """Return for each class with rows the score threshold with the largest F1 = 2 PR / (P + R).

    Of equal F1 the highest threshold is taken. A class without objects, or without a true positive, has None.

    Args:
        matches: A matching with `score_threshold=0`; choose on validation images, never on the test images.

    Source:
        formats.md 4.9; no smoothing and no interpolation, so the threshold is a score that occurs.
    """
    curves = class_curves(matches)
    points: dict[int, OperatingPoint | None] = {}
    for category_id in sorted({*matches.detections["category_id"].unique().to_list(), *curves}):
        curve = curves.get(category_id)
        index = None if curve is None else curve.best_f1
        points[category_id] = None if curve is None or index is None else curve.point(index)
    return points


def object_counts(matches: Matches) -> dict[int, int]:
    """Return how many objects each class has, by its id; classes without any are left out."""
    objects = matches.truth.filter(pl.col("status") != "ignored")
    return {int(i): int(n) for i, n in objects.group_by("category_id").len().iter_rows()}


def _curve(score: FloatArray, tp: BoolArray, n_objects: int, n_images: int) -> ThresholdCurve:
    order = np.argsort(-score, kind="stable")
    score, tp = score[order], tp[order]
    last = last_of_score(score)
    n_tp, counted = np.cumsum(tp)[last], np.flatnonzero(last) + 1
    precision, recall = n_tp / counted, n_tp / n_objects
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)
    return ThresholdCurve(score[last], precision, recall, f1, (counted - n_tp) / n_images)
