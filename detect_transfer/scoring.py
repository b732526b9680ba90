"""Scoring and drawing files: any detections against any truth, without a model and without torch.

Rank 6: imports `formats`, `evaluation`, `exports`, `report` and lower ranks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from detect_transfer.errors import InputError, did_you_mean
from detect_transfer.evaluation import (
    METRICS,
    N_DRAWS,
    IgnorePolicy,
    MetricResult,
    Scores,
    evaluate_metrics,
    match,
    metrics_of_data,
    score,
)
from detect_transfer.exports.results import write_results
from detect_transfer.files import new_folder, read_json, require_file, require_new, write_json
from detect_transfer.formats import coco
from detect_transfer.formats.results import read_detections
from detect_transfer.report.page import ReportData, write_report
from detect_transfer.report.render import DrawPlan, render
from detect_transfer.table import AnnotationTable, Detections
from detect_transfer.thresholds import write_thresholds

SHOWN_SCORE = 0.25  # detections below it are neither drawn nor listed as false alarms
_ON_EVERY_PAGE = ("slices", "tide", "calibration", "operating_points")
_POLICIES = ("region", "strict")
_OTHER_WORDS = {"visibility": "visible", "occlusion": "occluded", "truncation": "truncated", "class": "group"}


@dataclass(frozen=True)
class Asked:
    """What is to be scored, and of what layout the detections are.

    Args:
        metrics: Names of `METRICS`; None takes those of the data set, where the truth tells which one it is.
        slices: What to slice by, such as ``height``; None takes everything that the truth tells.
        detections_format: A key of `DETECTION_FORMATS`; None recognises it.

    Raises:
        InputError: There is no such metric.
    """

    metrics: Sequence[str] | None = None
    slices: Sequence[str] | None = None
    detections_format: str | None = None

    def __post_init__(self) -> None:
        """Check the names before anything takes time."""
        for name in self.metrics or ():
            if name not in METRICS:
                raise InputError(
                    *("METRIC_UNKNOWN", "no metric has this name"),
                    field="--metrics",
                    value=name,
                    remedy=did_you_mean(name, list(METRICS)),
                )


def evaluate_files(
    truth: Path,
    detections: Path,
    out: Path,
    *,
    images: Path | None = None,
    ignore_policy: str = "region",
    asked: Asked | None = None,
) -> Scores:
    """Score detections of any layout against a COCO instances file; write metrics, detections and the report.

    Raises:
        InputError: A file is missing or wrong, ids do not meet, or `out` is not empty.
    """
    asked = asked or Asked()
    _check_policy(ignore_policy)
    require_new(out)
    table = coco.read(require_file(truth, what="COCO instances JSON"), images=images)
    found = read_detections(detections, table, kind=asked.detections_format)
    policy: IgnorePolicy = "strict" if ignore_policy == "strict" else "region"
    scores = score(table, found, ignore_policy=policy, n_draws=N_DRAWS)
    metrics = score_protocols(table, found, asked, data_set=data_set_of(truth))
    with new_folder(out) as building:
        write_scored(building, found, scores, metrics=metrics)
        facts = {"Truth": truth.name, "Detections": detections.name, "Ignore policy": ignore_policy}
        write_page(building / "report.html", table, found, scores, facts=facts, metrics=metrics)
    return scores


def visualize_files(
    truth: Path,
    detections: Path | None,
    out: Path,
    *,
    images: Path | None = None,
    detections_format: str | None = None,
    plan: DrawPlan | None = None,
) -> list[Path]:
    """Draw truth and, where given, detections on the pictures; return the files written.

    Raises:
        InputError: A file or a picture is missing or wrong, or `out` is not empty.
    """
    require_new(out)
    table = coco.read(require_file(truth, what="COCO instances JSON"), images=images)
    if table.image_root is None:
        raise InputError(
            "IMAGES_MISSING",
            "the folder of the pictures is not known",
            where=truth,
            field="--images",
            remedy="give the folder that file_name is relative to",
        )
    found = None if detections is None else read_detections(detections, table, kind=detections_format)
    with new_folder(out) as building:
        drawn = render(table, found, building, plan=plan or DrawPlan(score_threshold=SHOWN_SCORE))
        names = [path.relative_to(building) for path in drawn]
    return [out / name for name in names]


def data_set_of(path: Path | None) -> str:
    """Return the format that a data folder, or a file in it, was made from, as its manifest tells; "" elsewhere."""
    folders = () if path is None else (path, path.parent, path.parent.parent)
    manifest = next((folder / "manifest.json" for folder in folders if (folder / "manifest.json").is_file()), None)
    facts = None if manifest is None else read_json(manifest)
    return str(facts.get("format", "")) if isinstance(facts, dict) else ""


def score_protocols(
    truth: AnnotationTable, found: Detections, asked: Asked | None = None, *, data_set: str = ""
) -> dict[str, MetricResult]:
    """Compute the metrics that are asked for, and those that every report shows.

    Args:
        truth: What there is.
        found: What was found.
        asked: The metrics and slices.
        data_set: Which data set it is, for the metrics where none are named.

    Raises:
        InputError: The truth has nothing to slice by under that name.
    """
    asked = asked or Asked()
    names = metrics_of_data(data_set) if asked.metrics is None else asked.metrics
    results = evaluate_metrics(truth, found, list(dict.fromkeys((*names, *_ON_EVERY_PAGE))))
    if asked.slices is not None:
        results["slices"] = _chosen_slices(results["slices"], asked.slices)
    return results


def write_scored(
    folder: Path,
    found: Detections,
    scores: Scores,
    *,
    metrics: Mapping[str, MetricResult] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write `detections.json` (COCO results), `metrics.json`, and `operating_points.json` where they are known."""
    write_results(found, folder / "detections.json")
    results = metrics or {}
    told = {name: result.as_dict() for name, result in results.items()}
    write_json(folder / "metrics.json", {**scores.as_dict(), **(extra or {}), "metrics": told})
    if "operating_points" in results:
        write_thresholds(folder, results["operating_points"], [row.name for row in scores.per_class])


def write_page(
    path: Path,
    truth: AnnotationTable,
    found: Detections,
    scores: Scores,
    *,
    facts: Mapping[str, str],
    **parts: Any,
) -> None:
    """Write the report of scored detections.

    Args:
        path: The HTML file.
        truth: What there is.
        found: What was found.
        scores: The scores of `found`.
        facts: What is told about where they come from.
        parts: Further parts of `ReportData`: title, metrics, history, ledger, transfer.
    """
    write_report(
        path,
        ReportData(
            **{"title": "Evaluation", **parts},
            run_facts=dict(facts),
            truth=truth,
            detections=found,
            scores=scores,
            matches=match(truth, found, score_threshold=SHOWN_SCORE),
            image_root=truth.image_root,
        ),
    )


def _chosen_slices(result: MetricResult, words: Sequence[str]) -> MetricResult:
    """Keep the slices by these properties, and the whole to compare with."""
    kinds = {key.partition("/")[2].rpartition(" ")[0] for key in result.values} - {""}
    kinds = {kind.partition(" ")[0] for kind in kinds}
    wanted = [_OTHER_WORDS.get(word, word) for word in words]
    for word in wanted:
        if word not in kinds:
            raise InputError(
                *("SLICE_UNKNOWN", "the truth tells nothing to slice by under this name"),
                field="--slices",
                value=word,
                remedy=did_you_mean(word, sorted(kinds)),
            )

    def kept(key: str) -> bool:
        name = key.partition("/")[2]
        return name == "all" or any(name.startswith(f"{word} ") for word in wanted)

    values = {key: value for key, value in result.values.items() if kept(key)}
    return replace(result, values=values, reasons={key: why for key, why in result.reasons.items() if key in values})


def _check_policy(name: str) -> None:
    if name not in _POLICIES:
        raise InputError(
            "OPTION",
            "there is no such choice",
            field="--ignore-policy",
            value=name,
            remedy=did_you_mean(name, _POLICIES),
        )
