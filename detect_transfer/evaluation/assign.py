"""Pairs of detections and truth boxes, and the greedy assignment of COCO computed for all images at once.

COCO takes the detections in order of score and gives each the best truth box that is still free. All truth boxes rank
the detections alike (by score), so this equals a stable matching, which deferred acceptance finds in a few rounds over
whole arrays: every detection asks for its best box, each box keeps the highest score, the others ask for their next.

Imports numpy alone.
"""

from __future__ import annotations

from collections.abc import Iterator
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
        pycocotools 2.0.11, `maskApi.c: bbIou` (the order of the arithmetic is the same, so equal to the last digit).
    """
    order = np.argsort(truth_key, kind="stable")
    sorted_key = truth_key[order]
    low = np.searchsorted(sorted_key, found_key, side="left")
    count = np.searchsorted(sorted_key, found_key, side="right") - low
    kept: list[Pairs] = []
    for first, last in _chunks(count):
        found = np.repeat(np.arange(first, last), count[first:last])
        within = np.arange(len(found)) - np.repeat(np.cumsum(count[first:last]) - count[first:last], count[first:last])
        truth = order[low[found] + within]
        overlap = _overlap(found_xywh[found], truth_xywh[truth], by_own_area=by_own_area)
        enough = overlap >= min(threshold, 1 - 1e-10)
        kept.append(Pairs(found[enough], truth[enough], overlap[enough]))
    if not kept:
        return Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    return Pairs(*(np.concatenate([getattr(k, name) for k in kept]) for name in ("found", "truth", "overlap")))


def _chunks(count: IntArray) -> Iterator[tuple[int, int]]:
    """Cut the detections into runs of at most `_PAIRS_AT_ONCE` pairs, or of one detection."""
    total = np.cumsum(count)
    first = 0
    while first < len(count):
        before = total[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(total, before + _PAIRS_AT_ONCE, side="right")))
        yield first, last
        first = last


def _overlap(a: FloatArray, b: FloatArray, *, by_own_area: bool) -> FloatArray:
    """Return the overlap (P,) row by row of boxes `a` and `b` (P, 4), `xywh`."""
    width = np.minimum(a[:, 0] + a[:, 2], b[:, 0] + b[:, 2]) - np.maximum(a[:, 0], b[:, 0])
    height = np.minimum(a[:, 1] + a[:, 3], b[:, 1] + b[:, 3]) - np.maximum(a[:, 1], b[:, 1])
    common = np.where((width > 0) & (height > 0), width * height, 0.0)
    own = a[:, 2] * a[:, 3]
    whole = own if by_own_area else own + b[:, 2] * b[:, 3] - common
    return np.divide(common, whole, out=np.zeros_like(common), where=common > 0)


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
    rank_of = np.empty(len(score), np.int64)
    rank_of[np.argsort(-score, kind="stable")] = np.arange(len(score))
    less_wanted = np.zeros(len(pairs.found), bool) if prefer is None else ~prefer
    order = np.lexsort((-pairs.truth, less_wanted, -pairs.overlap, rank_of[pairs.found]))
    rank, truth = rank_of[pairs.found][order], pairs.truth[order]
    holder = np.full(n_truth, len(score), np.int64)  # the best rank that asked for each truth box so far
    while True:
        first = np.ones(len(rank), bool)
        first[1:] = rank[1:] != rank[:-1]
        np.minimum.at(holder, truth[first], rank[first])
        open_still = rank <= holder[truth]
        if open_still.all():
            break
        rank, truth, order = rank[open_still], truth[open_still], order[open_still]
    chosen = order[first]
    return Pairs(pairs.found[chosen], pairs.truth[chosen], pairs.overlap[chosen])


def best_of_each(pairs: Pairs) -> Pairs:
    """Keep for each detection the pair with the largest overlap; of equal ones the later truth box."""
    order = np.lexsort((-pairs.truth, -pairs.overlap, pairs.found))
    found = pairs.found[order]
    first = np.ones(len(found), bool)
    first[1:] = found[1:] != found[:-1]
    chosen = order[first]
    return Pairs(pairs.found[chosen], pairs.truth[chosen], pairs.overlap[chosen])
