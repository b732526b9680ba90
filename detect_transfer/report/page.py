"""The report: one HTML file that opens anywhere, needs no network and runs no script of the data."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from detect_transfer import __version__
from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.io import write_atomic
from detect_transfer.evaluation import (
    METRIC_NAMES,
    Matches,
    MetricResult,
    Scores,
    above,
    confusion,
    match,
    threshold_curve,
)
from detect_transfer.report import curves, gallery, health, plots, sections
from detect_transfer.report.drawings import KINDS
from detect_transfer.report.failures import KINDS_OF_FAILURE
from detect_transfer.report.templates import page_templates
from detect_transfer.report.text import number, short_name

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
    """Everything that the page tells.

    Args:
        title: The heading, such as the name of the run.
        run_facts: What ran where, as label and text.
        truth: The images that were scored, with their boxes.
        detections: What was found.
        scores: The numbers of `detections`.
        matches: Which detection found what. Its `score_threshold` decides what is shown as a miss or a false alarm; at
            0 the threshold with the best F1 of all classes is taken.
        image_root: The folder of the images; None leaves them out.
        metrics: Further metrics by name; `slices`, `tide`, `calibration` and `operating_points` have sections of their
            own, any other gets a table.
        history: A row an epoch, from epoch 0 on: `epoch`, `phase`, `AP`, `AP50`, `loss`, `lr`.
        ledger: `Ledger.as_dict()`.
        transfer: What was taken over and what trained; lists of objects become tables.
        notes: Sentences to show at the top.
    """

    title: str
    run_facts: Mapping[str, Any]
    truth: AnnotationTable
    detections: Detections
    scores: Scores
    matches: Matches
    image_root: Path | None = None
    metrics: Mapping[str, MetricResult] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()
    ledger: Mapping[str, Any] | None = None
    transfer: Mapping[str, Any] | None = None
    notes: Sequence[str] = field(default_factory=tuple)


def write_report(path: Path, data: ReportData) -> None:
    """Write the page as one file with images and plots inside.

    An image that cannot be read is left out and named on the page.

    Raises:
        InputError: A detection names an unknown id.
        ResourceError: The disk is full or does not let us write.
    """
    environment = page_templates()
    environment.filters["num"] = number
    environment.filters["short"] = short_name
    script = environment.get_template("page.js.j2").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    values = _values(data)
    page = environment.get_template("page.html.j2").render(
        **values, script=script, script_hash=digest, style=environment.get_template("page.css.j2").render()
    )
    write_atomic(path, page)


def _values(data: ReportData) -> dict[str, Any]:
    scores = data.scores
    whole = match(
        data.truth,
        data.detections,
        iou_threshold=data.matches.iou_threshold,
        ignore_policy=data.matches.ignore_policy,
    )
    threshold = data.matches.score_threshold or _best_threshold(whole)
    shown = above(data.matches, threshold)
    status = shown.detections["status"], shown.truth["status"]
    images = gallery.build_gallery(data.truth, shown, data.image_root)
    return {
        **_further(data),
        "title": short_name(data.title, longest=120),
        "version": __version__,
        "notes": [str(note) for note in data.notes],
        "scores": scores,
        "gain": _gain(data.history),
        "metrics": [(n, _MEANINGS[n], scores.metrics[n], (scores.strict or {}).get(n)) for n in METRIC_NAMES],
        "reasons": _grouped_reasons(scores.reasons),
        "facts": [(short_name(k, longest=60), short_name(v, longest=600)) for k, v in data.run_facts.items()],
        "threshold": threshold,
        "iou_threshold": shown.iou_threshold,
        "totals": {
            "hits": int((status[0] == "hit").sum()),
            "false_alarms": int((status[0] == "false_alarm").sum()),
            "excused": int((status[0] == "ignored").sum()),
            "misses": int((status[1] == "miss").sum()),
        },
        "plots": _plots(data, whole, threshold),
        "hidden_classes": plots.hidden_classes(len(scores.per_class)),
        "gallery": images,
        "failure_names": KINDS_OF_FAILURE,
        "shown_classes": _classes_of(images, data.truth),
        "kinds": [KINDS[k] for k in ("hit", "truth", "miss", "false_alarm", "ignored")],
        "data_blocks": [
            b
            for b in (
                health.data_facts(data.truth, scores),
                health.ignore_reasons(data.truth),
                *health.ledger_blocks(data.ledger),
            )
            if b is not None
        ],
        "transfer_blocks": health.record_blocks(data.transfer, "What was taken over"),
    }


def _further(data: ReportData) -> dict[str, Any]:
    """Return what the page tells of further metrics."""
    errors = sections.error_table(data.metrics)
    return {
        "intervals": {name: sections.interval_of(data.scores, name) for name in ("AP", "AP50")},
        "class_intervals": sections.class_intervals(data.scores),
        "missing_intervals": sections.missing_intervals(data.scores),
        "sizes": sections.size_table(data.scores, data.truth),
        "slices": sections.slice_table(data.metrics),
        "errors": errors,
        "largest_error": max((row.won or 0 for row in errors), default=0) or 1,
        "calibration": sections.calibration_facts(data.metrics),
        "goals": sections.goals_of(data.metrics),
        "points": sections.point_table(data.metrics, data.scores),
        "protocols": sections.protocol_blocks(data.metrics),
    }


def _classes_of(images: gallery.Gallery, truth: AnnotationTable) -> list[tuple[int, str]]:
    """Return id and name of the classes that failures are about."""
    there = {i for image in images.failures for i in image.category_ids}
    classes = truth.categories.sort("category_id").select("category_id", "name").iter_rows()
    return [(i, short_name(name, longest=60)) for i, name in classes if i in there]


def _best_threshold(whole: Matches) -> float:
    curve = threshold_curve(whole)
    if curve is None or not len(curve.f1) or curve.f1.max() <= 0:
        return _FALLBACK_THRESHOLD
    return float(curve.score[int(np.argmax(curve.f1))])


def _gain(history: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Compare the model before training with its best epoch; None where epoch 0 or its AP is not known."""
    scored = [row for row in history if isinstance(row.get("AP"), int | float)]
    start = next((row for row in scored if row.get("epoch") == 0), None)
    if start is None or len(history) < 2:
        return None
    best = max(scored, key=lambda row: float(row["AP"]))
    return {"before": start["AP"], "after": best["AP"], "epoch": best["epoch"], "change": best["AP"] - start["AP"]}


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
        table = confusion(data.truth, data.detections, iou_threshold=whole.iou_threshold, score_threshold=threshold)
        made["confusion"] = plots.confusion_map(table)
    if "calibration" in data.metrics:
        made["reliability"] = curves.reliability_diagram(data.metrics["calibration"])
    if len(data.history) > 1:
        made |= {f"training {name}": svg for name, svg in plots.training_curves(data.history).items()}
    uri = "data:image/svg+xml;base64,"
    return {name: uri + base64.b64encode(svg.encode()).decode() for name, svg in made.items() if svg}
