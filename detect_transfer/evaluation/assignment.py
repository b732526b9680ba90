"""Pairs of detections and truth boxes, and the greedy assignment of COCO computed for all images at once.

COCO takes the detections in order of score and gives each the best truth box that is still free. All truth boxes rank
the detections alike (by score), so this equals a stable matching, which deferred acceptance finds in a few rounds over
whole arrays: every detection asks for its best box, each box keeps the highest score, the others ask for their next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from detect_transfer.core.arrays import BoolArray, FloatArray, IntArray

Kind = Literal["iou", "ioa"]

_PAIRS_AT_ONCE = 4_000_000  # bounds the memory to some 400 MB


@dataclass(frozen=True)
class Pairs:
    """Rows of detections (P,) and of truth boxes (P,) that overlap enough, with the overlap (P,) in [0, 1]."""

    dt: IntArray
    gt: IntArray
    overlap: FloatArray

    def take(self, which: IntArray | BoolArray) -> Pairs:
        """Return some of the pairs, by index or by mask."""
        return Pairs(self.dt[which], self.gt[which], self.overlap[which])

    def with_gt_rows(self, rows: IntArray) -> Pairs:
        """Return the pairs with truth boxes numbered as `rows` (T,), of which they were computed."""
        return Pairs(self.dt, rows[self.gt], self.overlap)


@dataclass(frozen=True)
class KeyedBoxes:
    """Boxes (N, 4) `x, y, w, h` in pixels, with the key (N,) that must be equal in a pair, such as image and class."""

    key: IntArray
    xywh: FloatArray

    @property
    def area(self) -> FloatArray:
        """Area (N,) in square pixels."""
        return np.asarray(self.xywh[:, 2] * self.xywh[:, 3])


def overlap_pairs(
    dt: KeyedBoxes, gt: KeyedBoxes, threshold: float, *, kinds: Sequence[Kind] = ("iou",)
) -> tuple[Pairs, ...]:
    """List the pairs with equal key that overlap enough, once for each kind of overlap.

    Args:
        dt: Detections.
        gt: Truth boxes.
        threshold: The least overlap; 1 is lowered by 1e-10 as COCO does.
        kinds: ``iou``: intersection over union; ``ioa``: over the area of the detection.

    Source:
        `maskApi.c: bbIou` of pycocotools 2.0.11; the order of the arithmetic is the same, so equal to the last digit.
    """
    parts: dict[Kind, list[Pairs]] = {kind: [] for kind in kinds}
    dt_area, gt_area = dt.area, gt.area
    for dt_rows, gt_rows, common in _intersections(dt, gt):
        for kind, pairs in parts.items():
            whole = dt_area[dt_rows]
            if kind == "iou":
                whole = whole + gt_area[gt_rows] - common
            overlap = np.divide(common, whole, out=np.zeros_like(common), where=whole > 0)
            pairs.append(Pairs(dt_rows, gt_rows, overlap).take(overlap >= min(threshold, 1 - 1e-10)))
    return tuple(joined(pairs) for pairs in parts.values())


def joined(parts: Sequence[Pairs]) -> Pairs:
    """Return the pairs of all parts, in their order."""
    parts = [Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)), *parts]
    dt, gt, overlap = (np.concatenate([getattr(part, name) for part in parts]) for name in ("dt", "gt", "overlap"))
    return Pairs(dt, gt, overlap)


def _intersections(dt: KeyedBoxes, gt: KeyedBoxes) -> Iterator[tuple[IntArray, IntArray, FloatArray]]:
    """Yield the detections, truth boxes and common areas (P,) of pairs with equal key that meet, in chunks."""
    order = np.argsort(gt.key, kind="stable")
    sorted_key = gt.key[order]
    begins = np.flatnonzero(starts(sorted_key))
    keys, length = sorted_key[begins], np.diff(np.append(begins, len(order)))
    at = np.searchsorted(keys, dt.key)
    has_key = np.append(keys, -1)[at] == dt.key  # keys are not negative
    low, count = np.append(begins, 0)[at], np.append(length, 0)[at] * has_key
    dt_end, gt_end = (boxes.xywh[:, :2] + boxes.xywh[:, 2:] for boxes in (dt, gt))
    for first, last in _chunks(count):
        dt_rows = np.repeat(np.arange(first, last), count[first:last])
        before = np.repeat(np.cumsum(count[first:last]) - count[first:last], count[first:last])
        gt_rows = order[low[dt_rows] + np.arange(len(dt_rows)) - before]
        common = np.ones(len(dt_rows))
        for axis in (0, 1):  # most pairs do not meet in the first, so the second is computed for few
            side = np.minimum(dt_end[dt_rows, axis], gt_end[gt_rows, axis]) - np.maximum(
                dt.xywh[dt_rows, axis], gt.xywh[gt_rows, axis]
            )
            meet = side > 0
            dt_rows, gt_rows, common = dt_rows[meet], gt_rows[meet], common[meet] * side[meet]
        positive = common > 0  # two tiny sides may multiply to nothing
        yield dt_rows[positive], gt_rows[positive], common[positive]


def _chunks(count: IntArray) -> Iterator[tuple[int, int]]:
    """Cut the detections into runs of at most `_PAIRS_AT_ONCE` pairs, or of one detection."""
    total = np.cumsum(count)
    first = 0
    while first < len(count):
        before = total[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(total, before + _PAIRS_AT_ONCE, side="right")))
        yield first, last
        first = last


def in_turn(pairs: Pairs, rank: IntArray, *, prefer: BoolArray | None = None, first_wins: bool = False) -> Pairs:
    """Sort pairs by the rank of the detection, then by falling overlap; of equal overlaps the later truth box first.

    Args:
        pairs: What may be matched.
        rank: (D,) the rank of every detection, from 0 without a tie.
        prefer: (P,) pairs that come before others of the same overlap.
        first_wins: Of equal overlaps the first truth box comes first, not the last.
    """
    several = np.bincount(pairs.dt)[pairs.dt] > 1 if len(pairs.dt) else np.empty(0, bool)
    single, many = np.flatnonzero(~several), np.flatnonzero(several)
    tie = pairs.gt[many] if first_wins else -pairs.gt[many]
    not_preferred = np.zeros(len(many), bool) if prefer is None else ~prefer[many]
    # most detections have one pair, which needs the last sort alone
    order = np.concatenate([single, many[np.lexsort((tie, not_preferred, -pairs.overlap[many]))]])
    return pairs.take(order[np.argsort(rank[pairs.dt[order]], kind="stable")])


def match_in_turn(pairs: Pairs, rank: IntArray, n_gt: int, *, unlimited: BoolArray | None = None) -> Pairs:
    """Give every detection, by rank, the first of its pairs whose truth box is free.

    Args:
        pairs: In the order of `in_turn`, which any choice of them keeps.
        rank: (D,) the rank of every detection.
        n_gt: How many truth boxes there are.
        unlimited: (n_gt,) truth boxes that stay free however many detections take them.

    Returns:
        At most one pair a detection and one a truth box, ordered by rank.

    Source:
        pycocotools 2.0.11, `COCOeval.evaluateImg`.
    """
    turn, gt = rank[pairs.dt], pairs.gt
    index = np.arange(len(gt))
    best = np.full(n_gt, len(rank), np.int64)  # the best rank that asked for each truth box so far
    while True:
        first = starts(turn)
        np.minimum.at(best, gt[first], turn[first])
        if unlimited is not None:
            best[unlimited] = len(rank)
        possible = turn <= best[gt]
        if possible.all():
            return pairs.take(index[first])
        turn, gt, index = turn[possible], gt[possible], index[possible]


def starts(keys: IntArray | FloatArray) -> BoolArray:
    """Return a mask (P,) of where another key than the one before begins."""
    first = np.ones(len(keys), bool)
    first[1:] = keys[1:] != keys[:-1]
    return first


def best_of_each(pairs: Pairs) -> Pairs:
    """Keep for each detection the pair with the largest overlap; of equal ones the later truth box."""
    order = np.lexsort((-pairs.gt, -pairs.overlap, pairs.dt))
    return pairs.take(order[starts(pairs.dt[order])])
