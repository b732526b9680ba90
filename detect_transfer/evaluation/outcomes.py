"""What becomes of each detection under a protocol, and the curves that follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from detect_transfer.evaluation.arrays import BoolArray, FloatArray, IntArray
from detect_transfer.evaluation.assignment import Pairs, take_turns
from detect_transfer.evaluation.case import Case, Overlaps

RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True)
class MatchOutcomes:
    """The fate of every detection, in row order.

    Args:
        hit: (D,) it found an object.
        counted: (D,) it is a hit or a false alarm: neither excused nor left out.
        overlap: (D,) IoU with the object that was hit, else 0.
        n_objects: (K,) how many objects of each class must be found.
    """

    hit: BoolArray
    counted: BoolArray
    overlap: FloatArray
    n_objects: IntArray


@dataclass(frozen=True)
class Ranked:
    """The counted detections of one class in order of their turn.

    Args:
        category: Position of the class in `Case.names`.
        rows: (C,) rows of the detections.
        hit: (C,) which are hits.
        n_objects: How many objects there are.
    """

    category: int
    rows: IntArray
    hit: BoolArray
    n_objects: int

    @property
    def recall(self) -> FloatArray:
        """Share (C,) of the objects found so far."""
        return np.asarray(np.cumsum(self.hit) / self.n_objects)

    @property
    def precision(self) -> FloatArray:
        """Share (C,) of hits so far."""
        return np.asarray(np.cumsum(self.hit) / np.arange(1, len(self.hit) + 1))


def match_detections(
    case: Case,
    overlaps: Overlaps,
    objects: BoolArray,
    *,
    kept: BoolArray | None = None,
    by_iou: BoolArray | None = None,
) -> MatchOutcomes:
    """Match detections in turn to free objects by IoU; the rest is excused by the truth boxes that are no objects.

    Args:
        case: What is scored.
        overlaps: Pairs that may match or excuse.
        objects: (N,) truth boxes that must be found; every other one excuses any number of detections.
        kept: (D,) detections that take part; None: all.
        by_iou: (N,) truth boxes that excuse by IoU; the others do by intersection over the detection.
    """
    kept = np.ones(len(case.rank), bool) if kept is None else kept
    iou, ioa = (p.take(kept[p.found]) for p in (overlaps.iou, overlaps.ioa))
    hits = take_turns(iou.take(objects[iou.truth]), case.rank, len(objects))
    excused = np.zeros(len(kept), bool)
    by_iou = np.zeros(len(objects), bool) if by_iou is None else by_iou
    excused[ioa.found[(~objects & ~by_iou)[ioa.truth]]] = True
    excused[iou.found[(~objects & by_iou)[iou.truth]]] = True
    return outcomes_of(case, hits, objects, left_out=excused | ~kept)


def outcomes_of(case: Case, hits: Pairs, objects: BoolArray, *, left_out: BoolArray) -> MatchOutcomes:
    """Make `MatchOutcomes` of the pairs that hit; of the others those (D,) `left_out` do not count."""
    hit, overlap = np.zeros(len(case.rank), bool), np.zeros(len(case.rank))
    hit[hits.found], overlap[hits.found] = True, hits.overlap
    return MatchOutcomes(
        hit=hit,
        counted=hit | ~left_out,
        overlap=overlap,
        n_objects=np.bincount(case.known.category[objects], minlength=len(case.names)),
    )


def ranked(case: Case, fates: MatchOutcomes) -> Iterator[Ranked]:
    """Yield the counted detections of each class that has objects."""
    rows = case.by_class[fates.counted[case.by_class]]
    bounds = np.searchsorted(case.found.category[rows], np.arange(len(case.names) + 1))
    for k in np.flatnonzero(fates.n_objects).tolist():
        part = rows[bounds[k] : bounds[k + 1]]
        yield Ranked(k, part, fates.hit[part], int(fates.n_objects[k]))


def average_precision_101(at: IntArray, n_objects: int) -> float:
    """Return the mean precision at recall 0, 0.01, ... 1.

    Args:
        at: (H,) how many counted detections come before each hit, rising.
        n_objects: How many objects there are.

    Source:
        pycocotools 2.0.11, `COCOeval.accumulate`.
    """
    if not len(at):
        return 0.0
    found = np.arange(1, len(at) + 1)
    precision = np.maximum.accumulate((found / (at + 1))[::-1])[::-1]
    reached = np.searchsorted(found / n_objects, RECALLS, side="left")
    return float(np.append(precision, 0.0)[np.minimum(reached, len(at))].mean())
