"""Scoring and drawing files: any detections against any truth, without a model and without torch.

Rank 6: imports `formats`, `evaluation`, `exports`, `report` and lower ranks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detect_transfer.errors import InputError, did_you_mean
from detect_transfer.evaluation import Scores, match, score
from detect_transfer.exports.results import write_results
from detect_transfer.files import new_folder, require_file, require_new, write_json
from detect_transfer.formats import coco
from detect_transfer.formats.results import read_results
from detect_transfer.report.page import ReportData, write_report
from detect_transfer.report.render import render_predictions
from detect_transfer.table import AnnotationTable, Detections

SHOWN_SCORE = 0.25  # detections below it are neither drawn nor listed as false alarms
_POLICIES = ("region", "strict")


def evaluate_files(
    truth: Path, detections: Path, out: Path, *, images: Path | None = None, ignore_policy: str = "region"
) -> Scores:
    """Score a COCO results file against a COCO instances file; write metrics, detections and the report.

    Raises:
        InputError: A file is missing or wrong, ids do not meet, or `out` is not empty.
    """
    _check_policy(ignore_policy)
    require_new(out)
    table = coco.read(require_file(truth, what="COCO instances JSON"), images=images)
    found = read_results(require_file(detections, what="COCO results JSON"))
    scores = score(table, found, ignore_policy="strict" if ignore_policy == "strict" else "region")
    with new_folder(out) as building:
        write_scored(building, found, scores)
        facts = {"Truth": truth.name, "Detections": detections.name, "Ignore policy": ignore_policy}
        write_page(building / "report.html", table, found, scores, facts=facts)
    return scores


def visualize_files(
    truth: Path,
    detections: Path | None,
    out: Path,
    *,
    images: Path | None = None,
    score_threshold: float = SHOWN_SCORE,
    limit: int | None = None,
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
    found = None if detections is None else read_results(require_file(detections, what="COCO results JSON"))
    with new_folder(out) as building:
        drawn = render_predictions(
            table, found, table.image_root, building, score_threshold=score_threshold, limit=limit
        )
        names = [path.relative_to(building) for path in drawn]
    return [out / name for name in names]


def write_scored(folder: Path, found: Detections, scores: Scores, *, extra: Mapping[str, Any] | None = None) -> None:
    """Write `detections.json` (COCO results) and `metrics.json`."""
    write_results(found, folder / "detections.json")
    write_json(folder / "metrics.json", {**scores.as_dict(), **(extra or {})})


def write_page(
    path: Path,
    truth: AnnotationTable,
    found: Detections,
    scores: Scores,
    *,
    facts: Mapping[str, str],
    title: str = "Evaluation",
    **parts: Any,
) -> None:
    """Write the report of scored detections.

    Args:
        path: The HTML file.
        truth: What there is.
        found: What was found.
        scores: The scores of `found`.
        facts: What is told about where they come from.
        title: The heading.
        parts: Further parts of `ReportData`: history, ledger, transfer.
    """
    write_report(
        path,
        ReportData(
            title=title,
            run_facts=dict(facts),
            truth=truth,
            detections=found,
            scores=scores,
            matches=match(truth, found, score_threshold=SHOWN_SCORE),
            image_root=truth.image_root,
            **parts,
        ),
    )


def _check_policy(name: str) -> None:
    if name not in _POLICIES:
        raise InputError(
            "OPTION",
            "there is no such choice",
            field="--ignore-policy",
            value=name,
            remedy=did_you_mean(name, _POLICIES),
        )
