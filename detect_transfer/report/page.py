"""The report: one HTML file that opens anywhere, needs no network and runs no script of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.evaluation import (
    METRIC_NAMES,
    Case,
    Matches,
    MetricResult,
    Scores,
    confusion,
    match_case,
    threshold_curve,
)
from detect_transfer.report import curves, gallery, health, plots, sections
from detect_transfer.report.drawings import KINDS
from detect_transfer.report.failures import KINDS_OF_FAILURE
from detect_transfer.report.templates import svg_uri, write_html
from detect_transfer.report.text import short_name

_MEANINGS = {
    "AP": "mean over IoU .50 to .95",
    "AP50": "at IoU .50",
    "AP75": "at IoU .75",
    "AP_small": "objects up to 32² px",
    "AP_medium": "objects from 32² to 96² px",
    "AP_large": "objects of 96² px and more",
    "AR1": "recall with 1 detection an image and class",
    "AR10": "recall with 10",
    "AR100": "recall with 100",
    "AR_small": "recall, objects up to 32² px",
    "AR_medium": "recall, objects from 32² to 96² px",
    "AR_large": "recall, objects of 96² px and more",
}
_FALLBACK_THRESHOLD = 0.25


@dataclass(frozen=True)
class ReportData:
    """Everything that the page shows.

    Args:
        title: The heading, such as the name of the run.
        run_facts: What ran where, as label and text.
        case: What was scored; without a folder of images none are shown.
        scores: The numbers of the case.
        score_threshold: Decides what is shown as a false negative or positive; 0: that of the best F1 of all classes.
        metrics: Further metrics by name; `slices`, `tide`, `calibration` and `operating_points` have sections of their
            own, any other gets a table.
        history: A row an epoch, from epoch 0 on: `epoch`, `phase`, `AP`, `AP50`, `loss`, `lr`.
        ledger: `Ledger.as_dict()`.
        transfer: What was taken over and what trained; lists of objects become tables.
        notes: Sentences to show at the top.
        averages: What else was scored: averages of weights, in words as `weights`, with their `AP`.
        selection: How the scored weights were chosen, such as the sentence of `Selection`; shown below the headline.
        test_ap: AP on a test split that nothing was chosen by, which is then the headline.
    """

    title: str
    run_facts: Mapping[str, Any]
    case: Case
    scores: Scores
    score_threshold: float = 0.0
    metrics: Mapping[str, MetricResult] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()
    ledger: Mapping[str, Any] | None = None
    transfer: Mapping[str, Any] | None = None
    notes: Sequence[str] = field(default_factory=tuple)
    averages: Sequence[Mapping[str, Any]] = ()
    selection: str = ""
    test_ap: float | None = None


def write_report(path: Path, data: ReportData) -> None:
    """Write the page as one file with images and plots inside.

    An image that cannot be read is left out and named on the page.

    Raises:
        InputError: A detection names an unknown id.
        ResourceError: The disk is full or does not let us write.
    """
    write_html(path, "page", _values(data))


def _values(data: ReportData) -> dict[str, Any]:
    scores = data.scores
    truth, whole = data.case.truth, match_case(data.case)
    threshold = data.score_threshold or _best_threshold(whole)
    images = gallery.build_gallery(data.case, threshold)
    blocks = (
        health.data_facts(truth, scores),
        health.ignore_reasons(truth),
        *health.ledger_blocks(data.ledger),
    )
    return {
        **_further(data),
        "title": short_name(data.title, longest=120),
        "notes": [str(note) for note in data.notes],
        "scores": scores,
        "selection": short_name(data.selection, longest=400) if data.selection else "",
        "test_ap": data.test_ap,
        "gain": _gain(data.history, data.averages),
        "metrics": [(n, _MEANINGS[n], scores.metrics[n], (scores.strict or {}).get(n)) for n in METRIC_NAMES],
        "reasons": _grouped_reasons(scores.reasons),
        "facts": [(short_name(k, longest=60), short_name(v, longest=600)) for k, v in data.run_facts.items()],
        "threshold": threshold,
        "iou_threshold": whole.iou_threshold,
        "totals": whole.above(threshold).counts,
        "plots": _plots(data, whole, threshold),
        "hidden_classes": plots.hidden_classes(len(scores.per_class)),
        "gallery": images,
        "failure_names": KINDS_OF_FAILURE,
        "shown_classes": _classes_of(images, truth),
        "kinds": [KINDS[k] for k in ("tp", "truth", "fn", "fp", "ignored")],
        "data_blocks": [block for block in blocks if block is not None],
        "transfer_blocks": health.record_blocks(data.transfer, "What was copied from the source"),
    }


def _further(data: ReportData) -> dict[str, Any]:
    """Return what the page shows of further metrics."""
    errors = sections.error_table(data.metrics)
    return {
        "intervals": {name: sections.interval_of(data.scores, name) for name in ("AP", "AP50")},
        "class_intervals": sections.class_intervals(data.scores),
        "missing_intervals": sections.missing_intervals(data.scores),
        "sizes": sections.size_table(data.scores),
        "slices": sections.slice_table(data.metrics),
        "errors": errors,
        "largest_error": max((row.won or 0 for row in errors), default=0) or 1,
        "calibration": sections.calibration_facts(data.metrics),
        "goals": sections.goals_of(data.metrics),
        "points": sections.point_table(data.metrics, data.scores),
        "pooled_note": sections.pooled_note(data.metrics),
        "point_warnings": sections.point_warnings(data.metrics),
        "protocols": sections.protocol_blocks(data.metrics),
    }


def _classes_of(images: gallery.Gallery, truth: AnnotationTable) -> list[tuple[int, str]]:
    """Return id and name of the classes that failures are about."""
    shown = {i for image in images.failures for i in image.category_ids}
    classes = truth.categories.sort("category_id").select("category_id", "name").iter_rows()
    return [(i, short_name(name, longest=60)) for i, name in classes if i in shown]


def _best_threshold(whole: Matches) -> float:
    curve = threshold_curve(whole)
    best = None if curve is None else curve.best_f1
    return _FALLBACK_THRESHOLD if curve is None or best is None else float(curve.score[best])


def _gain(history: Sequence[Mapping[str, Any]], averages: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Compare the model before training with its best epoch or average; None where epoch 0 or its AP is not known."""
    scored = [row for row in history if isinstance(row.get("AP"), int | float)]
    start = next((row for row in scored if row.get("epoch") == 0), None)
    if start is None or len(history) < 2:
        return None
    named = [{"weights": f"epoch {row['epoch']}", "AP": float(row["AP"])} for row in scored]
    best = max([*named, *(row for row in averages if row["AP"] is not None)], key=lambda row: float(row["AP"]))
    change = best["AP"] - start["AP"]
    return {"before": start["AP"], "after": best["AP"], "weights": str(best["weights"]), "change": change}


def _grouped_reasons(reasons: Mapping[str, str]) -> list[tuple[str, str]]:
    grouped: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        grouped.setdefault(reason, []).append(name)
    return [(", ".join(names), reason) for reason, names in grouped.items()]


def _plots(data: ReportData, whole: Matches, threshold: float) -> dict[str, str]:
    """Make the plots as data URIs; one that has nothing to show is left out."""
    scores = data.scores
    made: dict[str, str] = {}
    if scores.curves:
        names = {row.category_id: row.name for row in scores.per_class}
        made["pr"] = plots.pr_curves(scores)
        made["thresholds"] = curves.threshold_curves(whole)
        made["f1"] = plots.f1_curves(whole, names)
        made["bars"] = plots.class_bars(scores)
    if scores.per_class:
        made["confusion"] = plots.confusion_map(confusion(data.case, score_threshold=threshold))
    if "calibration" in data.metrics:
        made["reliability"] = curves.reliability_diagram(data.metrics["calibration"])
    if len(data.history) > 1:
        made |= {f"training {name}": svg for name, svg in plots.training_curves(data.history).items()}
    return {name: svg_uri(svg) for name, svg in made.items() if svg}
