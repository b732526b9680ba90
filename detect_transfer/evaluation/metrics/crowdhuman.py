"""The three numbers of CrowdHuman: AP, miss rate and Jaccard index."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detect_transfer.core.annotations import XYXY, Detections
from detect_transfer.core.arrays import BoolArray, FloatArray, IntArray
from detect_transfer.evaluation.assignment import Pairs, starts
from detect_transfer.evaluation.case import Case, Overlaps
from detect_transfer.evaluation.metric_result import MetricResult, Sheet
from detect_transfer.evaluation.metrics.miss_rate import miss_rate
from detect_transfer.evaluation.metrics.protocol_boxes import prepared
from detect_transfer.evaluation.metrics.protocols import CROWDHUMAN
from detect_transfer.evaluation.outcomes import match_detections, ranked

_NO_OBJECT = "the truth has no object of it"
_THRESHOLDS = tuple(i / 10 for i in range(10))


def crowdhuman(case: Case) -> MetricResult:
    """Score AP, MR^-2 and JI as CrowdDet does: boxes are cut at the image, an overlap must be more than .5.

    AP is the area under the raw curve of precision, in straight lines from the first detection on. All detections
    count, so give them down to a score of .01 or .05.

    Source:
        CrowdDet, `lib/evaluate`.
    """
    _, overlaps = prepared(case, CROWDHUMAN)
    precision: dict[str, float | None] = dict.fromkeys(case.names)
    for rows in ranked(case, match_detections(case, overlaps, case.gt.is_object)):
        precision[case.names[rows.category]] = float(np.trapezoid(rows.precision, rows.recall))
    rates = miss_rate(case, "crowdhuman", CROWDHUMAN)
    jaccard, chosen = _jaccard(case, overlaps)
    sheet = Sheet()
    sheet.spread("AP", precision, _NO_OBJECT)
    for key, value in rates.values.items():
        sheet.put("MR" + key.removeprefix("all"), value, _NO_OBJECT)
    sheet.spread("JI", jaccard, _NO_OBJECT)
    bounds = {**rates.bounds, "JI_score_thresholds": list(_THRESHOLDS), "JI_best_score_threshold": chosen}
    return sheet.result("crowdhuman", bounds, rates.curves)


@dataclass(frozen=True)
class _Covered:
    """Detections (D,) and truth boxes (N,) that lie in a region by more than half."""

    dt: BoolArray
    gt: BoolArray


def _jaccard(case: Case, overlaps: Overlaps) -> tuple[dict[str, float | None], dict[str, float]]:
    """Return the Jaccard index of each class at its best threshold, and these thresholds."""
    gt = case.gt
    pairs = overlaps.iou.take(gt.is_object[overlaps.iou.gt])
    covered = _Covered(np.zeros(len(case.rank), bool), _objects_in_regions(case))
    covered.dt[overlaps.ioa.dt[gt.is_region[overlaps.ioa.gt]]] = True
    islands = _islands(pairs)
    ratios = []  # (threshold, class)
    for threshold in _THRESHOLDS:
        included = case.dt.score > threshold
        ratios.append(_mean_ratios(case, included, _most_overlap(islands, included), covered))
    at = np.argmax(ratios, axis=0)
    present = np.unique(gt.category[gt.is_object]).tolist()
    best: dict[str, float | None] = dict.fromkeys(case.names)
    best.update({case.names[k]: float(ratios[at[k]][k]) for k in present})
    return best, {case.names[k]: _THRESHOLDS[at[k]] for k in present}


def _objects_in_regions(case: Case) -> BoolArray:
    """Return a mask (N,) of the objects that lie in a region of their class or of every class."""
    gt = case.gt
    objects = np.flatnonzero(gt.is_object)
    rows = case.truth.boxes[objects].select("image_id", "category_id", *XYXY)
    as_detections = Case(case.truth, Detections(rows.with_columns(score=1.0)))
    _, overlaps = prepared(as_detections, CROWDHUMAN)
    inside = np.zeros(len(gt.image), bool)
    inside[objects[overlaps.ioa.dt[gt.is_region[overlaps.ioa.gt]]]] = True
    return inside


@dataclass(frozen=True)
class _Islands:
    """Pairs in groups (islands) that share no box, within them by falling overlap.

    Args:
        pairs: The pairs (P,).
        label: (P,) the island of each, rising.
        star: (P,) whether the island has a single box on a side, as most do; its best pair is then chosen.
    """

    pairs: Pairs
    label: IntArray
    star: BoolArray


def _islands(pairs: Pairs) -> _Islands:
    """Sort pairs into groups that share no box."""
    from scipy.sparse import coo_array  # type: ignore[import-untyped]
    from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

    if not len(pairs.dt):
        return _Islands(pairs, np.empty(0, np.int64), np.empty(0, bool))
    dt, left = np.unique(pairs.dt, return_inverse=True)
    truth, right = np.unique(pairs.gt, return_inverse=True)
    n = len(dt) + len(truth)
    graph = coo_array((np.ones(len(left)), (left, right + len(dt))), shape=(n, n))
    n_islands, label = connected_components(graph, directed=False)
    n_left, n_right = (np.bincount(part, minlength=n_islands) for part in np.split(label, [len(dt)]))
    of_pair = label[left]
    order = np.lexsort((-pairs.overlap, of_pair))
    return _Islands(pairs.take(order), of_pair[order], ((n_left == 1) | (n_right == 1))[of_pair[order]])


def _most_overlap(islands: _Islands, included: BoolArray) -> Pairs:
    """Choose pairs of the detections (D,) `included`, one to one, whose overlaps have the largest sum."""
    from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

    rows = np.flatnonzero(included[islands.pairs.dt])
    if not len(rows):
        return islands.pairs.take(rows)
    first = np.flatnonzero(starts(islands.label[rows]))
    ends = np.append(first[1:], len(rows))
    star = islands.star[rows[first]]
    chosen = [rows[first[star]]]
    for start, end in zip(first[~star].tolist(), ends[~star].tolist(), strict=True):
        part = rows[start:end]
        _, row = np.unique(islands.pairs.dt[part], return_inverse=True)
        _, column = np.unique(islands.pairs.gt[part], return_inverse=True)
        index = np.full((row.max() + 1, column.max() + 1), -1)
        index[row, column] = part
        weight = np.where(index >= 0, islands.pairs.overlap[index], 0.0)
        pairs = index[linear_sum_assignment(weight, maximize=True)]
        chosen.append(pairs[pairs >= 0])
    return islands.pairs.take(np.concatenate(chosen))


def _mean_ratios(case: Case, included: BoolArray, matched: Pairs, covered: _Covered) -> FloatArray:
    """Return for each class (K,) the mean over the images of pairs / (objects + detections - pairs)."""
    gt, dt, shape = case.gt, case.dt, (len(case.names), case.n_images)

    def count(category: IntArray, image: IntArray, which: BoolArray) -> FloatArray:
        cell = category[which] * shape[1] + image[which]
        return np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape).astype(float)

    is_matched, is_detected = np.zeros(len(included), bool), np.zeros(len(gt.image), bool)
    is_matched[matched.dt], is_detected[matched.gt] = True, True
    pairs = count(dt.category, dt.image, is_matched)
    detections = count(dt.category, dt.image, included & (is_matched | ~covered.dt))
    wanted = count(gt.category, gt.image, gt.is_object & (is_detected | ~covered.gt))
    either = detections + wanted
    ratio = np.divide(pairs, either - pairs, out=np.zeros(shape), where=either > 0)
    return np.asarray(ratio.sum(axis=1) / np.maximum(1, (either > 0).sum(axis=1)))
