"""KITTI 2D average precision at 40 and 11 recalls, easy, moderate and hard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from detect_transfer.evaluation.arrays import EVERY_CLASS, BoolArray, FloatArray
from detect_transfer.evaluation.assignment import Pairs, in_turn, overlapping, take_turns
from detect_transfer.evaluation.attributes import truth_attributes
from detect_transfer.evaluation.case import Case, tolerate
from detect_transfer.evaluation.metric_result import MetricResult, Sheet

# least overlap, which must be passed, and the neighbouring class that is ignored
_CLASSES = {"Car": (0.7, "Van"), "Pedestrian": (0.5, "Person_sitting"), "Cyclist": (0.5, None)}
_LEVELS = {  # least height in pixels, highest level of occlusion, largest truncated share
    "easy": (40.0, 0, 0.15),
    "moderate": (25.0, 1, 0.30),
    "hard": (25.0, 2, 0.50),
}
_POINTS = 41
_LEVEL = "occlusion_level"
_PARTLY, _LARGELY = 0.0, 0.5  # hidden shares above these are levels 1 and 2 where no level is told


@dataclass(frozen=True)
class _Class:
    """One class at one difficulty.

    Args:
        wanted: (N,) objects to find.
        small: (D,) detections below the least height, whatever their class.
        own: (D,) detections of the class that are not small.
        pairs: Truth boxes as `found` and detections as `truth` that overlap enough: here the truth boxes choose.
        excused: (D,) detections in a DontCare region.
    """

    wanted: BoolArray
    small: BoolArray
    own: BoolArray
    pairs: Pairs
    excused: BoolArray


def kitti(case: Case) -> MetricResult:
    """Score the three classes of KITTI by name, in any case; a class that is not there has None.

    The truth boxes choose in their order: once by score, to find the thresholds at 41 recalls, and at each threshold by
    overlap. A detection that is too low is ignored whatever its class. The level of occlusion, 0 to 3, is the column
    `occlusion_level` of the boxes or that key of their `attributes`; where it is not told, a hidden share of 0 is
    level 0, up to half level 1, more level 2.

    Source:
        KITTI devkit_object, `evaluate_object.cpp`, with 40 recall positions as since 2019.
    """
    neighbours = {name: (other,) for name, (_, other) in _CLASSES.items() if other}
    case = tolerate(case, neighbours)
    positions = {name.casefold(): k for k, name in enumerate(case.names)}
    attributes = {**truth_attributes(case.truth), "level": _occlusion_levels(case)}
    sheet, curves = Sheet(), {}
    found: dict[str, dict[str, FloatArray | None]] = {level: dict.fromkeys(_CLASSES) for level in _LEVELS}
    for name, (overlap, _) in _CLASSES.items():
        position = positions.get(name.casefold())
        pairs = None if position is None else _pairs(case, position, overlap)
        for level in _LEVELS:
            if position is not None and pairs is not None:
                found[level][name] = _precision(case, _class(case, position, pairs, attributes, level, overlap))
    for level, by_class in found.items():
        reason = f"there is no object of it that counts as {level}"
        for n_recalls, step in ((40, 1), (11, 4)):
            values = {c: None if p is None else _mean(p, n_recalls, step) for c, p in by_class.items()}
            sheet.spread(f"AP{n_recalls}_{level}", values, reason)
        curves.update({f"{level}/{c}": _curve(p) for c, p in by_class.items() if p is not None})
    return sheet.result("kitti", _bounds(), curves)


def _mean(precision: FloatArray, n_recalls: int, step: int) -> float:
    """Read the precision (41,) at 1/40 ... 40/40, or at 0, 4/40 ... 40/40."""
    return float(precision[1 if n_recalls == 40 else 0 :: step].sum() / n_recalls)


def _curve(precision: FloatArray) -> dict[str, list[float]]:
    return {"recall": (np.arange(_POINTS) / (_POINTS - 1)).tolist(), "precision": precision.tolist()}


def _occlusion_levels(case: Case) -> FloatArray:
    """Return the level (N,) of each box: that which is told, else that of the hidden share."""
    rows = case.truth.boxes
    if _LEVEL in rows.columns:
        told = rows[_LEVEL].cast(pl.Float64)
    else:
        told = rows["attributes"].str.json_path_match(f"$.{_LEVEL}").cast(pl.Float64, strict=False)
    hidden = truth_attributes(case.truth)["occluded"]
    by_share = (hidden > _PARTLY).astype(float) + (hidden > _LARGELY)
    return np.where(told.is_null().to_numpy(), by_share, told.fill_null(0.0).to_numpy())


def _pairs(case: Case, position: int, overlap: float) -> Pairs:
    """Return the pairs of truth boxes of a class, as `found`, with detections of any class, as `truth`."""
    rows = np.flatnonzero(case.known.category == position)
    pairs = overlapping(
        case.known.image[rows], case.known.xywh[rows], case.found.image, case.found.xywh, threshold=overlap
    )
    return Pairs(rows[pairs.found], pairs.truth, pairs.overlap).take(pairs.overlap > overlap)


def _class(
    case: Case, position: int, pairs: Pairs, attributes: dict[str, FloatArray], level: str, overlap: float
) -> _Class:
    lowest, occlusion, truncation = _LEVELS[level]
    known = case.known
    of_class = known.category == position
    dont_care = known.is_region & (
        (known.category == EVERY_CLASS) | (of_class & case.truth.boxes["iscrowd"].fill_null(False).to_numpy())
    )
    in_bounds = (attributes["height"] >= lowest) & (attributes["level"] <= occlusion)
    wanted = known.is_object & of_class & in_bounds & (attributes["truncated"] <= truncation)
    small = np.trunc(case.found.xywh[:, 3]) < lowest
    own = (case.found.category == position) & ~small
    part = pairs.take(~dont_care[pairs.found] & (own | small)[pairs.truth])
    rows = np.flatnonzero(dont_care)
    covered = overlapping(
        case.found.image, case.found.xywh, known.image[rows], known.xywh[rows], threshold=overlap, by_own_area=True
    )
    excused = np.zeros(len(own), bool)
    excused[covered.found[covered.overlap > overlap]] = True
    return _Class(wanted, small, own, part, excused)


def _precision(case: Case, parts: _Class) -> FloatArray | None:
    """Return the precision (41,) that falls with recall; None where there is no object."""
    n_objects = int(parts.wanted.sum())
    if not n_objects:
        return None
    score = case.found.score
    # the overlap of a pair stands for what the truth box asks for: here the score
    chosen = _choose(Pairs(parts.pairs.found, parts.pairs.truth, score[parts.pairs.truth]), parts, len(score))
    hits = parts.wanted[chosen.found] & ~parts.small[chosen.truth]
    precision = np.zeros(_POINTS)
    for i, threshold in enumerate(_thresholds(np.sort(score[chosen.truth[hits]])[::-1], n_objects)):
        pairs = parts.pairs.take(score[parts.pairs.truth] >= threshold)
        chosen = _choose(pairs, parts, len(score), prefer=~parts.small[pairs.truth])
        n_hits = int((parts.wanted[chosen.found] & ~parts.small[chosen.truth]).sum())
        alarm = parts.own & (score >= threshold) & ~parts.excused
        alarm[chosen.truth] = False
        precision[i] = n_hits / max(1, n_hits + int(alarm.sum()))
    return np.maximum.accumulate(precision[::-1])[::-1]


def _choose(pairs: Pairs, parts: _Class, n_found: int, *, prefer: BoolArray | None = None) -> Pairs:
    """Let the truth boxes in their order take the first of their detections that is free.

    Of those that are too low only the first in the file is asked for, and after all others.
    """
    if prefer is not None:
        pairs = Pairs(pairs.found, pairs.truth, np.where(prefer, pairs.overlap, -1.0))
    turn = np.arange(len(parts.wanted))
    return take_turns(in_turn(pairs, turn, first_wins=True), turn, n_found)


def _thresholds(scores: FloatArray, n_objects: int) -> list[float]:
    """Choose at most 41 of the falling scores (H,) of hits, whose recalls come nearest to equal steps."""
    left = np.arange(1, len(scores) + 1) / n_objects
    right = np.minimum(np.arange(2, len(scores) + 2), len(scores)) / n_objects
    chosen: list[float] = []
    at, recall = -1, 0.0
    while at < len(scores) - 1:
        near = (right[at + 1 :] - recall >= recall - left[at + 1 :]).nonzero()[0]
        at = at + 1 + int(near[0]) if len(near) else len(scores) - 1
        chosen.append(float(scores[at]))
        recall += 1 / (_POINTS - 1)  # summed up as the devkit does, whose ties hang on the last digit
    return chosen


def _bounds() -> dict[str, object]:
    return {
        "overlap": {name: f"> {overlap:g}" for name, (overlap, _) in _CLASSES.items()},
        "neighbours": {name: other for name, (_, other) in _CLASSES.items() if other},
        "levels": {
            name: f"height >= {low:g}, occlusion level <= {occlusion}, truncated <= {truncation:g}"
            for name, (low, occlusion, truncation) in _LEVELS.items()
        },
        _LEVEL: f"as told, else 0 hidden is 0, up to {_LARGELY:g} is 1, more is 2",
    }
