"""TIDE: why detections are wrong, and how much AP each kind of error costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detect_transfer.evaluation.arrays import BoolArray, FloatArray, IntArray
from detect_transfer.evaluation.assignment import Pairs, in_turn, overlapping, starts, take_turns
from detect_transfer.evaluation.case import Case
from detect_transfer.evaluation.metric_result import MetricResult, Sheet
from detect_transfer.evaluation.outcomes import average_precision_101

FOREGROUND, BACKGROUND = 0.5, 0.1
_MAX_DETECTIONS = 100  # per image, all classes together
RIGHT, CLASS, LOCATION, BOTH, DUPLICATE, BACK, EXCUSED = range(7)
_NAMES = {CLASS: "Cls", LOCATION: "Loc", BOTH: "Both", DUPLICATE: "Dupe", BACK: "Bkg"}
_NONE = np.iinfo(np.int64).max
_NO_OBJECT = "the truth has no object that must be found"


@dataclass(frozen=True)
class Errors:
    """What is wrong with each detection.

    Args:
        kind: (D,) one of the constants of this module.
        fixed: (D,) the row of the object that a class or location error would hit if it were fixed and is the best to
            do so; else -1.
        used: (N,) objects that were hit.
        usable: (N,) objects that a fixed error could hit.
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
    objects = case.known.is_object
    base = _mean_ap(case, errors, _changed(case, errors, None))
    sheet.put("AP50", base, _NO_OBJECT)
    for kind, name in _NAMES.items():
        won = None if base is None else (_mean_ap(case, errors, _changed(case, errors, kind)) or 0.0) - base
        _put(sheet, name, won, int((errors.kind == kind).sum()))
    missed = objects & ~errors.used & ~errors.usable
    plain = _changed(case, errors, None)
    for name, gone in (("Miss", missed), ("FalseNeg", objects & ~errors.used)):
        won = None if base is None else (_mean_ap(case, errors, plain, gone=gone) or 0.0) - base
        _put(sheet, name, won, int(gone.sum()))
    perfect = _Changed(plain.category, plain.hit, plain.kept, order=_hits_first(case, plain))
    won = None if base is None else (_mean_ap(case, errors, perfect) or 0.0) - base
    _put(sheet, "FalsePos", won, int(((errors.kind != RIGHT) & (errors.kind != EXCUSED)).sum()))
    bounds = {"foreground": FOREGROUND, "background": BACKGROUND, "max_detections_per_image": _MAX_DETECTIONS}
    return sheet.result("tide", bounds)


def _put(sheet: Sheet, name: str, won: float | None, count: int) -> None:
    sheet.put(f"dAP_{name}", None if won is None else max(won, 0.0), _NO_OBJECT)
    sheet.put(f"count_{name}", count, "")


def classify(case: Case) -> Errors:
    """Tell what is wrong with each detection; one beyond the cap or in an ignored region is `EXCUSED`."""
    known, found = case.known, case.found
    kept = case.place_in_image < _MAX_DETECTIONS
    objects = np.flatnonzero(known.is_object)
    pairs = overlapping(found.image, found.xywh, known.image[objects], known.xywh[objects], threshold=BACKGROUND)
    pairs = Pairs(pairs.found, objects[pairs.truth], pairs.overlap).take(kept[pairs.found])
    same = known.category[pairs.truth] == found.category[pairs.found]
    own, other = pairs.take(same), pairs.take(~same)
    near = in_turn(own.take(own.overlap >= FOREGROUND), case.rank, first_wins=True)
    hits = take_turns(near, case.rank, len(known.image))
    used = np.zeros(len(known.image), bool)
    used[hits.truth] = True
    n = len(found.score)
    (own_best, own_at), (other_best, other_at) = _best(own, n), _best(other, n)
    used_best, _ = _best(own.take(used[own.truth]), n)
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
    excused = case.overlaps.ioa.take(known.is_region[case.overlaps.ioa.truth])
    kind[excused.found[excused.overlap > FOREGROUND]] = EXCUSED
    kind[~kept] = EXCUSED
    kind[hits.found] = RIGHT
    target = np.select([kind == LOCATION, kind == CLASS], [own_at, other_at], -1)
    wrong = np.flatnonzero(target >= 0)
    target[wrong[used[target[wrong]]]] = -1  # an object that was hit needs no other
    fixed, usable = _first_to_mend(target, case.rank, len(known.image))
    return Errors(kind, fixed, used, usable)


def _best(pairs: Pairs, n_found: int) -> tuple[FloatArray, IntArray]:
    """Return (D,) the largest overlap of each detection and with which box, the first of equal; 0 and -1 without."""
    overlap = np.zeros(n_found)
    np.maximum.at(overlap, pairs.found, pairs.overlap)
    top = pairs.overlap == overlap[pairs.found]
    at = np.full(n_found, _NONE)
    np.minimum.at(at, pairs.found[top], pairs.truth[top])
    return overlap, np.where(at == _NONE, -1, at)


def _first_to_mend(target: IntArray, rank: IntArray, n_truth: int) -> tuple[IntArray, BoolArray]:
    rows = np.flatnonzero(target >= 0)
    rows = rows[np.lexsort((rank[rows], target[rows]))]
    rows = rows[starts(target[rows])]
    fixed, usable = np.full(len(target), -1, np.int64), np.zeros(n_truth, bool)
    fixed[rows], usable[target[rows]] = target[rows], True
    return fixed, usable


@dataclass(frozen=True)
class _Changed:
    """Class, hit and presence (D,) of the detections after a change, and their order (D,)."""

    category: IntArray
    hit: BoolArray
    kept: BoolArray
    order: IntArray


def _changed(case: Case, errors: Errors, kind: int | None) -> _Changed:
    """Fix all errors of one kind: make them hits where they can be, else take them away."""
    category, order = case.found.category, case.by_class
    hit, kept = errors.kind == RIGHT, errors.kind != EXCUSED
    if kind is not None:
        of_kind = errors.kind == kind
        fixed = of_kind & (errors.fixed >= 0)
        hit, kept = hit | fixed, kept & (~of_kind | fixed)
        if kind == CLASS:
            category = category.copy()
            category[fixed] = case.known.category[errors.fixed[fixed]]
            order = np.lexsort((case.rank, category))
    return _Changed(category, hit, kept, order)


def _hits_first(case: Case, plain: _Changed) -> IntArray:
    return np.lexsort((case.rank, ~plain.hit, plain.category))


def _mean_ap(case: Case, errors: Errors, changed: _Changed, *, gone: BoolArray | None = None) -> float | None:
    """Return AP50 over the classes with objects; a class that lost them all counts as 0 if it was detected."""
    known = case.known
    n = len(case.names)
    before = np.bincount(known.category[known.is_object], minlength=n)
    left = known.is_object if gone is None else known.is_object & ~gone
    n_objects = np.bincount(known.category[left], minlength=n)
    rows = changed.order[changed.kept[changed.order]]
    bounds = np.searchsorted(changed.category[rows], np.arange(n + 1))
    values = [
        average_precision_101(np.flatnonzero(changed.hit[rows[bounds[k] : bounds[k + 1]]]), n_objects[k])
        for k in np.flatnonzero(before)
        if n_objects[k] or bounds[k] < bounds[k + 1]
    ]
    return float(np.mean(values)) if values else None
