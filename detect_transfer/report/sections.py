"""What the page shows of further metrics, as plain rows: slices, kinds of error, calibration, operating points."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from detect_transfer.evaluation import MetricResult, Scores, slice_rows
from detect_transfer.report.health import Block, cell
from detect_transfer.report.text import number, short_name

_SECTIONS = ("coco", "slices", "tide", "calibration", "operating_points")  # shown in their own way
_ERRORS = {
    "Miss": ("missed", "no detection near it"),
    "Loc": ("poor box", "right class, IoU from .1 to .5"),
    "Cls": ("wrong class", "on an object of another class"),
    "Both": ("wrong class and poor box", "near an object of another class"),
    "Dupe": ("detected twice", "a better detection matches the object"),
    "Bkg": ("background", "no object near it"),
}
_GOALS = {"best_f1": "best F1", "target_precision": "precision {:g}", "target_fppi": "{:g} false positives an image"}
_SIZES = {"small": "up to 32² px", "medium": "32² to 96² px", "large": "96² px and more"}
_SPAN = re.compile(r"(height|visible|occluded|truncated) ([\[(])([\d.]+), ([\d.]+|inf)([\])])")
_CALIBRATION = {
    "D_ECE": "D-ECE, mean distance of precision and score",
    "D_ECE_by_position": "D-ECE by score, position and size",
    "temperature": "Temperature that fixes it, fitted on every second group",
    "D_ECE_held_out_before": "D-ECE of the other half before",
    "D_ECE_held_out_after": "D-ECE of the other half after",
}


@dataclass(frozen=True)
class ErrorRow:
    """A kind of error: its name, what it means, the AP at IoU .5 that fixing it alone would win, and how many."""

    name: str
    meaning: str
    won: float | None
    count: int


@dataclass(frozen=True)
class PointRow:
    """The operating points of one class: for each goal threshold, precision and recall, and a mark with its reason."""

    name: str
    points: tuple[tuple[float | None, float | None, float | None], ...]
    marks: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class SizeRow:
    """A size of COCO: its name, its range, the objects in it, and its AP and AR, None without an object."""

    name: str
    meaning: str
    count: int
    ap: float | None
    ar: float | None


def interval_of(scores: Scores, name: str) -> str:
    """Return the interval of a metric as ``0.498 to 0.562``; "" where none was computed."""
    return _span(None if scores.interval is None else scores.interval.get(name), " to ")


def class_intervals(scores: Scores) -> dict[int, dict[str, str]]:
    """Return the intervals of AP and AP50 of each class as ``0.498–0.562``, "" where there is none; by class id."""
    if scores.interval is None:
        return {}
    return {
        category_id: {name: _span(span, "–") for name, span in spans.items()}
        for category_id, spans in scores.interval.per_class.items()
    }


def missing_intervals(scores: Scores) -> list[tuple[int, str]]:
    """Return for each reason why a class with objects has no interval how many classes there are."""
    if scores.interval is None:
        return []
    with_objects = {f"AP/{row.category_id}" for row in scores.per_class if row.n_boxes}
    counts = Counter(reason for key, reason in scores.interval.reasons.items() if key in with_objects)
    return [(n, reason) for reason, n in counts.most_common()]


def _span(ends: tuple[float, float] | None, between: str) -> str:
    return "" if ends is None else f"{number(ends[0])}{between}{number(ends[1])}"


def size_table(scores: Scores) -> list[SizeRow]:
    """Return COCO's three sizes with how many objects are in each; one at a limit is in both, as in pycocotools."""
    return [
        SizeRow(name, meaning, scores.counts[name], scores.metrics[f"AP_{name}"], scores.metrics[f"AR_{name}"])
        for name, meaning in _SIZES.items()
    ]


def slice_table(metrics: Mapping[str, MetricResult]) -> list[Mapping[str, Any]]:
    """Return the rows of the slices, with their spans in words."""
    rows = slice_rows(metrics["slices"]) if "slices" in metrics else []
    return [{**row, "slice": _in_words(str(row["slice"]))} for row in rows]


def _in_words(name: str) -> str:
    """Return ``height 20 to 50 px`` for ``height [20, 50)``, and another name shortened."""
    span = _SPAN.fullmatch(name)
    if span is None:
        return short_name(name, longest=60)
    what, low, high = span[1], float(span[3]), float(span[4])
    scale, unit, top = (1, "px", float("inf")) if what == "height" else (100, "%", 1.0)
    unit = f"\N{NO-BREAK SPACE}{unit}"
    if low == high == 0:
        return f"not {what}"
    if low == 0:
        return f"{what} under {high * scale:g}{unit}"
    if high == top:
        return f"{what} {low * scale:g}{unit} and more"
    return f"{what} {low * scale:g} to {high * scale:g}{unit}"


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
    """Return the numbers of calibration, with the reason where a number is missing."""
    if "calibration" not in metrics:
        return []
    result = metrics["calibration"]
    return [(label, _value(result, name)) for name, label in _CALIBRATION.items() if name in result.values]


def goals_of(metrics: Mapping[str, MetricResult]) -> list[str]:
    """Return the headings of the goals of the operating points."""
    if "operating_points" not in metrics:
        return []
    bounds = metrics["operating_points"].bounds
    return [heading.format(bounds.get(name, 0)) for name, heading in _GOALS.items()]


def pooled_note(metrics: Mapping[str, MetricResult]) -> str:
    """Return what is said of classes whose threshold is that of all classes; "" where there is none."""
    bounds = metrics["operating_points"].bounds if "operating_points" in metrics else {}
    if not any(bounds.get("pooled", {}).values()):
        return ""
    return (
        f"“all” beside a score: the threshold of all classes together, each weighing the same, as the class has fewer "
        f"than {bounds['min_objects']} objects, or its own would give a precision below {bounds['min_precision']:g}. "
        f"“too low”: the precision that it gives the class here is below that of the goal, so it promises nothing."
    )


def point_warnings(metrics: Mapping[str, MetricResult]) -> list[str]:
    """Return the warnings of the operating points: classes of which the threshold of all leaves nothing or too much."""
    notes = metrics["operating_points"].bounds.get("notes", ()) if "operating_points" in metrics else ()
    return [note for note in notes if note.startswith("warning")]


def point_table(metrics: Mapping[str, MetricResult], scores: Scores) -> list[PointRow]:
    """Return the operating points of each class."""
    if "operating_points" not in metrics:
        return []
    values = metrics["operating_points"].values
    columns = ("score_threshold", "precision", "recall")

    def point(goal: str, name: str) -> tuple[float | None, float | None, float | None]:
        low, middle, high = (values.get(f"{goal}_{column}/{name}") for column in columns)
        return low, middle, high

    pooled, cautions = (metrics["operating_points"].bounds.get(name, {}) for name in ("pooled", "cautions"))

    def mark(goal: str, name: str) -> tuple[str, str]:
        why, caution = (words.get(goal, {}).get(name, "") for words in (pooled, cautions))
        if caution:
            return ("all, too low" if why else "withheld"), f"{why}; {caution}".lstrip("; ")
        return ("all" if why else ""), why

    return [
        PointRow(
            row.name,
            tuple(point(goal, row.name) for goal in _GOALS),
            tuple(mark(goal, row.name) for goal in _GOALS),
        )
        for row in sorted(scores.per_class, key=lambda row: row.n_boxes == 0)
    ]


def protocol_blocks(metrics: Mapping[str, MetricResult]) -> list[Block]:
    """Return a table for each further protocol, with what its numbers were made under."""
    blocks = []
    for name, result in metrics.items():
        if name in _SECTIONS:
            continue
        rows = [(short_name(key, longest=80), _value(result, key)) for key in result.values]
        whole, parts = [r for r in rows if "/" not in r[0]], [r for r in rows if "/" in r[0]]
        measured = [
            row
            for row, key in zip(rows, result.values, strict=True)
            if "/" in row[0] and result.values[key] is not None
        ]
        without = len(parts) - len(measured)
        note = f"{without} without objects or detections are left out" if without else ""
        bounds = tuple((key.replace("_", " "), cell(value)) for key, value in result.bounds.items())
        blocks.append(Block(name, ("number", "value"), tuple(whole)))
        blocks += (
            [Block(f"{name}: of each class or part", ("number", "value"), tuple(measured), note, closed=True)]
            if parts
            else []
        )
        blocks += [Block(f"{name}: what it was computed with", (), bounds, closed=True)] if bounds else []
    return blocks


def _value(result: MetricResult, name: str) -> str:
    value = result.values[name]
    return f"– ({result.reasons.get(name, 'not stated')})" if value is None else f"{value:.4g}"
