"""The page of a comparison, as one HTML file in the look of the report.

It opens anywhere, needs no network and runs no script of the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detect_transfer.evaluation.comparison import Difference, Plan
from detect_transfer.report.compare_plots import Line, difference_plot, learning_plot
from detect_transfer.report.templates import svg_uri, write_html
from detect_transfer.report.text import short_name

__all__ = ["ComparePage", "Line", "Pair", "write_compare_page"]


_SHOWN = ("name", "AP", "AP50", "strategy", "starts from", "imgsz", "seed", "epochs", "seconds")  # the rest is folded


@dataclass(frozen=True)
class Pair:
    """One group against the first.

    Args:
        first: The name of the first group.
        second: The name of the group that is judged.
        metrics: The differences of the whole.
        classes: The name and the difference of each class with an object in the images, those that have no difference
            last.
        n_empty: How many classes have no object.
        seeds: What is said of other seeds.
    """

    first: str
    second: str
    metrics: tuple[Difference, ...]
    classes: tuple[tuple[str, Difference], ...]
    seeds: str
    n_empty: int = 0


@dataclass(frozen=True)
class ComparePage:
    """Everything that the page shows.

    Args:
        title: The heading.
        n_images: How many images were scored.
        n_units: How many units were drawn: images, or groups of them.
        plan: How it was compared.
        pairs: Every further group against the first.
        runs: A row a run, by the same keys: its group, name, numbers and plan.
        lines: The learning curves.
    """

    title: str
    n_images: int
    n_units: int
    plan: Plan
    pairs: tuple[Pair, ...]
    runs: tuple[Mapping[str, Any], ...]
    lines: tuple[Line, ...]


def write_compare_page(path: Path, page: ComparePage) -> None:
    """Write the page as one file with its plots inside.

    Raises:
        ResourceError: The disk is full or does not let us write.
    """
    margin = page.plan.margin
    keys = [key for key in page.runs[0] if key != "group"]
    values = {
        "page": page,
        "title": short_name(page.title, longest=160),
        "plots": [
            [svg_uri(difference_plot(rows, margin)) for rows in ([(d.name, d) for d in pair.metrics], pair.classes)]
            for pair in page.pairs
        ],
        "shown_keys": [key for key in keys if key in _SHOWN],
        "folded_keys": [key for key in keys if key not in _SHOWN],
        "learning": [(against, svg_uri(learning_plot(page.lines, against))) for against in ("epoch", "seconds")],
    }
    write_html(path, "compare_page", values, {"signed": _signed, "p": _p, "cell": _cell})


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3f}"


def _p(value: float | None) -> str:
    return "–" if value is None else "< .001" if value < 0.001 else f"{value:.3f}"


def _cell(value: Any) -> str:
    """Return a cell of the table of runs."""
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"
    return "–" if value is None else short_name(value, longest=300)
