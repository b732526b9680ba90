"""Scoring: COCO AP, matching, and the protocols of the data sets.

Needs two tables and neither torch nor a model. A metric is one function from `Case` to `MetricResult` and one line in
`METRICS`.
"""

from __future__ import annotations

from detect_transfer.evaluation.arrays import IgnorePolicy, parse_ignore_policy
from detect_transfer.evaluation.case import Case
from detect_transfer.evaluation.coco.accumulate import METRIC_NAMES
from detect_transfer.evaluation.coco.bootstrap import N_DRAWS
from detect_transfer.evaluation.coco.intervals import Intervals, score_intervals
from detect_transfer.evaluation.coco.result import ClassScores, Curve, Scores
from detect_transfer.evaluation.coco.scores import coco_metrics, score, score_case
from detect_transfer.evaluation.matching import Confusion, Matches, confusion, match, match_case
from detect_transfer.evaluation.metric_result import MetricResult
from detect_transfer.evaluation.metrics.calibration import apply_temperature, fit_temperature
from detect_transfer.evaluation.metrics.operating_points import operating_points
from detect_transfer.evaluation.metrics.slices import slice_rows
from detect_transfer.evaluation.registry import METRICS, METRICS_OF_DATA, evaluate_metrics, metrics_of_data
from detect_transfer.evaluation.threshold_curves import (
    OperatingPoint,
    ThresholdCurve,
    best_f1_threshold,
    threshold_curve,
)

__all__ = [
    "METRICS",
    "METRICS_OF_DATA",
    "METRIC_NAMES",
    "N_DRAWS",
    "Case",
    "ClassScores",
    "Confusion",
    "Curve",
    "IgnorePolicy",
    "Intervals",
    "Matches",
    "MetricResult",
    "OperatingPoint",
    "Scores",
    "ThresholdCurve",
    "apply_temperature",
    "best_f1_threshold",
    "coco_metrics",
    "confusion",
    "evaluate_metrics",
    "fit_temperature",
    "match",
    "match_case",
    "metrics_of_data",
    "operating_points",
    "parse_ignore_policy",
    "score",
    "score_case",
    "score_intervals",
    "slice_rows",
    "threshold_curve",
]
