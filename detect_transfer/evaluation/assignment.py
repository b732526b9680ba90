"""Pairs of detections and truth boxes, and the greedy assignment of COCO computed for all images at once.

COCO takes the detections in order of score and gives each the best truth box that is still free. All truth boxes rank
the detections alike (by score), so this equals a stable matching, which deferred acceptance finds in a few rounds over
whole arrays: every detection asks for its best box, each box keeps the highest score, the others ask for their next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

_PAIRS_AT_ONCE = 4_000_000  # bounds the memory to some 400 MB


@dataclass(frozen=True)
class Pairs:
    """Rows of detections (P,) and of truth boxes (P,) that overlap enough, with the overlap (P,) in [0, 1]."""

    found: IntArray
    truth: IntArray
    overlap: FloatArray

    def take(self, which: IntArray | NDArray[np.bool_]) -> Pairs:
        """Return some of the pairs, by index or by mask."""
        return Pairs(self.found[which], self.truth[which], self.overlap[which])


def overlapping(
    found_key: IntArray,
    found_xywh: FloatArray,
    truth_key: IntArray,
    truth_xywh: FloatArray,
    *,
    threshold: float,
    by_own_area: bool = False,
) -> Pairs:
    """List the pairs with equal key whose overlap reaches the threshold.

    Args:
        found_key: (D,) what must be equal for a pair to be looked at, such as image and class in one number.
        found_xywh: (D, 4) boxes of the detections in pixels.
        truth_key: (T,) the same for the truth.
        truth_xywh: (T, 4) boxes of the truth.
        threshold: The least overlap; 1 is lowered by 1e-10 as COCO does.
        by_own_area: Divide the intersection by the area of the detection instead of the union.

    Source:
        `maskApi.c: bbIou` of pycocotools 2.0.11; the order of the arithmetic is the same, so equal to the last digit.
    """
    kept: list[Pairs] = []
    for found, truth, common in _meeting(found_key, found_xywh, truth_key, truth_xywh):
        whole = found_xywh[found, 2] * found_xywh[found, 3]
        if not by_own_area:
            whole = whole + truth_xywh[truth, 2] * truth_xywh[truth, 3] - common
        overlap = np.divide(common, whole, out=np.zeros_like(common), where=whole > 0)
        pairs = Pairs(found, truth, overlap)
        kept.append(pairs.take(pairs.overlap >= min(threshold, 1 - 1e-10)))
    return joined(kept)


def joined(parts: Sequence[Pairs]) -> Pairs:
    """Return the pairs of all parts, in their order."""
    nothing = Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    parts = [nothing, *parts]
    return Pairs(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("found", "truth", "overlap")))


def _meeting(
    found_key: IntArray, found_xywh: FloatArray, truth_key: IntArray, truth_xywh: FloatArray
) -> Iterator[tuple[IntArray, IntArray, FloatArray]]:
    """Yield the detections, truth boxes and common areas (P,) of pairs with equal key that meet, in chunks."""
    order = np.argsort(truth_key, kind="stable")
    sorted_key = truth_key[order]
    begins = np.flatnonzero(starts(sorted_key))
    keys, length = sorted_key[begins], np.diff(np.append(begins, len(order)))
    at = np.searchsorted(keys, found_key)
    there = np.append(keys, -1)[at] == found_key  # keys are not negative
    low, count = np.append(begins, 0)[at], np.append(length, 0)[at] * there
    ends = found_xywh[:, :2] + found_xywh[:, 2:], truth_xywh[:, :2] + truth_xywh[:, 2:]
    for first, last in _chunks(count):
        found = np.repeat(np.arange(first, last), count[first:last])
        within = np.arange(len(found)) - np.repeat(np.cumsum(count[first:last]) - count[first:last], count[first:last])
        truth = order[low[found] + within]
        common = np.ones(len(found))
        for axis in (0, 1):  # most pairs do not meet in the first, so the second is looked at for few
            side = np.minimum(ends[0][found, axis], ends[1][truth, axis]) - np.maximum(
                found_xywh[found, axis], truth_xywh[truth, axis]
            )
            meet = side > 0
            found, truth, common = found[meet], truth[meet], common[meet] * side[meet]
        positive = common > 0  # two tiny sides may multiply to nothing
        yield found[positive], truth[positive], common[positive]


def _chunks(count: IntArray) -> Iterator[tuple[int, int]]:
    """Cut the detections into runs of at most `_PAIRS_AT_ONCE` pairs, or of one detection."""
    total = np.cumsum(count)
    first = 0
    while first < len(count):
        before = total[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(total, before + _PAIRS_AT_ONCE, side="right")))
        yield first, last
        first = last


def assign(pairs: Pairs, score: FloatArray, n_truth: int, *, prefer: NDArray[np.bool_] | None = None) -> Pairs:
    """Give each detection the best free truth box, detections in order of score.

    Args:
        pairs: What may be matched.
        score: (D,) scores of all detections; of equal scores the earlier row goes first.
        n_truth: How many truth boxes there are.
        prefer: (P,) pairs that win over others of the same overlap.

    Returns:
        At most one pair a detection and one a truth box, ordered by score. Of equal overlaps the later truth box wins.

    Source:
        pycocotools 2.0.11, `COCOeval.evaluateImg`.
    """
    rank = np.empty(len(score), np.int64)
    rank[np.argsort(-score, kind="stable")] = np.arange(len(score))
    return take_turns(in_turn(pairs, rank, prefer=prefer), rank, n_truth)


def in_turn(
    pairs: Pairs, rank: IntArray, *, prefer: NDArray[np.bool_] | None = None, first_wins: bool = False
) -> Pairs:
    """Sort pairs by the turn of the detection, then by what it asks for first.

    Args:
        pairs: What may be matched.
        rank: (D,) the turn of every detection, from 0 without a tie.
        prefer: (P,) pairs that win over others of the same overlap.
        first_wins: Of equal overlaps the first truth box comes first, not the last.
    """
    several = np.bincount(pairs.found)[pairs.found] > 1 if len(pairs.found) else np.empty(0, bool)
    one, many = np.flatnonzero(~several), np.flatnonzero(several)
    tie = pairs.truth[many] if first_wins else -pairs.truth[many]
    less_wanted = np.zeros(len(many), bool) if prefer is None else ~prefer[many]
    # most detections have one pair, which asks for nothing but the last sort
    order = np.concatenate([one, many[np.lexsort((tie, less_wanted, -pairs.overlap[many]))]])
    return pairs.take(order[np.argsort(rank[pairs.found[order]], kind="stable")])


def take_turns(pairs: Pairs, rank: IntArray, n_truth: int, *, unlimited: NDArray[np.bool_] | None = None) -> Pairs:
    """Let every detection in turn take the first of its pairs whose truth box is free.

    Args:
        pairs: In the order of `in_turn`, which any choice of them keeps.
        rank: (D,) the turn of every detection.
        n_truth: How many truth boxes there are.
        unlimited: (n_truth,) truth boxes that stay free however many take them.
    """
    turn, truth = rank[pairs.found], pairs.truth
    index = np.arange(len(truth))
    holder = np.full(n_truth, len(rank), np.int64)  # the best rank that asked for each truth box so far
    while True:
        first = starts(turn)
        np.minimum.at(holder, truth[first], turn[first])
        if unlimited is not None:
            holder[unlimited] = len(rank)
        open_still = turn <= holder[truth]
        if open_still.all():
            return pairs.take(index[first])
        turn, truth, index = turn[open_still], truth[open_still], index[open_still]


def starts(keys: IntArray | FloatArray) -> NDArray[np.bool_]:
    """Tell (P,) where another key than the one before begins."""
    first = np.ones(len(keys), bool)
    first[1:] = keys[1:] != keys[:-1]
    return first


def best_of_each(pairs: Pairs) -> Pairs:
    """Keep for each detection the pair with the largest overlap; of equal ones the later truth box."""
    order = np.lexsort((-pairs.truth, -pairs.overlap, pairs.found))
    return pairs.take(order[starts(pairs.found[order])])
