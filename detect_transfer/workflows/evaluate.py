"""Scoring files: any detections against any truth, without a model and without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.core.io import new_folder, read_json, require_new, write_json
from detect_transfer.core.written_links import MANIFEST
from detect_transfer.data.load import GroundTruth
from detect_transfer.data.seen_images import read_scored
from detect_transfer.evaluation import (
    METRICS,
    N_DRAWS,
    Case,
    MetricResult,
    Scores,
    evaluate_metrics,
    metrics_of_data,
    parse_ignore_policy,
    score_case,
)
from detect_transfer.evaluation.class_order import exchanged_classes
from detect_transfer.evaluation.metrics.slices import choose_slices
from detect_transfer.formats.detections.resolve import DetectionOptions
from detect_transfer.formats.detections.writer import write_results
from detect_transfer.report.page import ReportData, write_report
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.thresholds import write_thresholds

SHOWN_SCORE = 0.25  # detections below it are neither drawn nor listed as false positives
_ON_EVERY_PAGE = ("slices", "tide", "calibration", "operating_points")
_CONVERTED = ("auto", "coco", "data_folder", "parquet", "yolo")  # what other formats are turned into


@dataclass(frozen=True)
class EvaluateOptions:
    """What is to be scored, and what is known of the detections.

    Args:
        metrics: Names of `METRICS`; None takes those of the data set, where the truth tells which one it is.
        slices: What to slice by, such as ``height``; None takes everything that the truth tells.
        detections: What is known of the file of detections.
        ignore_policy: Of COCO's numbers: ignored boxes are regions that excuse (`region`) or objects that must be found
            (`strict`).

    Raises:
        InputError: There is no such metric or policy.
    """

    metrics: Sequence[str] | None = None
    slices: Sequence[str] | None = None
    detections: DetectionOptions = field(default_factory=DetectionOptions)
    ignore_policy: str = "region"

    def __post_init__(self) -> None:
        """Check the names before anything takes time."""
        parse_ignore_policy(self.ignore_policy)
        for name in self.metrics or ():
            if name not in METRICS:
                raise InputError(
                    *("METRIC_UNKNOWN", "no metric has this name"),
                    field="--metrics",
                    value=name,
                    remedy=did_you_mean(name, list(METRICS)),
                )


def evaluate_files(
    truth: GroundTruth,
    detections: Path,
    out: Path,
    options: EvaluateOptions | None = None,
) -> Scores:
    """Score detections of any layout against a truth; write metrics, detections and the report.

    Raises:
        InputError: A file is missing or wrong, ids do not meet, images were not predicted, or `out` is not empty.
    """
    options = options or EvaluateOptions()
    require_new(out)
    truth, predictions = read_scored(truth, detections, options.detections)
    case = Case(truth.table, predictions)
    scores, metrics = score_all(case, options, data_set=data_set_of(truth.path, truth.format))
    warnings = [text for text in (truth.warning, exchanged_classes(case)) if text]
    with new_folder(out) as building:
        extra = {"reading": list(predictions.reading)} if predictions.reading else {}
        extra |= {"warnings": warnings} if warnings else {}
        write_scored(building, truth.table, predictions, scores, metrics=metrics, extra=extra)
        facts = {"Truth": truth.facts, "Detections": detections.name, "Ignore policy": options.ignore_policy}
        facts |= {"Warning": "; ".join(warnings)} if warnings else {}
        facts |= {"Read as": "; ".join(predictions.reading)} if predictions.reading else {}
        write_page(RunFolder(building).report, case, scores, facts=facts, metrics=metrics)
    return scores


def data_set_of(path: Path | None, format: str = "auto") -> str:
    """Return the native format of data: of converted ones, that which they were made from as the manifest tells.

    Args:
        path: The file or folder that they were read from; None for drawn scenes.
        format: A key of `READERS`, or ``auto`` where it was recognised.

    Returns:
        The format; "" where it is not known.
    """
    if format not in _CONVERTED:
        return format
    return str(_manifest_of(path).get("format", ""))


def has_own_classes(path: Path | None) -> bool:
    """Tell whether converted data have the classes of what they were made from: no class map has changed them."""
    options = _manifest_of(path).get("options")
    return not (isinstance(options, dict) and options.get("class_map"))


def _manifest_of(path: Path | None) -> dict[str, Any]:
    """Return the manifest of the data folder that a file or folder is of; empty where it has none."""
    folders = () if path is None else (path, path.parent, path.parent.parent)
    manifest = next((folder / MANIFEST for folder in folders if (folder / MANIFEST).is_file()), None)
    facts = None if manifest is None else read_json(manifest)
    return facts if isinstance(facts, dict) else {}


def score_all(
    case: Case, options: EvaluateOptions | None = None, *, data_set: str = ""
) -> tuple[Scores, dict[str, MetricResult]]:
    """Compute all that a report shows: COCO's numbers with intervals, and the metrics of `score_protocols`.

    Args:
        case: The truth and the detections.
        options: The metrics and slices, and the policy of COCO's numbers.
        data_set: Which data set it is, for the metrics where none are named.

    Raises:
        InputError: A detection names an unknown id, or the truth has nothing to slice by under a name.
    """
    policy = parse_ignore_policy((options or EvaluateOptions()).ignore_policy)
    own = case if policy == case.ignore_policy else Case(case.truth, case.detections, policy)
    return score_case(own, n_draws=N_DRAWS), score_protocols(case, options, data_set=data_set)


def score_protocols(
    case: Case, options: EvaluateOptions | None = None, *, data_set: str = ""
) -> dict[str, MetricResult]:
    """Compute the metrics that are asked for, and those that every report shows.

    Args:
        case: The truth and the detections.
        options: The metrics and slices.
        data_set: Which data set it is, for the metrics where none are named.

    Raises:
        InputError: The truth has nothing to slice by under that name.
    """
    options = options or EvaluateOptions()
    names = metrics_of_data(data_set) if options.metrics is None else options.metrics
    results = evaluate_metrics(case, list(dict.fromkeys((*names, *_ON_EVERY_PAGE))))
    if options.slices is not None:
        results["slices"] = choose_slices(results["slices"], options.slices)
    return results


def write_scored(
    folder: Path,
    truth: AnnotationTable,
    detections: Detections,
    scores: Scores,
    *,
    metrics: Mapping[str, MetricResult] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write `detections.json` (COCO results), `metrics.json`, and `operating_points.json` where they are known."""
    files = RunFolder(folder)
    write_results(detections, truth, files.detections)
    results = metrics or {}
    write_json(
        files.metrics, {**scores.as_dict(), **(extra or {}), "metrics": {k: v.as_dict() for k, v in results.items()}}
    )
    if "operating_points" in results:
        write_thresholds(folder, results["operating_points"], [row.name for row in scores.per_class])


def write_page(path: Path, case: Case, scores: Scores, *, facts: Mapping[str, str], **parts: Any) -> None:
    """Write the report of scored detections.

    Args:
        path: The HTML file.
        case: The truth and the detections.
        scores: Their scores.
        facts: What is known about where they come from.
        parts: Further parts of `ReportData`: title, metrics, history, ledger, transfer, notes, selection, test_ap.
    """
    write_report(
        path,
        ReportData(
            **{"title": "Evaluation", **parts},
            run_facts=dict(facts),
            case=case,
            scores=scores,
            score_threshold=SHOWN_SCORE,
        ),
    )
