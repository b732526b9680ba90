"""Plots of a comparison: differences with their intervals, and the learning curves of the runs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from detect_transfer.evaluation.comparison import Difference
from detect_transfer.report.plots import CURVE_SIZE, INK, OKABE_ITO, draw_svg, legend_below
from detect_transfer.report.text import plot_name

_COLOURS = {"better": OKABE_ITO[2], "worse": OKABE_ITO[1], "same": OKABE_ITO[0], "cannot tell": "#6E7781"}
_MARKERS = {"better": "^", "worse": "v", "same": "s", "cannot tell": "o"}
_DASHES = ("-", "--", "-.", ":")
_MOST = 30


@dataclass(frozen=True)
class Line:
    """The learning curve of one run.

    Args:
        group: The group of runs that it belongs to, from 0.
        name: The name of the run.
        history: A row an epoch, with `epoch`, `AP` and `epoch_seconds`.
    """

    group: int
    name: str
    history: Sequence[Mapping[str, Any]]


def difference_plot(rows: Sequence[tuple[str, Difference]], margin: float) -> str:
    """Plot each difference with its interval, and the margin as a band; "" where there is none to show.

    Of more than thirty, those with the largest differences are shown.
    """
    shown = [(name, d) for name, d in rows if d.difference is not None]
    if len(shown) > _MOST:
        largest = sorted(shown, key=lambda row: -abs(row[1].difference or 0))[:_MOST]
        shown = [row for row in shown if row in largest]
    if not shown:
        return ""

    def draw(figure: Any) -> None:
        axes = figure.add_subplot(xlabel="second less first")
        axes.axvspan(-margin, margin, color=OKABE_ITO[5], alpha=0.18, linewidth=0)
        axes.axvline(0, color=INK, linewidth=1)
        for at, (_, d) in enumerate(shown):
            low, high = d.interval or (d.difference, d.difference)
            axes.plot([low, high], [at, at], color=_COLOURS[d.verdict], linewidth=2.4, solid_capstyle="butt")
            axes.plot([d.difference], [at], marker=_MARKERS[d.verdict], color=_COLOURS[d.verdict], markersize=7)
        for verdict in dict.fromkeys(d.verdict for _, d in shown):
            label = f"same within {margin:g}" if verdict == "same" else verdict
            axes.plot([], [], marker=_MARKERS[verdict], color=_COLOURS[verdict], linewidth=2.4, label=label)
        axes.set_yticks(range(len(shown)), [plot_name(name) for name, _ in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        legend_below(figure)

    return draw_svg(draw, size=(CURVE_SIZE[0], 1.5 + 0.26 * len(shown)))


def learning_plot(lines: Sequence[Line], against: Literal["epoch", "seconds"]) -> str:
    """Plot AP on the validation split against the epoch, or against the seconds since the start; "" without a point."""
    curves = [(line, *_points(line.history, against)) for line in lines]
    if not any(len(x) for _, x, _ in curves):
        return ""

    def draw(figure: Any) -> None:
        axes = figure.add_subplot(xlabel=against, ylabel="AP")
        dashes = {group: itertools.cycle(_DASHES) for group in {line.group for line in lines}}
        for line, x, y in curves:
            style = {"color": OKABE_ITO[line.group % len(OKABE_ITO)], "linestyle": next(dashes[line.group])}
            axes.plot(x, y, marker="o", markersize=3, linewidth=1.6, label=plot_name(line.name), **style)
        axes.set_ylim(bottom=0)
        legend_below(figure)

    return draw_svg(draw, size=CURVE_SIZE)


def _points(history: Sequence[Mapping[str, Any]], against: str) -> tuple[list[float], list[float]]:
    rows = [row for row in history if isinstance(row.get("AP"), int | float)]
    if against == "epoch":
        x = [float(row["epoch"]) for row in rows]
    else:
        passed = np.cumsum([float(row.get("epoch_seconds") or 0) for row in history])
        x = [float(at) for at, row in zip(passed, history, strict=True) if isinstance(row.get("AP"), int | float)]
    return x, [float(row["AP"]) for row in rows]
