"""Plots of scores: what a threshold gives, and whether scores mean what they say."""

from __future__ import annotations

from typing import Any

import numpy as np

from detect_transfer.evaluation import Matches, MetricResult, threshold_curve
from detect_transfer.report.plots import CURVE_SIZE, FAINT, INK, OKABE_ITO, draw_svg, legend_below, stairs


def threshold_curves(matches: Matches) -> str:
    """Plot precision, recall and F1 of all classes together against the score threshold; "" without any detection.

    Args:
        matches: A matching with `score_threshold=0`.
    """
    curve = threshold_curve(matches)
    if curve is None or not len(curve.score):
        return ""

    def draw(figure: Any) -> None:
        axes = figure.add_subplot(xlabel="score threshold", ylabel="share", xlim=(0, 1), ylim=(0, 1.02))
        lines = (("precision", curve.precision, "-"), ("recall", curve.recall, "--"), ("F1", curve.f1, "-."))
        for colour, (name, values, style) in zip(OKABE_ITO, lines, strict=False):
            axes.plot(*stairs(curve.score, values), color=colour, linestyle=style, linewidth=1.8, label=name)
        legend_below(figure, columns=3)

    return draw_svg(draw, size=CURVE_SIZE)


def reliability_diagram(calibration: MetricResult) -> str:
    """Plot precision against the mean score of each bin, with how many detections it holds; "" where there are none."""
    curve = calibration.curves.get("reliability")
    if not curve:
        return ""
    score, precision, count = (np.array(curve[name]) for name in ("score", "precision", "count"))

    def draw(figure: Any) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot([0, 1], [0, 1], color=FAINT, linestyle="--", linewidth=1.2, label="score = precision")
        upper.plot(score, precision, color=OKABE_ITO[0], marker="o", linewidth=1.8, label="detections")
        upper.vlines(score, np.minimum(score, precision), np.maximum(score, precision), color=OKABE_ITO[1], linewidth=1)
        upper.set(ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
        legend_below(figure)
        lower.bar(score, count, width=0.06, color=OKABE_ITO[5], edgecolor=INK, linewidth=0.5)
        lower.set(xlabel="mean score of the bin", ylabel="detections", ylim=(0, None))

    return draw_svg(draw, size=CURVE_SIZE)
