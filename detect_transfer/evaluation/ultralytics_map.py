"""The mAP of ultralytics' validator, in numpy: its matching and its integration."""

from __future__ import annotations

import numpy as np

from detect_transfer.core.arrays import BoolArray, FloatArray
from detect_transfer.evaluation.assignment import KeyedBoxes, Pairs, in_turn, match_in_turn, overlap_pairs
from detect_transfer.evaluation.case import Case
from detect_transfer.evaluation.coco.threshold_matches import IOU_THRESHOLDS, ThresholdMatches, threshold_matches_of
from detect_transfer.evaluation.outcomes import RECALLS

SCORE_FLOOR = 0.001
MAX_DETECTIONS = 300  # an image, all classes together
_NEARLY = 0.499  # pairs from this overlap on are measured again in single precision
_EPSILON = np.float32(1e-7)


def match_as_ultralytics(case: Case) -> ThresholdMatches:
    """Match as ultralytics does: single precision, and of equal overlaps the first box; nothing is excused.

    Source:
        ultralytics 8.4.190, `utils/metrics.py: box_iou`, `engine/validator.py: match_predictions`. Older releases
        gave the boxes out by falling IoU instead of falling score.
    """
    gt, dt = case.gt, case.dt
    n, objects = max(1, len(case.names)), np.flatnonzero(gt.is_object)
    boxes = KeyedBoxes((gt.image * n + gt.category)[objects], gt.xywh[objects])
    (pairs,) = overlap_pairs(KeyedBoxes(dt.image * n + dt.category, dt.xywh), boxes, _NEARLY)
    pairs = pairs.with_gt_rows(objects)
    pairs = Pairs(pairs.dt, pairs.gt, _single_iou(dt.xywh[pairs.dt], gt.xywh[pairs.gt]))
    pairs = in_turn(pairs, case.rank, first_wins=True)
    tp = np.zeros((len(IOU_THRESHOLDS), len(case.rank)), bool)
    for at, threshold in enumerate(IOU_THRESHOLDS.astype(np.float32)):
        tp[at, match_in_turn(pairs.take(pairs.overlap >= threshold), case.rank, len(gt.image)).dt] = True
    return threshold_matches_of(case, tp, np.ones_like(tp))


def interpolated_ap(matches: ThresholdMatches) -> FloatArray:
    """Return AP (K, T) by the trapezoids under 101 points that are interpolated; NaN for a class without an object.

    A perfect detector has .995, as the curve is drawn down to precision 0 behind the last recall.

    Source:
        ultralytics 8.4.190, `utils/metrics.py: compute_ap` and `ap_per_class`.
    """
    n_objects = matches.objects.sum(axis=0)
    bounds = np.searchsorted(matches.category, np.arange(len(n_objects) + 1))
    ap = np.full((len(n_objects), len(IOU_THRESHOLDS)), np.nan)
    for k in np.flatnonzero(n_objects):
        tp = matches.tp[:, bounds[k] : bounds[k + 1]]
        ap[k] = [_trapezoids(row, int(n_objects[k])) for row in tp]
    return ap


def _trapezoids(tp: BoolArray, n_objects: int) -> float:
    """Return the area of one curve; `tp` (C,) by falling score."""
    if not len(tp):
        return 0.0
    n_tp = np.cumsum(tp)
    recall, precision = n_tp / n_objects, n_tp / np.arange(1, len(tp) + 1)
    recall = np.concatenate([[0.0], recall, [recall[-1], 1.0]])
    precision = np.concatenate([[1.0], precision, [0.0, 0.0]])
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.trapezoid(np.interp(RECALLS, recall, precision), RECALLS))


def _single_iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the overlap (P,) of pairs of boxes x, y, w, h (P, 4), computed in single precision."""
    low, high = (
        [x[:, :2].astype(np.float32) for x in (a, b)],
        [(x[:, :2] + x[:, 2:]).astype(np.float32) for x in (a, b)],
    )
    sides = np.maximum(np.minimum(*high) - np.maximum(*low), 0)
    common = sides[:, 0] * sides[:, 1]
    areas = [(x2 - x1).prod(axis=1) for x1, x2 in zip(low, high, strict=True)]
    return np.asarray(common / (areas[0] + areas[1] - common + _EPSILON))
