"""Scoring: COCO AP, matching, operating points. Needs two tables and neither torch nor a model.

Imports only `errors`, `boxes`, `files`, `table` and its own room. A metric is one function on `Matches` and one line
in `METRICS`.
"""

from __future__ import annotations

from collections.abc import Callable

from detect_transfer.evaluation.coco import coco_metrics, score
from detect_transfer.evaluation.matching import Confusion, Matches, above, confusion, match
from detect_transfer.evaluation.metrics import f1, false_alarms_per_image, precision, recall
from detect_transfer.evaluation.policy import IgnorePolicy
from detect_transfer.evaluation.scores import METRIC_NAMES, ClassScores, Curve, Scores
from detect_transfer.evaluation.thresholds import OperatingPoint, ThresholdCurve, best_f1_threshold, threshold_curve

METRICS: dict[str, Callable[[Matches], float | None]] = {
    "f1": f1,
    "false_alarms_per_image": false_alarms_per_image,
    "precision": precision,
    "recall": recall,
}

__all__ = [
    "METRICS",
    "METRIC_NAMES",
    "ClassScores",
    "Confusion",
    "Curve",
    "IgnorePolicy",
    "Matches",
    "OperatingPoint",
    "Scores",
    "ThresholdCurve",
    "above",
    "best_f1_threshold",
    "coco_metrics",
    "confusion",
    "match",
    "score",
    "threshold_curve",
]
