"""Pascal VOC average precision, by 11 points and by all points."""

from __future__ import annotations

import numpy as np

from detect_transfer.core.arrays import BoolArray
from detect_transfer.evaluation.assignment import Pairs, starts
from detect_transfer.evaluation.case import Case
from detect_transfer.evaluation.metric_result import MetricResult, Sheet
from detect_transfer.evaluation.outcomes import MatchOutcomes, Ranked, outcomes_of, ranked

_NO_OBJECT = "the truth has no object of it that is not difficult"


def voc(case: Case) -> MetricResult:
    """Score as Pascal VOC: a detection goes to the box of its class with the largest IoU, matched already or not.

    If that is difficult, the detection is left out; a second detection of one object is a false positive. VOC measures
    width as right - left + 1 of the last pixels, which is x2 - x1 of our exclusive edges, so the IoU is the same. Other
    ignored regions, which VOC has none of, excuse what would be a false positive.

    Source:
        VOCdevkit 2007 and 2012, `VOCevaldet.m`.
    """
    outcomes = _outcomes(case)
    eleven: dict[str, float | None] = dict.fromkeys(case.names)
    every: dict[str, float | None] = dict.fromkeys(case.names)
    for rows in ranked(case, outcomes):
        eleven[case.names[rows.category]] = ap_11(rows)
        every[case.names[rows.category]] = ap_all(rows)
    sheet = Sheet()
    sheet.spread("AP_11_point", eleven, _NO_OBJECT)
    sheet.spread("AP_all_point", every, _NO_OBJECT)
    return sheet.result("voc", {"iou": ">= 0.5 with the largest, matched already or not", "difficult": "left out"})


def ap_11(rows: Ranked) -> float:
    """Return the mean over recall 0, 0.1, ... 1 of the largest precision at that recall or more (VOC 2007)."""
    n_tp, precision = np.cumsum(rows.tp), rows.precision
    tenths = [precision[n_tp * 10 >= tenth * rows.n_objects] for tenth in range(11)]  # in whole numbers, so exact
    return float(sum(part.max(initial=0.0) for part in tenths) / 11)


def ap_all(rows: Ranked) -> float:
    """Return the area under the precision that is made to fall with recall (VOC 2010 and later)."""
    precision = np.maximum.accumulate(rows.precision[::-1])[::-1]
    return float(precision[rows.tp].sum() / rows.n_objects)


def _outcomes(case: Case) -> MatchOutcomes:
    gt = case.gt
    difficult = case.truth.boxes["difficult"].fill_null(False).to_numpy() & (gt.category >= 0)
    objects = gt.is_object & ~difficult
    pairs = _largest(case, objects | difficult)
    left_out = np.zeros(len(case.rank), bool)
    left_out[pairs.dt[difficult[pairs.gt]]] = True
    regions = ~objects & ~difficult
    left_out[case.overlaps.ioa.dt[regions[case.overlaps.ioa.gt]]] = True
    wanted = pairs.take(objects[pairs.gt])
    order = np.lexsort((case.rank[wanted.dt], wanted.gt))
    matched = wanted.take(order[starts(wanted.gt[order])])
    return outcomes_of(case, matched, objects, left_out=left_out)


def _largest(case: Case, boxes: BoolArray) -> Pairs:
    """Return for each detection the pair with the largest IoU; of equal ones the first box."""
    pairs = case.overlaps.iou.take(boxes[case.overlaps.iou.gt])
    order = np.lexsort((pairs.gt, -pairs.overlap, pairs.dt))
    return pairs.take(order[starts(pairs.dt[order])])
