"""Localisation recall precision error: how far boxes, alarms and misses are from perfect."""

from __future__ import annotations

import numpy as np

from detect_transfer.evaluation.case import Case
from detect_transfer.evaluation.metric_result import MetricResult, Sheet
from detect_transfer.evaluation.outcomes import MatchOutcomes, Ranked, match_detections, ranked

_TAU = 0.5
_NO_OBJECT = "the truth has no object of it"
_NO_HIT = "nothing of it was hit"


def lrp(case: Case) -> MetricResult:
    """Score oLRP, the least LRP over all score thresholds, in [0, 1]; lower is better, 1 where nothing was hit.

    `localisation` is the mean of 1 - IoU of the hits, `false_alarms` 1 - precision and `misses` 1 - recall, all at the
    threshold that is best for the class.

    Source:
        Oksuz et al., Localization Recall Precision (LRP), ECCV 2018.
    """
    fates = match_detections(case, case.overlaps, case.known.is_object)
    rows: dict[str, dict[str, float | None]] = {
        part: dict.fromkeys(case.names) for part in ("oLRP", "localisation", "false_alarms", "misses", "threshold")
    }
    for part in ranked(case, fates):
        for column, value in _best(case, part, fates).items():
            rows[column][case.names[part.category]] = value
    sheet = Sheet()
    sheet.spread("oLRP", rows["oLRP"], _NO_OBJECT)
    for column in ("localisation", "false_alarms", "misses"):
        sheet.spread(column, rows[column], f"{_NO_OBJECT}, or {_NO_HIT}")
    for name, value in rows["threshold"].items():
        sheet.put(f"score_threshold/{name}", value, f"{_NO_OBJECT}, or {_NO_HIT}")
    return sheet.result("lrp", {"overlap": f">= {_TAU:g}"})


def _best(case: Case, part: Ranked, fates: MatchOutcomes) -> dict[str, float | None]:
    if not part.hit.any():
        return {"oLRP": 1.0, "localisation": None, "false_alarms": None, "misses": None, "threshold": None}
    score = case.found.score[part.rows]
    last = np.append(score[1:] != score[:-1], True)  # a threshold takes all detections of one score together
    hits = np.cumsum(part.hit)[last]
    alarms = np.cumsum(~part.hit)[last]
    apart = np.cumsum(np.where(part.hit, 1 - fates.overlap[part.rows], 0.0))[last]
    error = (apart / (1 - _TAU) + alarms + part.n_objects - hits) / (alarms + part.n_objects)
    at = int(np.argmin(error))
    return {
        "oLRP": min(1.0, float(error[at])),
        "localisation": float(apart[at] / hits[at]) if hits[at] else None,
        "false_alarms": float(alarms[at] / (alarms[at] + hits[at])),
        "misses": float(1 - hits[at] / part.n_objects),
        "threshold": float(score[last][at]),
    }
