"""KITTI 2D average precision at 40 and 11 recalls, easy, moderate and hard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from detect_transfer.core.arrays import BoolArray, FloatArray
from detect_transfer.core.class_names import match_class_names
from detect_transfer.evaluation.arrays import EVERY_CLASS
from detect_transfer.evaluation.assignment import KeyedBoxes, Pairs, in_turn, match_in_turn, overlap_pairs
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
_PARTLY, _LARGELY = 0.0, 0.5  # hidden shares above these are levels 1 and 2 where no level is stated


@dataclass(frozen=True)
class _Class:
    """One class at one difficulty.

    Args:
        wanted: (N,) objects.
        small: (D,) detections below the least height, whatever their class.
        own: (D,) detections of the class that are not small.
        pairs: Truth boxes as `dt` and detections as `gt` that overlap enough: here the truth boxes choose.
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
    `occlusion_level` of the boxes or that key of their `attributes`; where it is not stated, a hidden share of 0 is
    level 0, up to half level 1, more level 2.

    Source:
        KITTI devkit_object, `evaluate_object.cpp`, with 40 recall positions as since 2019.
    """
    neighbours = {name: (other,) for name, (_, other) in _CLASSES.items() if other}
    case = tolerate(case, neighbours)
    positions = {name: case.names.index(own) for name, own in match_class_names(_CLASSES, case.names).items()}
    attributes = {**truth_attributes(case.truth), "level": _occlusion_levels(case)}
    sheet, curves = Sheet(), {}
    precision: dict[str, dict[str, FloatArray | None]] = {level: dict.fromkeys(_CLASSES) for level in _LEVELS}
    for name, (overlap, _) in _CLASSES.items():
        position = positions.get(name)
        pairs = None if position is None else _pairs(case, position, overlap)
        for level in _LEVELS:
            if position is not None and pairs is not None:
                precision[level][name] = _precision(case, _class(case, position, pairs, attributes, level, overlap))
    for level, by_class in precision.items():
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
    """Return the level (N,) of each box: the stated one, else that of the hidden share."""
    rows = case.truth.boxes
    if _LEVEL in rows.columns:
        stated = rows[_LEVEL].cast(pl.Float64)
    else:
        stated = rows["attributes"].str.json_path_match(f"$.{_LEVEL}").cast(pl.Float64, strict=False)
    hidden = truth_attributes(case.truth)["occluded"]
    by_share = (hidden > _PARTLY).astype(float) + (hidden > _LARGELY)
    return np.where(stated.is_null().to_numpy(), by_share, stated.fill_null(0.0).to_numpy())


def _pairs(case: Case, position: int, overlap: float) -> Pairs:
    """Return the pairs of truth boxes of a class, as `dt`, with detections of any class, as `gt`."""
    rows = np.flatnonzero(case.gt.category == position)
    boxes = KeyedBoxes(case.gt.image[rows], case.gt.xywh[rows])
    (pairs,) = overlap_pairs(boxes, KeyedBoxes(case.dt.image, case.dt.xywh), overlap)
    return Pairs(rows[pairs.dt], pairs.gt, pairs.overlap).take(pairs.overlap > overlap)


def _class(
    case: Case, position: int, pairs: Pairs, attributes: dict[str, FloatArray], level: str, overlap: float
) -> _Class:
    lowest, occlusion, truncation = _LEVELS[level]
    gt = case.gt
    of_class = gt.category == position
    dont_care = gt.is_region & (
        (gt.category == EVERY_CLASS) | (of_class & case.truth.boxes["iscrowd"].fill_null(False).to_numpy())
    )
    in_bounds = (attributes["height"] >= lowest) & (attributes["level"] <= occlusion)
    wanted = gt.is_object & of_class & in_bounds & (attributes["truncated"] <= truncation)
    small = np.trunc(case.dt.xywh[:, 3]) < lowest
    own = (case.dt.category == position) & ~small
    part = pairs.take(~dont_care[pairs.dt] & (own | small)[pairs.gt])
    rows = np.flatnonzero(dont_care)
    regions = KeyedBoxes(gt.image[rows], gt.xywh[rows])
    (covered,) = overlap_pairs(KeyedBoxes(case.dt.image, case.dt.xywh), regions, overlap, kinds=("ioa",))
    excused = np.zeros(len(own), bool)
    excused[covered.dt[covered.overlap > overlap]] = True
    return _Class(wanted, small, own, part, excused)


def _precision(case: Case, parts: _Class) -> FloatArray | None:
    """Return the precision (41,) that falls with recall; None where there is no object."""
    n_objects = int(parts.wanted.sum())
    if not n_objects:
        return None
    score = case.dt.score
    # the truth boxes choose by the overlap of a pair, which is the score here
    chosen = _choose(Pairs(parts.pairs.dt, parts.pairs.gt, score[parts.pairs.gt]), parts, len(score))
    tp = parts.wanted[chosen.dt] & ~parts.small[chosen.gt]
    precision = np.zeros(_POINTS)
    for i, threshold in enumerate(_thresholds(np.sort(score[chosen.gt[tp]])[::-1], n_objects)):
        pairs = parts.pairs.take(score[parts.pairs.gt] >= threshold)
        chosen = _choose(pairs, parts, len(score), prefer=~parts.small[pairs.gt])
        n_tp = int((parts.wanted[chosen.dt] & ~parts.small[chosen.gt]).sum())
        fp = parts.own & (score >= threshold) & ~parts.excused
        fp[chosen.gt] = False
        precision[i] = n_tp / max(1, n_tp + int(fp.sum()))
    return np.maximum.accumulate(precision[::-1])[::-1]


def _choose(pairs: Pairs, parts: _Class, n_dt: int, *, prefer: BoolArray | None = None) -> Pairs:
    """Let the truth boxes in their order take the first of their detections that is free.

    Of those that are too low only the first in the file is considered, and after all others.
    """
    if prefer is not None:
        pairs = Pairs(pairs.dt, pairs.gt, np.where(prefer, pairs.overlap, -1.0))
    turn = np.arange(len(parts.wanted))
    return match_in_turn(in_turn(pairs, turn, first_wins=True), turn, n_dt)


def _thresholds(scores: FloatArray, n_objects: int) -> list[float]:
    """Choose at most 41 of the falling scores (H,) of true positives, whose recalls come nearest to equal steps."""
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
        _LEVEL: f"as stated, else 0 hidden is 0, up to {_LARGELY:g} is 1, more is 2",
    }
