"""The protocols of the traffic sign benchmarks TT100K and GTSDB."""

from __future__ import annotations

import numpy as np

from detect_transfer.core.errors import InputError
from detect_transfer.evaluation.arrays import BoolArray, FloatArray, IntArray
from detect_transfer.evaluation.assignment import Pairs, joined, overlapping, starts, take_turns
from detect_transfer.evaluation.case import LEAST_OVERLAP, Case
from detect_transfer.evaluation.metric_result import Curves, MetricResult, Sheet
from detect_transfer.evaluation.outcomes import outcomes_of

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
    known, found = case.known, case.found
    kept = found.score >= score_threshold
    pairs = case.overlaps.iou
    pairs = pairs.take(known.is_object[pairs.truth] & kept[pairs.found] & (pairs.overlap > iou_threshold))
    partner = np.full(len(kept), -1, np.int64)
    best = best_pairs(pairs, len(kept), len(known.image))
    partner[best.found] = best.truth
    excusing = case.overlaps.ioa.take(known.is_region[case.overlaps.ioa.truth])
    excused = np.zeros(len(kept), bool)
    excused[excusing.found] = True
    unpaired = kept & (partner < 0) & ~excused
    truth_side, found_side = known.xywh[:, 2:].max(axis=1, initial=0), found.xywh[:, 2:].max(axis=1, initial=0)
    sheet = Sheet()
    for name, (low, high) in _SIZES.items():
        objects = known.is_object & _within(truth_side, low, high)
        right = int(objects[best.truth].sum())
        alarms = int((unpaired & _within(found_side, low, high)).sum())
        _put_size(sheet, name, right, right + alarms, int(objects.sum()))
    return sheet.result(
        "tt100k",
        {
            "overlap": f"> {iou_threshold:g}",
            "score_threshold": score_threshold,
            "sizes": {name: f"longer side [{low:g}, {high:g})" for name, (low, high) in _SIZES.items()},
        },
    )


def best_pairs(pairs: Pairs, n_found: int, n_truth: int) -> Pairs:
    """Choose pairs one to one by falling overlap; of equal ones the first truth box, then the first detection."""
    order = np.lexsort((pairs.found, pairs.truth, -pairs.overlap))
    pairs = pairs.take(order)
    chosen = []
    while len(pairs.found):
        turn = np.arange(len(pairs.found))
        first_found, first_truth = np.full(n_found, len(turn)), np.full(n_truth, len(turn))
        np.minimum.at(first_found, pairs.found, turn)
        np.minimum.at(first_truth, pairs.truth, turn)
        # a pair that is the first of both its boxes is taken whatever else happens
        won = (first_found[pairs.found] == turn) & (first_truth[pairs.truth] == turn)
        chosen.append(pairs.take(won))
        gone_found, gone_truth = np.zeros(n_found, bool), np.zeros(n_truth, bool)
        gone_found[pairs.found[won]], gone_truth[pairs.truth[won]] = True, True
        pairs = pairs.take(~(gone_found[pairs.found] | gone_truth[pairs.truth]))
    return joined(chosen)


def _within(side: FloatArray, low: float, high: float) -> BoolArray:
    return np.asarray((side >= low) & (side < high))


def _put_size(sheet: Sheet, name: str, right: int, n_found: int, n_objects: int) -> None:
    """Note accuracy, recall and F1 of one range of sizes."""
    no_object = "no object has this size"
    accuracy = right / n_found if n_found and n_objects else None
    recall = right / n_objects if n_objects else None
    sheet.put(f"accuracy_{name}", accuracy, "nothing was detected in this size" if n_objects else no_object)
    sheet.put(f"recall_{name}", recall, no_object)
    sheet.put(f"f1_{name}", 2 * right / (n_found + n_objects) if n_objects else None, no_object)


def gtsdb(case: Case) -> MetricResult:
    """Score the area under precision against recall at IoU .6, one number for each supercategory.

    Within a supercategory the class does not matter; a sign of another one is neither target nor excused. Several
    detections of one sign count once: the best is a hit, the others are left out. The area is that under straight lines
    between the points of all scores that occur, from recall 0 at the first precision.

    Source:
        Houben et al., Detection of Traffic Signs in Real-World Images, IJCNN 2013, section IV.
    """
    groups, group = _groups(case)
    known, found = case.known, case.found
    objects = np.flatnonzero(known.is_object)
    found_key = found.image * len(groups) + group[found.category]
    key = known.image[objects] * len(groups) + group[known.category[objects]]
    pairs = overlapping(found_key, found.xywh, key, known.xywh[objects], threshold=_GTSDB_IOU)
    pairs = Pairs(pairs.found, objects[pairs.truth], pairs.overlap)
    order = np.lexsort((-pairs.truth, -pairs.overlap, case.rank[pairs.found]))
    hits = take_turns(pairs.take(order), case.rank, len(known.image))
    left_out = np.zeros(len(found.score), bool)
    left_out[pairs.found] = True  # unless it hits: a further detection of a sign
    regions = case.overlaps.ioa
    left_out[regions.found[known.is_region[regions.truth] & (regions.overlap >= _GTSDB_IOU)]] = True
    fates = outcomes_of(case, hits, known.is_object, left_out=left_out)
    areas: dict[str, float | None] = {}
    curves: Curves = {}
    for g, name in enumerate(groups):
        rows = case.by_turn[(fates.counted & (group[found.category] == g))[case.by_turn]]
        n_objects = int(fates.n_objects[group == g].sum())
        areas[name] = _area(fates.hit[rows], found.score[rows], n_objects, curves, name) if n_objects else None
    sheet = Sheet()
    sheet.spread("AUC", areas, "the truth has no sign of it")
    return sheet.result("gtsdb", {"overlap": f">= {_GTSDB_IOU:g}", "further_hits_of_a_sign": "left out"}, curves)


def _groups(case: Case) -> tuple[list[str], IntArray]:
    """Return the names of the supercategories, and which of them (K,) each class is in; a class alone is its own."""
    rows = case.truth.categories.sort("category_id")
    names = rows["supercategory"].fill_null(rows["name"]).to_list()
    groups = list(dict.fromkeys(names))
    return groups, np.array([groups.index(name) for name in names], np.int64)


def _area(hit: BoolArray, score: FloatArray, n_objects: int, curves: Curves, name: str) -> float:
    """Return the area, and note the curve; detections are in turn."""
    if not len(hit):
        return 0.0
    last = np.roll(starts(score), -1)  # a threshold takes all detections of one score together
    hits = np.cumsum(hit)[last]
    precision, recall = hits / (np.flatnonzero(last) + 1), hits / n_objects
    curves[name] = {"recall": recall.tolist(), "precision": precision.tolist()}
    return float(np.trapezoid(np.append(precision[0], precision), np.append(0.0, recall)))
