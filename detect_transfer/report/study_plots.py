"""Plots of a study: learning curves with bands, differences with intervals, AP over time, and overfitting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from detect_transfer.evaluation.study.answers import StudyAnswers
from detect_transfer.evaluation.study.forgetting import ForgettingCurve
from detect_transfer.evaluation.study.learning_curve import FARTHEST
from detect_transfer.report.plots import CURVE_SIZE, OKABE_ITO, draw_svg, legend_below
from detect_transfer.report.text import plot_name

_MARKERS = "osv^Dxp"
_DASHES = ("-", "--", "-.", ":", (0, (6, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))


def _styles(arms: Sequence[str]) -> Iterator[tuple[str, str, str, Any]]:
    """Yield each arm with its colour, marker and dashes: no arm is known by its colour alone."""
    for i, arm in enumerate(arms):
        yield arm, OKABE_ITO[i % len(OKABE_ITO)], _MARKERS[i % len(_MARKERS)], _DASHES[i // len(OKABE_ITO) % 7]


def curves_plot(answers: StudyAnswers) -> str:
    """Plot AP of every run over the training images, the fitted curves and their 95 % bands; "" without a run."""
    if not answers.runs.arms:
        return ""
    curves = {curve.arm: curve for curve in answers.curves}

    def draw(figure: Any) -> None:
        axes = figure.add_subplot(xlabel="training images", ylabel="AP on the test images", xscale="log")
        for arm, colour, marker, dashes in _styles(answers.runs.arms):
            scores, curve = answers.runs.scores(arm), curves[arm]
            axes.plot(scores.n_images, scores.ap, marker, color=colour, markersize=4, alpha=0.75, label=plot_name(arm))
            if curve.reason is not None:
                continue
            measured = np.geomspace(curve.smallest, curve.largest, 60)
            beyond = np.geomspace(curve.largest, FARTHEST * curve.largest, 30)
            for n_images, style, alpha in ((measured, dashes, 0.2), (beyond, ":", 0.1)):
                ap, low, high = curve.band(n_images)
                axes.plot(n_images, ap, color=colour, linestyle=style, linewidth=1.6)
                axes.fill_between(n_images, np.maximum(low, 0), high, color=colour, alpha=alpha, linewidth=0)
        axes.set_ylim(bottom=0)
        axes.set_xticks(_ticks(sorted({run.n_images for run in answers.runs.runs})))
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.xaxis.set_minor_formatter("")
        legend_below(figure)

    return draw_svg(draw, size=CURVE_SIZE)


def _ticks(sizes: Sequence[int]) -> list[int]:
    """Return the sizes whose numbers have room on a logarithmic axis: the largest, and down at a half or less."""
    ticks = list(sizes[-1:])
    for size in sizes[::-1]:
        if size <= ticks[-1] / 2:
            ticks.append(size)
    return ticks


def gains_plot(answers: StudyAnswers) -> str:
    """Plot what each arm has more than the baseline at each size, with intervals; "" where nothing is compared."""
    rows = [row.comparison for row in answers.against if row.comparison.by_size]
    if not rows:
        return ""

    def draw(figure: Any) -> None:
        axes = figure.add_subplot(xlabel="training images", ylabel=f"AP more than {plot_name(answers.baseline)}")
        axes.axhspan(-answers.margin, answers.margin, color=OKABE_ITO[5], alpha=0.18, linewidth=0)
        axes.axhline(0, color="#22272e", linewidth=1)
        sizes = sorted({v.n_images for row in rows for v in row.by_size if v.n_images is not None})
        styles = {arm: style for arm, *style in _styles(answers.runs.arms)}
        for i, row in enumerate(rows):
            colour, marker, _ = styles[row.second]
            aside = (i - (len(rows) - 1) / 2) * 0.7 / len(rows)
            for j, v in enumerate(row.by_size):
                at, apart = sizes.index(v.n_images or 0) + aside, v.difference or 0.0
                low, high = v.interval or (apart, apart)
                axes.plot([at, at], [low, high], color=colour, linewidth=2, solid_capstyle="butt")
                axes.plot([at], [apart], marker, color=colour, label=plot_name(row.second) if j == 0 else None)
        axes.set_xticks(range(len(sizes)), [f"{n:,}" for n in sizes])
        legend_below(figure)

    return draw_svg(draw, size=CURVE_SIZE)


def time_plot(answers: StudyAnswers, axis: str) -> str:
    """Plot validation AP of every run at the largest size against `seconds` or `images_seen`; "" without a history."""
    label = "seconds since the start" if axis == "seconds" else "training images seen"

    def draw(figure: Any) -> None:
        axes = figure.add_subplot(xlabel=label, ylabel="AP on the validation images")
        for arm, colour, marker, dashes in _styles(answers.runs.arms):
            for i, history in enumerate(answers.runs.histories(arm, answers.runs.sizes(arm)[-1])):
                style = {"color": colour, "marker": marker, "linestyle": dashes, "markersize": 3, "linewidth": 1.2}
                axes.plot(getattr(history, axis), history.ap, label=plot_name(arm) if i == 0 else None, **style)
        axes.set_ylim(bottom=0)
        legend_below(figure)

    runs = answers.runs
    return (
        draw_svg(draw, size=CURVE_SIZE) if any(r.histories(a, r.sizes(a)[-1]) for r in [runs] for a in r.arms) else ""
    )


def overfitting_plot(answers: StudyAnswers, largest: bool) -> str:
    """Plot training AP less validation AP over the images seen, at the largest or smallest size; "" without it."""
    rows = {}
    for row in answers.at_sizes if largest else answers.at_sizes[::-1]:
        rows[row.arm] = row  # the last of an arm stays
    if not any(row.overfitting.n_runs for row in rows.values()):
        return ""

    def draw(figure: Any) -> None:
        axes = figure.add_subplot(xlabel="training images seen", ylabel="training AP less validation AP")
        axes.axhline(0, color="#22272e", linewidth=1)
        for arm, colour, marker, dashes in _styles(answers.runs.arms):
            gap = rows[arm].overfitting
            if gap.n_runs:
                style = {"color": colour, "marker": marker, "linestyle": dashes, "markersize": 3, "linewidth": 1.6}
                axes.plot(gap.images_seen, gap.gap, label=f"{plot_name(arm)}, {rows[arm].n_images:,} images", **style)
        legend_below(figure)

    return draw_svg(draw, size=CURVE_SIZE)


def forgetting_plot(curves: Sequence[tuple[str, ForgettingCurve]]) -> str:
    """Plot AP on the new task against AP on the source task over the coefficients of each arm; "" without any."""
    shown = [(arm, curve) for arm, curve in curves if curve.points]
    if not shown:
        return ""

    def draw(figure: Any) -> None:
        axes = figure.add_subplot(xlabel="AP on the source task", ylabel="AP on the new task")
        for (arm, colour, marker, dashes), (_, curve) in zip(_styles([arm for arm, _ in shown]), shown, strict=True):
            kept, new = ([getattr(p, name).value for p in curve.points] for name in ("kept_ap", "new_ap"))
            axes.plot(kept, new, color=colour, marker=marker, linestyle=dashes, label=plot_name(arm))
            for x, y, point in zip(kept, new, curve.points, strict=True):
                axes.annotate(f"{point.coefficient:g}", (x, y), xytext=(4, 4), textcoords="offset points", fontsize=8)
        legend_below(figure)

    return draw_svg(draw, size=CURVE_SIZE)
