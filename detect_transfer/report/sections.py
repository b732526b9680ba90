"""What the page tells of further metrics, as plain rows: slices, kinds of error, calibration, operating points.

Imports `evaluation` and lower ranks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from detect_transfer.evaluation import MetricResult, Scores, slice_rows
from detect_transfer.report.health import Block, cell
from detect_transfer.report.text import number, short_name

_SECTIONS = ("coco", "slices", "tide", "calibration", "operating_points")  # told in their own way
_ERRORS = {
    "Miss": ("missed", "no detection near it"),
    "Loc": ("poor box", "right class, IoU from .1 to .5"),
    "Cls": ("wrong class", "on an object of another class"),
    "Both": ("wrong class and poor box", "near an object of another class"),
    "Dupe": ("found twice", "the object was found by a better one"),
    "Bkg": ("nothing there", "no object near it"),
}
_GOALS = {"best_f1": "best F1", "target_precision": "precision {:g}", "target_fppi": "{:g} false alarms an image"}
_CALIBRATION = {
    "D_ECE": "D-ECE, mean distance of precision and score",
    "D_ECE_by_place": "D-ECE by score, place and size",
    "temperature": "Temperature that mends it, fitted on every second group",
    "D_ECE_held_out_before": "D-ECE of the other half before",
    "D_ECE_held_out_after": "D-ECE of the other half after",
}


@dataclass(frozen=True)
class ErrorRow:
    """A kind of error: its name, what it means, the AP at IoU .5 that mending it alone would win, and how many."""

    name: str
    meaning: str
    won: float | None
    count: int


@dataclass(frozen=True)
class PointRow:
    """The operating points of one class: for each goal threshold, precision and recall, or None with the reason."""

    name: str
    points: tuple[tuple[float | None, float | None, float | None], ...]


def interval_of(scores: Scores, name: str) -> str:
    """Return the interval of a metric as ``0.498 to 0.562``; "" where none was computed."""
    span = None if scores.interval is None else scores.interval.get(name)
    return "" if span is None else f"{number(span[0])} to {number(span[1])}"


def slice_table(metrics: Mapping[str, MetricResult], scores: Scores) -> list[Mapping[str, Any]]:
    """Return the rows of the slices, with COCO's three sizes after the whole."""
    if "slices" not in metrics:
        return []
    rows = [{**row, "slice": short_name(row["slice"], longest=60)} for row in slice_rows(metrics["slices"])]
    sizes = []
    for size in ("small", "medium", "large"):
        name = f"AP_{size}"
        told = {"n_positives": None, "AP50": None, "recall": None, "reason": scores.reasons.get(name)}
        sizes.append({"slice": f"area {size}", "AP": scores.metrics[name], **told})
    return [*rows[:1], *sizes, *rows[1:]]


def error_table(metrics: Mapping[str, MetricResult]) -> list[ErrorRow]:
    """Return the kinds of error, the most costly first."""
    if "tide" not in metrics:
        return []
    values = metrics["tide"].values
    rows = [
        ErrorRow(name, meaning, values[f"dAP_{key}"], int(values[f"count_{key}"] or 0))
        for key, (name, meaning) in _ERRORS.items()
    ]
    return sorted(rows, key=lambda row: -(row.won or 0))


def calibration_facts(metrics: Mapping[str, MetricResult]) -> list[tuple[str, str]]:
    """Return what there is to tell of calibration, with the reason where a number is missing."""
    if "calibration" not in metrics:
        return []
    result = metrics["calibration"]
    return [(label, _told(result, name)) for name, label in _CALIBRATION.items() if name in result.values]


def goals_of(metrics: Mapping[str, MetricResult]) -> list[str]:
    """Return the headings of the goals of the operating points."""
    if "operating_points" not in metrics:
        return []
    bounds = metrics["operating_points"].bounds
    return [heading.format(bounds.get(name, 0)) for name, heading in _GOALS.items()]


def point_table(metrics: Mapping[str, MetricResult], scores: Scores) -> list[PointRow]:
    """Return the operating points of each class."""
    if "operating_points" not in metrics:
        return []
    values = metrics["operating_points"].values
    columns = ("score_threshold", "precision", "recall")

    def point(goal: str, name: str) -> tuple[float | None, float | None, float | None]:
        low, middle, high = (values.get(f"{goal}_{column}/{name}") for column in columns)
        return low, middle, high

    return [PointRow(row.name, tuple(point(goal, row.name) for goal in _GOALS)) for row in scores.per_class]


def protocol_blocks(metrics: Mapping[str, MetricResult]) -> list[Block]:
    """Return a table for each further protocol, with what its numbers were made under."""
    blocks = []
    for name, result in metrics.items():
        if name in _SECTIONS:
            continue
        rows = [(short_name(key, longest=80), _told(result, key)) for key in result.values]
        whole, parts = [r for r in rows if "/" not in r[0]], [r for r in rows if "/" in r[0]]
        bounds = ", ".join(f"{key.replace('_', ' ')}: {cell(value)}" for key, value in result.bounds.items())
        blocks.append(Block(name, ("number", "value"), tuple(whole), note=short_name(bounds, longest=1200)))
        blocks += [Block(f"{name} of each class or part", ("number", "value"), tuple(parts))] if parts else []
    return blocks


def _told(result: MetricResult, name: str) -> str:
    value = result.values[name]
    return f"– ({result.reasons.get(name, 'not told')})" if value is None else f"{value:.4g}"
