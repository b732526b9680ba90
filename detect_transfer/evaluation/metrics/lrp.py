"""Localisation recall precision error: how far boxes, precision and recall are from perfect."""

from __future__ import annotations

import numpy as np

from detect_transfer.evaluation.case import Case
from detect_transfer.evaluation.metric_result import MetricResult, Sheet
from detect_transfer.evaluation.outcomes import MatchOutcomes, Ranked, last_of_score, match_detections, ranked

_TAU = 0.5
_NO_OBJECT = "the truth has no object of it"
_NO_TP = "nothing of it was detected"


def lrp(case: Case) -> MetricResult:
    """Score oLRP, the least LRP over all score thresholds, in [0, 1]; lower is better, 1 without a true positive.

    `localisation` is the mean of 1 - IoU of the true positives, `fp` 1 - precision and `fn` 1 - recall, all at the
    threshold that is best for the class.

    Source:
        Oksuz et al., Localization Recall Precision (LRP), ECCV 2018.
    """
    outcomes = match_detections(case, case.overlaps, case.gt.is_object)
    rows: dict[str, dict[str, float | None]] = {
        part: dict.fromkeys(case.names) for part in ("oLRP", "localisation", "fp", "fn", "threshold")
    }
    for part in ranked(case, outcomes):
        for column, value in _best(case, part, outcomes).items():
            rows[column][case.names[part.category]] = value
    sheet = Sheet()
    sheet.spread("oLRP", rows["oLRP"], _NO_OBJECT)
    for column in ("localisation", "fp", "fn"):
        sheet.spread(column, rows[column], f"{_NO_OBJECT}, or {_NO_TP}")
    for name, value in rows["threshold"].items():
        sheet.put(f"score_threshold/{name}", value, f"{_NO_OBJECT}, or {_NO_TP}")
    return sheet.result("lrp", {"overlap": f">= {_TAU:g}"})


def _best(case: Case, part: Ranked, outcomes: MatchOutcomes) -> dict[str, float | None]:
    if not part.tp.any():
        return {"oLRP": 1.0, "localisation": None, "fp": None, "fn": None, "threshold": None}
    score = case.dt.score[part.rows]
    last = last_of_score(score)
    tp = np.cumsum(part.tp)[last]
    fp = np.cumsum(~part.tp)[last]
    apart = np.cumsum(np.where(part.tp, 1 - outcomes.overlap[part.rows], 0.0))[last]
    error = (apart / (1 - _TAU) + fp + part.n_objects - tp) / (fp + part.n_objects)
    at = int(np.argmin(error))
    return {
        "oLRP": min(1.0, float(error[at])),
        "localisation": float(apart[at] / tp[at]) if tp[at] else None,
        "fp": float(fp[at] / (fp[at] + tp[at])),
        "fn": float(1 - tp[at] / part.n_objects),
        "threshold": float(score[last][at]),
    }
