"""TIDE: why detections are wrong, and how much AP each kind of error costs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from detect_transfer.core.arrays import BoolArray, FloatArray, IntArray
from detect_transfer.evaluation.assignment import Pairs, in_turn, match_in_turn, starts
from detect_transfer.evaluation.case import LEAST_NEAR, Case
from detect_transfer.evaluation.metric_result import MetricResult, Sheet
from detect_transfer.evaluation.outcomes import average_precision_101

FOREGROUND, BACKGROUND = 0.5, LEAST_NEAR
_MAX_DETECTIONS = 100  # per image, all classes together
RIGHT, CLASS, LOCATION, BOTH, DUPLICATE, BACK, EXCUSED = range(7)
_NAMES = {CLASS: "Cls", LOCATION: "Loc", BOTH: "Both", DUPLICATE: "Dupe", BACK: "Bkg"}
_NONE = np.iinfo(np.int64).max
_NO_OBJECT = "the truth has no object"


@dataclass(frozen=True)
class Errors:
    """What is wrong with each detection.

    Args:
        kind: (D,) one of the constants of this module.
        fixed: (D,) the row of the object that a class or location error would match if it were fixed and is the best
            to do so; else -1.
        used: (N,) objects that were matched.
        usable: (N,) objects that a fixed error could match.
    """

    kind: IntArray
    fixed: IntArray
    used: BoolArray
    usable: BoolArray


def tide(case: Case) -> MetricResult:
    """Count the errors by kind, and the AP at IoU .5 that fixing each kind alone would win (dAP, not below 0).

    AP is the mean over the classes with objects. dAP do not add up to 1 - AP.

    Source:
        Bolya et al., TIDE: A General Toolbox for Identifying Object Detection Errors, ECCV 2020. tidecv 1.0.1 differs
        in three points: it counts excused detections as errors (its repository no longer does), its 101 recalls are
        k / 100 where COCO's are those of `linspace`, and a class that is detected but has no object has an AP of 0.
    """
    sheet = Sheet()
    errors = classify(case)
    objects = case.gt.is_object
    plain = _changed(case, errors, None)
    base = _mean_ap(case, plain)
    sheet.put("AP50", base, _NO_OBJECT)

    def put(name: str, changed: _Changed, count: int, *, without: BoolArray | None = None) -> None:
        won = None if base is None else max((_mean_ap(case, changed, without=without) or 0.0) - base, 0.0)
        sheet.put(f"dAP_{name}", won, _NO_OBJECT)
        sheet.put(f"count_{name}", count, "")

    for kind, name in _NAMES.items():
        put(name, _changed(case, errors, kind), int((errors.kind == kind).sum()))
    for name, fn in (("Miss", objects & ~errors.used & ~errors.usable), ("FalseNeg", objects & ~errors.used)):
        put(name, plain, int(fn.sum()), without=fn)
    perfect = replace(plain, order=np.lexsort((case.rank, ~plain.tp, plain.category)))
    put("FalsePos", perfect, int(((errors.kind != RIGHT) & (errors.kind != EXCUSED)).sum()))
    bounds = {"foreground": FOREGROUND, "background": BACKGROUND, "max_detections_per_image": _MAX_DETECTIONS}
    return sheet.result("tide", bounds)


def classify(case: Case) -> Errors:
    """Find what is wrong with each detection; one beyond the cap or in an ignored region is `EXCUSED`."""
    return case.shared("tide errors", lambda: _classify(case))


def _classify(case: Case) -> Errors:
    gt, dt = case.gt, case.dt
    included = case.rank_in_image < _MAX_DETECTIONS
    pairs = case.near.take(included[case.near.dt])
    same = gt.category[pairs.gt] == dt.category[pairs.dt]
    own, other = pairs.take(same), pairs.take(~same)
    near = in_turn(own.take(own.overlap >= FOREGROUND), case.rank, first_wins=True)
    matched = match_in_turn(near, case.rank, len(gt.image))
    used = np.zeros(len(gt.image), bool)
    used[matched.gt] = True
    n = len(dt.score)
    (own_best, own_at), (other_best, other_at) = _best(own, n), _best(other, n)
    used_best, _ = _best(own.take(used[own.gt]), n)
    kind = np.select(
        [
            (own_best >= BACKGROUND) & (own_best <= FOREGROUND),
            other_best >= FOREGROUND,
            used_best >= FOREGROUND,
            np.maximum(own_best, other_best) <= BACKGROUND,
        ],
        [LOCATION, CLASS, DUPLICATE, BACK],
        BOTH,
    )
    excused = case.overlaps.ioa.take(gt.is_region[case.overlaps.ioa.gt])
    kind[excused.dt[excused.overlap > FOREGROUND]] = EXCUSED
    kind[~included] = EXCUSED
    kind[matched.dt] = RIGHT
    target = np.select([kind == LOCATION, kind == CLASS], [own_at, other_at], -1)
    wrong = np.flatnonzero(target >= 0)
    target[wrong[used[target[wrong]]]] = -1  # an object that was matched needs no other
    fixed, usable = _first_to_fix(target, case.rank, len(gt.image))
    return Errors(kind, fixed, used, usable)


def _best(pairs: Pairs, n_dt: int) -> tuple[FloatArray, IntArray]:
    """Return (D,) the largest overlap of each detection and with which box, the first of equal; 0 and -1 without."""
    overlap = np.zeros(n_dt)
    np.maximum.at(overlap, pairs.dt, pairs.overlap)
    top = pairs.overlap == overlap[pairs.dt]
    at = np.full(n_dt, _NONE)
    np.minimum.at(at, pairs.dt[top], pairs.gt[top])
    return overlap, np.where(at == _NONE, -1, at)


def _first_to_fix(target: IntArray, rank: IntArray, n_gt: int) -> tuple[IntArray, BoolArray]:
    rows = np.flatnonzero(target >= 0)
    rows = rows[np.lexsort((rank[rows], target[rows]))]
    rows = rows[starts(target[rows])]
    fixed, usable = np.full(len(target), -1, np.int64), np.zeros(n_gt, bool)
    fixed[rows], usable[target[rows]] = target[rows], True
    return fixed, usable


@dataclass(frozen=True)
class _Changed:
    """Class, status and presence (D,) of the detections after a change, and their order (D,)."""

    category: IntArray
    tp: BoolArray
    included: BoolArray
    order: IntArray


def _changed(case: Case, errors: Errors, kind: int | None) -> _Changed:
    """Fix all errors of one kind: make them true positives where they can be, else take them away."""
    category, order = case.dt.category, case.by_class
    tp, included = errors.kind == RIGHT, errors.kind != EXCUSED
    if kind is not None:
        of_kind = errors.kind == kind
        fixed = of_kind & (errors.fixed >= 0)
        tp, included = tp | fixed, included & (~of_kind | fixed)
        if kind == CLASS:
            category = category.copy()
            category[fixed] = case.gt.category[errors.fixed[fixed]]
            order = np.lexsort((case.rank, category))
    return _Changed(category, tp, included, order)


def _mean_ap(case: Case, changed: _Changed, *, without: BoolArray | None = None) -> float | None:
    """Return AP50 over the classes with objects; a class that lost them all counts as 0 if it is detected."""
    gt = case.gt
    n = len(case.names)
    before = np.bincount(gt.category[gt.is_object], minlength=n)
    left = gt.is_object if without is None else gt.is_object & ~without
    n_objects = np.bincount(gt.category[left], minlength=n)
    rows = changed.order[changed.included[changed.order]]
    bounds = np.searchsorted(changed.category[rows], np.arange(n + 1))
    values = [
        average_precision_101(np.flatnonzero(changed.tp[rows[bounds[k] : bounds[k + 1]]]), n_objects[k])
        for k in np.flatnonzero(before)
        if n_objects[k] or bounds[k] < bounds[k + 1]
    ]
    return float(np.mean(values)) if values else None
