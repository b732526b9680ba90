"""The protocols of the traffic sign benchmarks TT100K and GTSDB."""

from __future__ import annotations

import numpy as np

from detect_transfer.core.arrays import BoolArray, FloatArray, IntArray
from detect_transfer.core.errors import InputError
from detect_transfer.evaluation.assignment import Pairs, in_turn, joined, match_in_turn
from detect_transfer.evaluation.case import LEAST_OVERLAP, Case
from detect_transfer.evaluation.metric_result import Curves, MetricResult, Sheet
from detect_transfer.evaluation.outcomes import last_of_score, outcomes_of

_SIZES = {"all": (0.0, 400.0), "small": (0.0, 32.0), "medium": (32.0, 96.0), "large": (96.0, 400.0)}
_GTSDB_IOU = 0.6


def tt100k(case: Case, *, iou_threshold: float = 0.5, score_threshold: float = 0.4) -> MetricResult:
    """Score accuracy (precision) and recall by the longer side of the box, all classes together.

    Pairs of one class are made by falling IoU, one to one. An object whose size is out of the range is left out with
    the detection that it is paired with, a detection without a pair where its own size is. Ignored regions, which
    TT100K has none of, excuse detections without a pair.

    Args:
        case: What is scored.
        iou_threshold: What the IoU must be more than, in [.5, 1]; papers say .5, the code .75.
        score_threshold: Detections below it are dropped.

    Raises:
        InputError: The IoU is out of its range.

    Source:
        TT100K `anno_func.py`, `eval_annos`.
    """
    if not LEAST_OVERLAP <= iou_threshold <= 1:
        raise InputError(
            "THRESHOLD_RANGE",
            "the IoU of a pair must be in [.5, 1]",
            field="iou_threshold",
            value=iou_threshold,
            remedy="give .5 as the papers do, or .75 as the code of TT100K does",
        )
    gt, dt = case.gt, case.dt
    included = dt.score >= score_threshold
    pairs = case.overlaps.iou
    pairs = pairs.take(gt.is_object[pairs.gt] & included[pairs.dt] & (pairs.overlap > iou_threshold))
    partner = np.full(len(included), -1, np.int64)
    best = best_pairs(pairs, len(included), len(gt.image))
    partner[best.dt] = best.gt
    excusing = case.overlaps.ioa.take(gt.is_region[case.overlaps.ioa.gt])
    excused = np.zeros(len(included), bool)
    excused[excusing.dt] = True
    unpaired = included & (partner < 0) & ~excused
    gt_side, dt_side = gt.xywh[:, 2:].max(axis=1, initial=0), dt.xywh[:, 2:].max(axis=1, initial=0)
    sheet = Sheet()
    for name, (low, high) in _SIZES.items():
        objects = gt.is_object & _within(gt_side, low, high)
        n_tp = int(objects[best.gt].sum())
        n_fp = int((unpaired & _within(dt_side, low, high)).sum())
        _put_size(sheet, name, n_tp, n_tp + n_fp, int(objects.sum()))
    return sheet.result(
        "tt100k",
        {
            "overlap": f"> {iou_threshold:g}",
            "score_threshold": score_threshold,
            "sizes": {name: f"longer side [{low:g}, {high:g})" for name, (low, high) in _SIZES.items()},
        },
    )


def best_pairs(pairs: Pairs, n_dt: int, n_gt: int) -> Pairs:
    """Choose pairs one to one by falling overlap; of equal ones the first truth box, then the first detection."""
    order = np.lexsort((pairs.dt, pairs.gt, -pairs.overlap))
    pairs = pairs.take(order)
    chosen = []
    while len(pairs.dt):
        turn = np.arange(len(pairs.dt))
        first_dt, first_gt = np.full(n_dt, len(turn)), np.full(n_gt, len(turn))
        np.minimum.at(first_dt, pairs.dt, turn)
        np.minimum.at(first_gt, pairs.gt, turn)
        # a pair that is the first of both its boxes is chosen whatever else happens
        won = (first_dt[pairs.dt] == turn) & (first_gt[pairs.gt] == turn)
        chosen.append(pairs.take(won))
        gone_dt, gone_gt = np.zeros(n_dt, bool), np.zeros(n_gt, bool)
        gone_dt[pairs.dt[won]], gone_gt[pairs.gt[won]] = True, True
        pairs = pairs.take(~(gone_dt[pairs.dt] | gone_gt[pairs.gt]))
    return joined(chosen)


def _within(side: FloatArray, low: float, high: float) -> BoolArray:
    return np.asarray((side >= low) & (side < high))


def _put_size(sheet: Sheet, name: str, n_tp: int, n_dt: int, n_objects: int) -> None:
    """Note accuracy, recall and F1 of one range of sizes."""
    no_object = "no object has this size"
    accuracy = n_tp / n_dt if n_dt and n_objects else None
    recall = n_tp / n_objects if n_objects else None
    sheet.put(f"accuracy_{name}", accuracy, "nothing was detected in this size" if n_objects else no_object)
    sheet.put(f"recall_{name}", recall, no_object)
    sheet.put(f"f1_{name}", 2 * n_tp / (n_dt + n_objects) if n_objects else None, no_object)


def gtsdb(case: Case) -> MetricResult:
    """Score the area under precision against recall at IoU .6, one number for each supercategory.

    Within a supercategory the class does not matter; a sign of another one is neither target nor excused. Several
    detections of one sign count once: the best is a true positive, the others are left out. The area is that under
    straight lines between the points of all scores that occur, from recall 0 at the first precision.

    Source:
        Houben et al., Detection of Traffic Signs in Real-World Images, IJCNN 2013, section IV.
    """
    groups, group = _groups(case)
    gt, dt = case.gt, case.dt
    pairs = case.near
    pairs = pairs.take((pairs.overlap >= _GTSDB_IOU) & (group[gt.category[pairs.gt]] == group[dt.category[pairs.dt]]))
    matched = match_in_turn(in_turn(pairs, case.rank), case.rank, len(gt.image))
    left_out = np.zeros(len(dt.score), bool)
    left_out[pairs.dt] = True  # unless it is matched: a further detection of a sign
    regions = case.overlaps.ioa
    left_out[regions.dt[gt.is_region[regions.gt] & (regions.overlap >= _GTSDB_IOU)]] = True
    outcomes = outcomes_of(case, matched, gt.is_object, left_out=left_out)
    areas: dict[str, float | None] = {}
    curves: Curves = {}
    for g, name in enumerate(groups):
        rows = case.by_rank[(outcomes.counted & (group[dt.category] == g))[case.by_rank]]
        n_objects = int(outcomes.n_objects[group == g].sum())
        areas[name] = _area(outcomes.tp[rows], dt.score[rows], n_objects, curves, name) if n_objects else None
    sheet = Sheet()
    sheet.spread("AUC", areas, "the truth has no sign of it")
    return sheet.result("gtsdb", {"overlap": f">= {_GTSDB_IOU:g}", "further_detections_of_a_sign": "left out"}, curves)


def _groups(case: Case) -> tuple[list[str], IntArray]:
    """Return the names of the supercategories, and which of them (K,) each class is in; a class alone is its own."""
    rows = case.truth.categories.sort("category_id")
    names = rows["supercategory"].fill_null(rows["name"]).to_list()
    groups = list(dict.fromkeys(names))
    return groups, np.array([groups.index(name) for name in names], np.int64)


def _area(tp: BoolArray, score: FloatArray, n_objects: int, curves: Curves, name: str) -> float:
    """Return the area, and note the curve; detections are sorted by rank."""
    if not len(tp):
        return 0.0
    last = last_of_score(score)
    n_tp = np.cumsum(tp)[last]
    precision, recall = n_tp / (np.flatnonzero(last) + 1), n_tp / n_objects
    curves[name] = {"recall": recall.tolist(), "precision": precision.tolist()}
    return float(np.trapezoid(np.append(precision[0], precision), np.append(0.0, recall)))
