"""What becomes of each detection under a protocol, and the curves that follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from detect_transfer.core.arrays import BoolArray, FloatArray, IntArray
from detect_transfer.evaluation.assignment import Pairs, match_in_turn, starts
from detect_transfer.evaluation.case import Case, Overlaps

RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True)
class MatchOutcomes:
    """What every detection is, in row order.

    Args:
        tp: (D,) it is a true positive.
        counted: (D,) it is a true or a false positive: neither excused nor left out.
        overlap: (D,) IoU of a true positive with its object, else 0.
        n_objects: (K,) how many objects each class has.
    """

    tp: BoolArray
    counted: BoolArray
    overlap: FloatArray
    n_objects: IntArray


@dataclass(frozen=True)
class Ranked:
    """The counted detections of one class, by rank.

    Args:
        category: Position of the class in `Case.names`.
        rows: (C,) rows of the detections.
        tp: (C,) which are true positives.
        n_objects: How many objects there are.
    """

    category: int
    rows: IntArray
    tp: BoolArray
    n_objects: int

    @property
    def recall(self) -> FloatArray:
        """Share (C,) of the objects that are detected so far."""
        return np.asarray(np.cumsum(self.tp) / self.n_objects)

    @property
    def precision(self) -> FloatArray:
        """Share (C,) of true positives so far."""
        return np.asarray(np.cumsum(self.tp) / np.arange(1, len(self.tp) + 1))


def match_detections(
    case: Case,
    overlaps: Overlaps,
    objects: BoolArray,
    *,
    included: BoolArray | None = None,
    by_iou: BoolArray | None = None,
) -> MatchOutcomes:
    """Match detections by rank to free objects by IoU; the rest is excused by the truth boxes that are no objects.

    Args:
        case: What is scored.
        overlaps: Pairs that may match or excuse.
        objects: (N,) truth boxes that are objects; every other one excuses any number of detections.
        included: (D,) detections that take part; None: all.
        by_iou: (N,) truth boxes that excuse by IoU; the others do by intersection over the detection.
    """
    included = np.ones(len(case.rank), bool) if included is None else included
    iou, ioa = (p.take(included[p.dt]) for p in (overlaps.iou, overlaps.ioa))
    matched = match_in_turn(iou.take(objects[iou.gt]), case.rank, len(objects))
    excused = np.zeros(len(included), bool)
    by_iou = np.zeros(len(objects), bool) if by_iou is None else by_iou
    excused[ioa.dt[(~objects & ~by_iou)[ioa.gt]]] = True
    excused[iou.dt[(~objects & by_iou)[iou.gt]]] = True
    return outcomes_of(case, matched, objects, left_out=excused | ~included)


def outcomes_of(case: Case, matched: Pairs, objects: BoolArray, *, left_out: BoolArray) -> MatchOutcomes:
    """Make `MatchOutcomes` of the matched pairs; of the other detections those (D,) `left_out` do not count."""
    tp, overlap = np.zeros(len(case.rank), bool), np.zeros(len(case.rank))
    tp[matched.dt], overlap[matched.dt] = True, matched.overlap
    return MatchOutcomes(
        tp=tp,
        counted=tp | ~left_out,
        overlap=overlap,
        n_objects=np.bincount(case.gt.category[objects], minlength=len(case.names)),
    )


def ranked(case: Case, outcomes: MatchOutcomes) -> Iterator[Ranked]:
    """Yield the counted detections of each class that has objects."""
    rows = case.by_class[outcomes.counted[case.by_class]]
    bounds = np.searchsorted(case.dt.category[rows], np.arange(len(case.names) + 1))
    for k in np.flatnonzero(outcomes.n_objects).tolist():
        part = rows[bounds[k] : bounds[k + 1]]
        yield Ranked(k, part, outcomes.tp[part], int(outcomes.n_objects[k]))


def last_of_score(score: FloatArray) -> BoolArray:
    """Return a mask (C,) of the last detection of each score, as a threshold takes all of one score together."""
    return np.roll(starts(score), -1)


def average_precision_101(at: IntArray, n_objects: int) -> float:
    """Return the mean precision at recall 0, 0.01, ... 1.

    Args:
        at: (H,) how many counted detections come before each true positive, rising.
        n_objects: How many objects there are.

    Source:
        pycocotools 2.0.11, `COCOeval.accumulate`.
    """
    if not len(at):
        return 0.0
    n_tp = np.arange(1, len(at) + 1)
    precision = np.maximum.accumulate((n_tp / (at + 1))[::-1])[::-1]
    reached = np.searchsorted(n_tp / n_objects, RECALLS, side="left")
    return float(np.append(precision, 0.0)[np.minimum(reached, len(at))].mean())
