"""Operating points of each class: the score thresholds that reach a goal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from detect_transfer.core.arrays import BoolArray
from detect_transfer.evaluation.case import Case
from detect_transfer.evaluation.matching import Matches, match_case
from detect_transfer.evaluation.metric_result import MetricResult, Sheet
from detect_transfer.evaluation.threshold_curves import OperatingPoint, ThresholdCurve, class_curves

TARGET_PRECISION = 0.9
TARGET_FPPI = 0.1
_NO_OBJECT = "the truth has no object of it"


@dataclass(frozen=True)
class Goal:
    """What a threshold shall reach.

    Args:
        name: Its name in the results.
        index: Returns the point of a curve that meets it with the largest recall; None where none does.
        reason: Why there may be no point.
    """

    name: str
    index: Callable[[ThresholdCurve], int | None]
    reason: str


def goals(target_precision: float = TARGET_PRECISION, target_fppi: float = TARGET_FPPI) -> tuple[Goal, Goal, Goal]:
    """Return the three goals: the best F1, a precision, and a number of false positives per image."""
    return (
        Goal("best_f1", lambda curve: curve.best_f1, "nothing of it was detected"),
        Goal(
            "target_precision",
            lambda curve: _lowest(curve, curve.precision >= target_precision),
            f"no threshold gives a precision of {target_precision:g}",
        ),
        Goal(
            "target_fppi",
            lambda curve: _lowest(curve, curve.fp_per_image <= target_fppi),
            f"no threshold has a true positive and at most {target_fppi:g} false positives per image",
        ),
    )


def operating_points(
    matches: Matches, *, target_precision: float = TARGET_PRECISION, target_fppi: float = TARGET_FPPI
) -> dict[int, dict[str, OperatingPoint | None]]:
    """Return for each class with objects the point of each goal, the one with the largest recall that meets it.

    Args:
        matches: A matching with `score_threshold=0`; choose on validation images, never on the test images.
        target_precision: The least precision, in [0, 1].
        target_fppi: The most false positives per image.
    """
    points = {}
    for category_id, curve in class_curves(matches).items():
        at = {goal.name: goal.index(curve) for goal in goals(target_precision, target_fppi)}
        points[category_id] = {name: None if i is None else curve.point(i) for name, i in at.items()}
    return points


def operating_metric(
    case: Case, *, target_precision: float = TARGET_PRECISION, target_fppi: float = TARGET_FPPI
) -> MetricResult:
    """Give the thresholds of `operating_points` with the precision and recall there, at IoU .5."""
    points = operating_points(match_case(case), target_precision=target_precision, target_fppi=target_fppi)
    sheet = Sheet()
    for goal in goals(target_precision, target_fppi):
        for category_id, name in zip(case.gt.category_ids.tolist(), case.names, strict=True):
            point = points.get(category_id, {}).get(goal.name)
            reason = goal.reason if category_id in points else _NO_OBJECT
            for column in ("score_threshold", "precision", "recall"):
                value = None if point is None else float(getattr(point, column))
                sheet.put(f"{goal.name}_{column}/{name}", value, reason)
    return sheet.result(
        "operating_points",
        {"overlap": ">= 0.5", "target_precision": target_precision, "target_fppi": target_fppi},
    )


def _lowest(curve: ThresholdCurve, meets: BoolArray) -> int | None:
    """Return the point that meets the goal with the largest recall; of equal ones that with the best precision."""
    good = np.flatnonzero(meets & (curve.recall > 0))
    if not len(good):
        return None
    most = good[curve.recall[good] == curve.recall[good].max()]
    return int(most[np.argmax(curve.precision[most])])
