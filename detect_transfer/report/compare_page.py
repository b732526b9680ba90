"""The page of a comparison, as one HTML file in the look of the report.

It opens anywhere, needs no network and runs no script of the data.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detect_transfer import __version__
from detect_transfer.core.io import write_atomic
from detect_transfer.evaluation.comparison import Difference, Plan
from detect_transfer.report.compare_plots import Line, difference_plot, learning_plot
from detect_transfer.report.templates import page_templates
from detect_transfer.report.text import number, short_name

__all__ = ["ComparePage", "Line", "Pair", "write_compare_page"]


@dataclass(frozen=True)
class Pair:
    """One side against the first.

    Args:
        first: The name of the first side.
        second: The name of the side that is judged.
        metrics: The differences of the whole.
        classes: The name and the difference of each class.
    """

    first: str
    second: str
    metrics: tuple[Difference, ...]
    classes: tuple[tuple[str, Difference], ...]


@dataclass(frozen=True)
class ComparePage:
    """Everything that the page tells.

    Args:
        title: The heading.
        n_images: How many images were scored.
        n_units: How many units were drawn: images, or groups of them.
        plan: How it was compared.
        pairs: Every further side against the first.
        runs: A row a run, by the same keys: its side, name, numbers and plan.
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
    environment = page_templates()
    environment.filters |= {"num": number, "short": short_name, "signed": _signed, "p": _p, "told": _told}
    script = environment.get_template("page.js.j2").render()
    margin = page.plan.margin
    text = environment.get_template("compare_page.html.j2").render(
        page=page,
        title=short_name(page.title, longest=160),
        plots=[
            (
                _uri(difference_plot([(d.name, d) for d in pair.metrics], margin)),
                _uri(difference_plot(pair.classes, margin)),
            )
            for pair in page.pairs
        ],
        learning=[(against, _uri(learning_plot(page.lines, against))) for against in ("epoch", "seconds")],
        version=__version__,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=environment.get_template("page.css.j2").render(),
    )
    write_atomic(path, text)


def _uri(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode() if svg else ""


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3f}"


def _p(value: float | None) -> str:
    return "–" if value is None else "< .001" if value < 0.001 else f"{value:.3f}"


def _told(value: Any) -> str:
    """Return a cell of the table of runs."""
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"
    return "–" if value is None else short_name(value, longest=300)
