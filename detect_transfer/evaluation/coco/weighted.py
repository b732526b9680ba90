"""AP of a case whose images count several times or not at all: matched once, then re-weighted in whole arrays.

A draw of the bootstrap gives each unit (an image, or a group of images) a whole number. Precision is needed at
the true positives alone, so the false positives between two of them are added up by one sparse product for all draws.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect_transfer.core.arrays import FloatArray, IntArray
from detect_transfer.evaluation.coco.threshold_matches import IOU_THRESHOLDS, ThresholdMatches
from detect_transfer.evaluation.outcomes import RECALLS

# (B, U) how often each draw has each unit: small, as 1,000 draws of 100,000 images are many
Weights = NDArray[np.uint16]
# numbers of one class in one array: keeps it near the processor, and the memory of all threads within bounds
_NUMBERS_AT_ONCE, _FEWEST_DRAWS, _MOST_DRAWS = 1 << 21, 16, 256
_BLOCK = 16


@dataclass(frozen=True)
class _AtThreshold:
    """What one class needs at one IoU threshold.

    Args:
        tp: (H,) the events that are true positives at it.
        further: (H, U) how many detections of each unit are between the true positive before and each one, of those
            that count at this threshold but not at all; None where there is none.
    """

    tp: IntArray
    further: Any


@dataclass(frozen=True)
class _OfClass:
    """What the draws of one class have in common.

    Args:
        unit: (E,) the unit of each event, a detection that is a true positive at some IoU threshold, by falling score.
        always: (E, U) how many detections of each unit are between the event before and each event, that one
            included, of those that count at every threshold.
        at: One for each IoU threshold.
    """

    unit: IntArray
    always: Any
    at: tuple[_AtThreshold, ...]


def weighted_ap(matches: ThresholdMatches, weights: Weights) -> FloatArray:
    """Return AP (B, K, T) of each draw, class and IoU threshold; NaN where a draw has no object of the class.

    Equal to scoring a table in which each image stands as often as it weighs, also where scores are equal.

    Args:
        matches: The matched case.
        weights: (B, U) how often each unit is drawn.

    Source:
        pycocotools 2.0.11, `COCOeval.accumulate`.
    """
    matches, copied, number = _with_copies_of_ties(matches, weights)
    bounds = np.searchsorted(matches.category, np.arange(matches.objects.shape[1] + 1)).tolist()
    classes = [_of_class(matches, slice(*ends)) for ends in pairwise(bounds)]

    def score(draws: Weights) -> FloatArray:
        copies = draws.T[copied] > number[:, None]
        by_unit = np.concatenate([draws.T, copies], dtype=np.float32)  # (U + V, B), whole numbers: nothing is lost
        n_objects = (objects.T @ by_unit).T.astype(np.float64)
        ap = [_class_ap(part, by_unit, n) for part, n in zip(classes, n_objects.T, strict=True)]
        return np.where(n_objects[..., None] > 0, np.stack(ap, axis=1), np.nan)

    objects = matches.objects.astype(np.float32)
    if not classes:
        return np.empty((len(weights), 0, len(IOU_THRESHOLDS)))
    largest = max(len(part.unit) for part in classes)
    step = max(_FEWEST_DRAWS, min(_MOST_DRAWS, _NUMBERS_AT_ONCE // max(1, largest)))
    chunks = [weights[first : first + step] for first in range(0, len(weights), step)]
    with ThreadPoolExecutor() as pool:  # numpy lets go of the interpreter within whole arrays
        return np.concatenate(list(pool.map(score, chunks)))


def _with_copies_of_ties(matches: ThresholdMatches, weights: Weights) -> tuple[ThresholdMatches, IntArray, IntArray]:
    """Write the tied detections of an image and class, where not all are true positives, once for each of its copies.

    Copies of an image stand whole behind each other. Weighing them instead would put all copies of a first true
    positive before the false positive that is tied with it, so that every draw scored higher than the images do.

    Returns:
        The matches with V further units, the copies; the unit (V,) that each copies; and its number (V,) from 0: it is
        in a draw where the unit weighs more.
    """
    key = np.stack([matches.category, matches.score, matches.image])
    starts = np.flatnonzero(np.append(True, (np.diff(key) != 0).any(axis=0))[: key.shape[1]])
    run = np.searchsorted(starts, np.arange(key.shape[1]), side="right") - 1
    unlike = (matches.tp != matches.tp[:, starts[run]]).any(axis=0)
    tied = np.isin(run, run[unlike])
    most = weights.max(axis=0, initial=0).astype(np.int64)
    if not tied.any() or most.max() <= 1:
        nothing = np.empty(0, np.int64)
        return matches, nothing, nothing
    units = np.unique(matches.unit[tied])
    copied = np.repeat(units, most[units])
    first = len(most) + np.searchsorted(copied, np.arange(len(most)))  # the first copy of each unit
    times = np.where(tied, most[matches.unit], 1)
    rows = np.repeat(np.arange(len(run)), times)
    number = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
    order = np.lexsort((rows, number, run[rows]))
    rows, number = rows[order], number[order]
    written = ThresholdMatches(
        unit=np.where(tied[rows], first[matches.unit[rows]] + number, matches.unit[rows]),
        category=matches.category[rows],
        image=matches.image[rows],
        score=matches.score[rows],
        tp=matches.tp[:, rows],
        counted=matches.counted[:, rows],
        objects=np.pad(matches.objects, ((0, len(copied)), (0, 0))),
    )
    return written, copied, np.arange(len(copied)) - (first[copied] - len(most))


def _of_class(matches: ThresholdMatches, rows: slice) -> _OfClass:
    tp, counted, unit = matches.tp[:, rows], matches.counted[:, rows], matches.unit[rows]
    events = np.flatnonzero(tp.any(axis=0))
    always = counted.all(axis=0)

    def units_before(which: IntArray, ends: IntArray) -> Any:
        """Count the detections of `which` (C,) by unit, between the one before and each of `ends` (E,)."""
        from scipy.sparse import coo_array  # type: ignore[import-untyped]

        cell = np.searchsorted(ends, which)  # the first end at or after each detection
        inside = cell < len(ends)
        ones = np.ones(int(inside.sum()), np.float32)
        return coo_array((ones, (cell[inside], unit[which[inside]])), shape=(len(ends), len(matches.objects))).tocsr()

    at = []
    for tp_at, counted_at in zip(tp, counted, strict=True):
        tp_events = np.flatnonzero(tp_at[events])
        further = np.flatnonzero(counted_at & ~always)
        at.append(_AtThreshold(tp_events, units_before(further, events[tp_events]) if len(further) else None))
    return _OfClass(unit[events], units_before(np.flatnonzero(always), events), tuple(at))


def _class_ap(part: _OfClass, by_unit: NDArray[np.float32], n_objects: FloatArray) -> FloatArray:
    """Return AP (B, T) of one class; where there is no object it means nothing."""
    ap = np.zeros((len(n_objects), len(part.at)))
    if not len(part.unit):
        return ap
    before = _added_up(part.always @ by_unit)
    weight = by_unit[part.unit]
    for t, at in enumerate(part.at):
        if len(at.tp):
            n = before[at.tp]
            if at.further is not None:
                n += _added_up(at.further @ by_unit)
            ap[:, t] = _mean_precision(_added_up(weight[at.tp]), n, n_objects)
    return ap


def _added_up(values: NDArray[np.float32]) -> FloatArray:
    """Return the sums (E, B) of all rows up to each one."""
    sums = values.astype(np.float64)
    _running(np.add, sums)
    return sums


def _mean_precision(tp: FloatArray, n: FloatArray, n_objects: FloatArray) -> FloatArray:
    """Return the mean (B,) of the precision at the 101 recalls.

    Args:
        tp: (E, B) true positives up to each one.
        n: (E, B) counted detections up to each one; overwritten.
        n_objects: (B,) objects; where 0, the result means nothing.
    """
    precision = np.divide(tp, np.maximum(n, 1, out=n), out=n)
    _running(np.maximum, precision[::-1])
    recall = np.divide(tp, np.maximum(n_objects, 1), out=tp)
    floor = (recall * 100 + 1e-6).astype(np.int64)
    reached = floor + (RECALLS.take(floor) <= recall)  # how many of the recalls are reached
    reached[1:] -= reached[:-1].copy()
    return np.asarray(np.einsum("eb,eb->b", precision, reached) / len(RECALLS))


def _running(step: np.ufunc, values: FloatArray) -> None:
    """Do what `step.accumulate` does along the first axis of values (E, B), in place.

    Row by row within blocks, for all blocks at once, then block by block: numpy goes down each column alone, which is
    several times slower.
    """
    n_whole = len(values) // _BLOCK * _BLOCK
    blocks = values[:n_whole].reshape(-1, _BLOCK, values.shape[1])
    for i in range(1, _BLOCK):
        step(blocks[:, i], blocks[:, i - 1], out=blocks[:, i])
    for i in range(1, len(blocks)):
        step(blocks[i], blocks[i - 1, -1], out=blocks[i])
    for i in range(max(1, n_whole), len(values)):
        step(values[i], values[i - 1], out=values[i])
