"""AP of a case whose images count several times or not at all: matched once, then re-weighted in whole arrays.

A draw of the bootstrap gives each unit (an image, or a group of images) a whole number. Precision only has to be known
at the hits, so the false alarms between two hits are added up by one sparse product for all draws together. Imports its
own room.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detect_transfer.evaluation.assign import take_turns
from detect_transfer.evaluation.case import Case
from detect_transfer.evaluation.fates import RECALLS
from detect_transfer.evaluation.policy import BoolArray, FloatArray, IgnorePolicy, IntArray
from detect_transfer.table import AnnotationTable, Detections

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
_FEWEST_DRAWS_AT_ONCE, _NUMBERS_AT_ONCE = 250, 1 << 18  # keeps the arrays of a class in the cache
_BLOCK = 16


@dataclass(frozen=True)
class Marked:
    """The fate of every detection at every IoU threshold, sorted by class, within it by falling score and image.

    Args:
        unit: (D,) unit of the image of each detection.
        category: (D,) position of its class.
        image: (D,) position of its image.
        score: (D,) its score.
        hit: (T, D) whether it found an object.
        counted: (T, D) whether it is a hit or a false alarm.
        objects: (U, K) how many objects of each class each unit has.
    """

    unit: IntArray
    category: IntArray
    image: IntArray
    score: FloatArray
    hit: BoolArray
    counted: BoolArray
    objects: IntArray


def case_of(truth: AnnotationTable, detections: Detections, ignore_policy: IgnorePolicy) -> Case:
    """Return the case that scores as `coco.score` does under the policy, with `strict` spelt out in the boxes."""
    if ignore_policy == "strict":
        rows = truth.boxes.filter(pl.col("category_id").is_not_null()).with_columns(ignore=pl.lit(False))
        truth = truth.with_boxes(rows)
    return Case(truth, detections)


def units_of(truth: AnnotationTable) -> tuple[IntArray, int]:
    """Return the unit (N,) of each image in order of image_id, and how many units there are.

    Images of one `group` (a video, a sequence) are one unit, as they are not independent; an image without is its own.
    """
    images = truth.images.sort("image_id")
    own = pl.concat_str(pl.lit("\0"), pl.col("image_id"))  # no group can have this name
    key = images.select(pl.coalesce("group", own).alias("key"))["key"]
    _, first, unit = np.unique(key.to_numpy(), return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[unit], len(first)  # numbered as they come


def mark(case: Case, *, max_detections: int = 100) -> Marked:
    """Match at all ten IoU thresholds as COCO does for the area range `all`.

    Raises:
        InputError: The truth has no image, or a detection names an unknown id.

    Source:
        pycocotools 2.0.11, `COCOeval.evaluateImg`.
    """
    known = case.known
    kept = case.place_in_class < max_detections
    pairs = case.excusing.take(kept[case.excusing.found])
    regions = known.is_region[pairs.truth]
    hit, counted = (np.zeros((len(IOU_THRESHOLDS), len(kept)), bool) for _ in range(2))
    for at, threshold in enumerate(IOU_THRESHOLDS):
        enough = pairs.overlap >= threshold
        hits = take_turns(pairs.take(enough & ~regions), case.rank, len(known.image))
        hit[at, hits.found] = True
        excused = np.zeros(len(kept), bool)
        excused[pairs.found[enough & regions]] = True
        counted[at] = kept & (hit[at] | ~excused)
    return marked_of(case, hit, counted)


def marked_of(case: Case, hit: BoolArray, counted: BoolArray) -> Marked:
    """Sort what became of the detections, (T, D) in row order; those that never count are left out."""
    known, found = case.known, case.found
    unit, n_units = units_of(case.truth)
    objects = np.zeros((n_units, len(case.names)), np.int64)
    np.add.at(objects, (unit[known.image[known.is_object]], known.category[known.is_object]), 1)
    ever = np.asarray(counted.any(axis=0))
    rows = case.by_class[ever[case.by_class]]
    image = found.image[rows]
    return Marked(unit[image], found.category[rows], image, found.score[rows], hit[:, rows], counted[:, rows], objects)


def side_by_side(a: Marked, b: Marked) -> Marked:
    """Put two sets of detections of the same images into one, the units of `b` after those of `a`.

    Weights that give a unit of `a` what they take from the one of `b` choose, image by image, which set is scored.
    """
    n = len(a.objects)
    unit = np.concatenate([a.unit, b.unit + n])
    category, image, score = (
        np.concatenate([getattr(a, name), getattr(b, name)]) for name in ("category", "image", "score")
    )
    order = np.lexsort((image, -score, category))
    hit, counted = (np.concatenate([getattr(a, name), getattr(b, name)], axis=1) for name in ("hit", "counted"))
    return Marked(
        unit[order],
        category[order],
        image[order],
        score[order],
        hit[:, order],
        counted[:, order],
        np.concatenate([a.objects, b.objects]),
    )


def weighted_ap(marked: Marked, weights: FloatArray) -> FloatArray:
    """Return AP (B, K, T) of each draw, class and IoU threshold; NaN where a draw has no object of the class.

    Equal to scoring a table in which each image stands as often as it weighs; of equal scores, the copies of a
    detection follow each other.

    Args:
        marked: The matched case.
        weights: (B, U) whole numbers: how often each unit is drawn.

    Source:
        pycocotools 2.0.11, `COCOeval.accumulate`.
    """
    n_objects = weights @ marked.objects.astype(np.float64)  # (B, K)
    by_unit = np.ascontiguousarray(weights.T, dtype=np.float32)  # (U, B), whole numbers, so nothing is lost
    bounds = np.searchsorted(marked.category, np.arange(n_objects.shape[1] + 1))
    ap = np.full((*n_objects.shape, len(IOU_THRESHOLDS)), np.nan)
    for k in np.flatnonzero(n_objects.any(axis=0)):
        rows = slice(int(bounds[k]), int(bounds[k + 1]))
        there = n_objects[:, k] > 0
        ap[there, k] = _class_ap(marked, rows, by_unit, n_objects[:, k])[there]
    return ap


def _class_ap(marked: Marked, rows: slice, by_unit: NDArray[np.float32], n_objects: FloatArray) -> FloatArray:
    """Return AP (B, T) of one class."""
    hit, counted = marked.hit[:, rows], marked.counted[:, rows]
    events = np.flatnonzero(hit.any(axis=0))  # (E,) detections that hit at some threshold
    ap = np.zeros((len(n_objects), len(IOU_THRESHOLDS)))
    if not len(events):
        return ap
    last = events[-1] + 1
    unit, hit, counted = marked.unit[rows][:last], hit[:, :last], counted[:, :last]
    cell = np.searchsorted(events, np.arange(last))  # the first event at or after each detection
    always = counted.all(axis=0)
    before = _summed(cell[always], unit[always], len(events), by_unit)
    for at in range(len(IOU_THRESHOLDS)):
        now = np.flatnonzero(hit[at, events])
        further = counted[at] & ~always
        n = before[now]
        if further.any():
            n = n + _summed(cell[further], unit[further], len(events), by_unit)[now]
        if len(now):
            step = max(_FEWEST_DRAWS_AT_ONCE, _NUMBERS_AT_ONCE // len(now))
            for first in range(0, len(n_objects), step):
                draws = slice(first, first + step)
                found = _running(np.add, by_unit[unit[events[now]], draws].astype(np.float64))
                ap[draws, at] = _mean_precision(found, n[:, draws], n_objects[draws])
    return ap


def _summed(cell: IntArray, unit: IntArray, n_cells: int, by_unit: NDArray[np.float32]) -> FloatArray:
    """Return the weight (E, B) of all detections in the cells up to each one."""
    from scipy.sparse import coo_array  # type: ignore[import-untyped]

    ones = np.ones(len(cell), np.float32)
    table = coo_array((ones, (cell, unit)), shape=(n_cells, len(by_unit))).tocsr()
    return _running(np.add, (table @ by_unit).astype(np.float64))


def _mean_precision(found: FloatArray, n: FloatArray, n_objects: FloatArray) -> FloatArray:
    """Return the mean (B,) of the precision at the 101 recalls.

    Args:
        found: (E, B) hits up to each one.
        n: (E, B) counted detections up to each hit.
        n_objects: (B,) objects; where 0, the result means nothing.
    """
    precision = np.divide(found, n, out=np.zeros_like(found), where=n > 0)
    precision = _running(np.maximum, precision[::-1])[::-1]
    recall = found / np.maximum(n_objects, 1)
    place = (recall * 100 + 1e-6).astype(np.int64)
    reached = place + (RECALLS.take(place) <= recall)  # how many of the recalls are reached
    reached[1:] -= reached[:-1].copy()
    return np.asarray(np.einsum("eb,eb->b", precision, reached) / len(RECALLS))


def _running(step: np.ufunc, values: FloatArray) -> FloatArray:
    """Return `step.accumulate` along the first axis of values (E, B) >= 0.

    Block by block, as numpy goes down each column alone, which is several times slower.
    """
    n_rows, n_draws = values.shape
    n_blocks = -(-n_rows // _BLOCK)
    padded = np.zeros((n_blocks * _BLOCK, n_draws))
    padded[:n_rows] = values
    blocks = padded.reshape(n_blocks, _BLOCK, n_draws)
    for i in range(1, _BLOCK):
        step(blocks[:, i], blocks[:, i - 1], out=blocks[:, i])
    step(blocks[1:], step.accumulate(blocks[:-1, -1], axis=0)[:, None], out=blocks[1:])
    return padded[:n_rows]
