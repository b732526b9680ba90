"""Operating points of each class: the score thresholds that reach a goal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from detect_transfer.core.arrays import BoolArray
from detect_transfer.evaluation.case import Case
from detect_transfer.evaluation.matching import Matches, match_case
from detect_transfer.evaluation.metric_result import MetricResult, Sheet
from detect_transfer.evaluation.threshold_curves import (
    ThresholdCurve,
    class_curves,
    mean_curve,
    object_counts,
)

TARGET_PRECISION = 0.9
TARGET_FPPI = 0.1
MIN_OBJECTS = 20  # a threshold of fewer is chance
MIN_PRECISION = 0.25  # no threshold is given at which more than three of four detections are wrong
_COLUMNS = ("score_threshold", "precision", "recall")
_MOST_NAMES = 20
_NO_OBJECT = "the truth has no object of it"


@dataclass(frozen=True)
class Goal:
    """What a threshold shall reach.

    Args:
        name: Its name in the results.
        index: Returns the point of a curve that meets it with the largest recall; None where none does.
        reason: Why there may be no point.
        least_precision: What the precision must be at any threshold that is given for it.
    """

    name: str
    index: Callable[[ThresholdCurve], int | None]
    reason: str
    least_precision: float = MIN_PRECISION


@dataclass(frozen=True)
class ClassPoint:
    """The operating point of one class.

    Args:
        score_threshold: None where neither the class nor all classes together have one, or it is withheld.
        precision: At that threshold; None where it has no meaning.
        recall: At that threshold; None where it has no meaning.
        pooled: Why the threshold is that of all classes together; "" where it is the class's own.
        caution: Why there is no threshold, or why it promises nothing, where the precision is below that of the goal.
    """

    score_threshold: float | None
    precision: float | None
    recall: float | None
    pooled: str = ""
    caution: str = ""


def goals(target_precision: float = TARGET_PRECISION, target_fppi: float = TARGET_FPPI) -> tuple[Goal, Goal, Goal]:
    """Return the three goals: the best F1, a precision, and a number of false positives per image."""
    return (
        Goal("best_f1", lambda curve: curve.best_f1, "nothing of it was detected"),
        Goal(
            "target_precision",
            lambda curve: _lowest(curve, curve.precision >= target_precision),
            f"no threshold gives a precision of {target_precision:g}",
            target_precision,
        ),
        Goal(
            "target_fppi",
            lambda curve: _lowest(curve, curve.fp_per_image <= target_fppi),
            f"no threshold has a true positive and at most {target_fppi:g} false positives per image",
        ),
    )


def operating_points(
    matches: Matches, *, target_precision: float = TARGET_PRECISION, target_fppi: float = TARGET_FPPI
) -> dict[int | None, dict[str, ClassPoint]]:
    """Return for each class, and under None for all together, the point with the largest recall that meets each goal.

    A class of few objects, or of a low precision at its own threshold, has the threshold of all classes together; that
    is none where its precision is too low as well. Where it gives the class a precision below that of the goal, a class
    of enough objects to know has none, and for one of fewer `caution` says so.

    It is the point of the mean of the curves of all classes with objects, each with the same weight: were all
    detections one pool, a class that fills it would silence those whose scores are lower. The best F1 of five made
    classes, of which four had 8 objects to the 500 of the fifth, gave these four a mean F1 of .57 on other images, that
    of a pool .07.

    Args:
        matches: A matching with `score_threshold=0`; choose on validation images, never on the test images.
        target_precision: The least precision, in [0, 1].
        target_fppi: The most false positives per image.
    """
    curves, n_objects = class_curves(matches), object_counts(matches)
    whole = mean_curve(curves.values(), least_precision=MIN_PRECISION)
    ids = sorted({*matches.detections["category_id"].drop_nulls().to_list(), *curves})
    points: dict[int | None, dict[str, ClassPoint]] = {category_id: {} for category_id in (None, *ids)}
    for goal in goals(target_precision, target_fppi):
        pooled = points[None][goal.name] = _supported(whole, goal)
        for category_id in ids:
            curve, n = curves.get(category_id), n_objects.get(category_id, 0)
            own = _supported(curve, goal)
            if n < MIN_OBJECTS:
                why = f"{n} object{'' if n == 1 else 's'}, fewer than {MIN_OBJECTS}"
            elif own.score_threshold is None:
                why = f"{goal.reason}, or its precision there is below {MIN_PRECISION:g}"
            else:
                points[category_id][goal.name] = own
                continue
            point = _at_pooled(curve, pooled, why)
            points[category_id][goal.name] = _cautious(point, n, goal.least_precision)
    return points


def _supported(curve: ThresholdCurve | None, goal: Goal) -> ClassPoint:
    index = None if curve is None else goal.index(curve)
    point = None if curve is None or index is None else curve.point(index)
    if point is None or point.precision < MIN_PRECISION:
        return ClassPoint(None, None, None)
    return ClassPoint(point.score_threshold, point.precision, point.recall)


def _at_pooled(curve: ThresholdCurve | None, pooled: ClassPoint, why: str) -> ClassPoint:
    """Return the threshold of all classes, with what it gives for the class of a curve."""
    if pooled.score_threshold is None or curve is None:
        return ClassPoint(pooled.score_threshold, None, None, "" if pooled.score_threshold is None else why)
    index = int((curve.score >= pooled.score_threshold).sum()) - 1
    if index < 0:
        return ClassPoint(pooled.score_threshold, None, 0.0, why)
    return ClassPoint(pooled.score_threshold, float(curve.precision[index]), float(curve.recall[index]), why)


def _cautious(point: ClassPoint, n_objects: int, least_precision: float) -> ClassPoint:
    """Withhold the threshold of all classes from a class of too low a precision there, or say that it is too low."""
    if point.score_threshold is None or point.precision is None or point.precision >= least_precision:
        return point
    low = f"its precision at the threshold of all classes is {point.precision:.3f}, below {least_precision:g}"
    if n_objects < MIN_OBJECTS:
        return replace(point, caution=low)
    return ClassPoint(None, None, None, caution=f"withheld: {low}")


def operating_metric(
    case: Case, *, target_precision: float = TARGET_PRECISION, target_fppi: float = TARGET_FPPI
) -> MetricResult:
    """Give the thresholds of `operating_points` with the precision and recall there, at IoU .5.

    `pooled` in the bounds says for each goal which classes have the threshold of all classes, and why; `cautions` of
    which classes the precision there is too low, so that the threshold is withheld or promises nothing; `notes` says
    what it gives them, and where nothing is detected at it.
    """
    targets = {"target_precision": target_precision, "target_fppi": target_fppi}
    points = operating_points(match_case(case), **targets)
    classes = dict(zip(case.gt.category_ids.tolist(), case.names, strict=True))
    n_objects = np.bincount(case.gt.category[case.gt.is_object], minlength=len(classes))
    with_objects = {i for i, n in zip(classes, n_objects.tolist(), strict=True) if n}
    notes: list[str] = []
    sheet, pooled, cautions = Sheet(), {}, {}
    for goal in goals(**targets):
        of_all = points[None][goal.name]
        low = f"{goal.reason}, or the precision of all classes there is below {MIN_PRECISION:g}"
        for column in _COLUMNS:
            sheet.put(f"{goal.name}_{column}", getattr(of_all, column), low)
        chosen = {i: points.get(i, {}).get(goal.name, _at_pooled(None, of_all, _NO_OBJECT)) for i in classes}
        for category_id, name in classes.items():
            for column in _COLUMNS:
                value = getattr(chosen[category_id], column)
                none = "no object or no detection of it reaches the threshold"
                if chosen[category_id].score_threshold is None:
                    none = chosen[category_id].caution or low
                sheet.put(f"{goal.name}_{column}/{name}", value, none)
        pooled[goal.name] = {name: chosen[i].pooled for i, name in classes.items() if chosen[i].pooled}
        cautions[goal.name] = {name: chosen[i].caution for i, name in classes.items() if chosen[i].caution}
        at_pooled = {classes[i]: chosen[i] for i in classes if chosen[i].pooled and i in with_objects}
        notes += _notes(goal, of_all, at_pooled)
        notes += [f"warning: {goal.name}: {name}: {text}" for name, text in cautions[goal.name].items()]
    bounds = {"overlap": ">= 0.5", **targets, "min_objects": MIN_OBJECTS, "min_precision": MIN_PRECISION}
    return sheet.result("operating_points", {**bounds, "pooled": pooled, "cautions": cautions, "notes": notes})


def _notes(goal: Goal, of_all: ClassPoint, at_pooled: dict[str, ClassPoint]) -> list[str]:
    """Say what the threshold of all classes gives the classes with objects that have it, and warn of silent ones."""
    if not at_pooled:
        return []
    recalls = [f"{name} {point.recall or 0.0:.3f}" for name, point in at_pooled.items()]
    silent = [name for name, point in at_pooled.items() if point.precision is None]
    threshold = f"{goal.name}: the score threshold of all classes together, {of_all.score_threshold:.3f},"
    notes = [f"{threshold} gives on these images a recall of: {_listed(recalls)}"]
    return [*notes, *([f"warning: {threshold} leaves no detection at all of: {_listed(silent)}"] if silent else [])]


def _listed(words: list[str]) -> str:
    more = f" and {len(words) - _MOST_NAMES} more" if len(words) > _MOST_NAMES else ""
    return ", ".join(words[:_MOST_NAMES]) + more


def _lowest(curve: ThresholdCurve, meets: BoolArray) -> int | None:
    """Return the point that meets the goal with the largest recall; of equal ones that with the best precision."""
    good = np.flatnonzero(meets & (curve.recall > 0))
    if not len(good):
        return None
    most = good[curve.recall[good] == curve.recall[good].max()]
    return int(most[np.argmax(curve.precision[most])])
