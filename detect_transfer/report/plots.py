"""Plots as SVG text. Every figure is an object of its own: no `pyplot`, so no state is left behind."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from detect_transfer.core.arrays import FloatArray
from detect_transfer.core.quiet_imports import import_fonts
from detect_transfer.core.temporary import private_folder
from detect_transfer.evaluation import Confusion, Matches, Scores, threshold_curve
from detect_transfer.report.text import plot_name

INK, GRID, FAINT = "#22272e", "#d9dee4", "#9aa4af"
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F2BD6")  # and one more
_DASHES = ("-", "--", "-.", ":", (0, (6, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
_NAMED = len(OKABE_ITO)  # classes with a colour and a name of their own; the others are faint
_MOST_BARS, _MOST_CELLS = 24, 24
_RECALL = np.linspace(0, 1, 101)
CURVE_SIZE = (4.8, 4.2)  # inches; in a larger figure the letters could not be read on a phone


def draw_svg(draw: Callable[[Any], None], *, size: tuple[float, float]) -> str:
    """Make a figure of a size in inches, let `draw` fill it, and return it as SVG text."""
    private_folder()
    import_fonts()
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {
        "text.parse_math": False,  # a class may be named `c$x_{$`
        "svg.hashsalt": "detect_transfer",  # the same page for the same run
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "axes.edgecolor": FAINT,
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": GRID,
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
        "axes.facecolor": "none",  # the page shows through, light or dark
        "legend.facecolor": "white",
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a box is drawn for an unknown letter
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support .* natively")
        figure = Figure(figsize=size, layout="constrained")
        canvas = FigureCanvasSVG(figure)
        draw(figure)
        stream = io.StringIO()
        canvas.print_figure(stream, format="svg", facecolor="none", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def pr_curves(scores: Scores) -> str:
    """Plot precision against recall at IoU .5: the mean, the largest classes by name, the others faint."""

    def draw(figure: Any) -> None:
        axes = figure.add_subplot(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
        rows = sorted((r for r in scores.per_class if r.category_id in scores.curves), key=lambda r: -r.n_boxes)
        for i, row in enumerate(rows):
            _class_line(
                axes, _RECALL, np.array(scores.curves[row.category_id].precision), i, f"{row.AP50 or 0:.2f} ", row.name
            )
        if len(rows) > 1:
            mean = np.mean([scores.curves[r.category_id].precision for r in rows], axis=0)
            label = f"{scores.metrics['AP50'] or 0:.2f} mean of {len(rows)} classes"
            axes.plot(_RECALL, mean, color=INK, linewidth=2.6, label=label)
        if rows:
            legend_below(figure, "AP50")

    return draw_svg(draw, size=CURVE_SIZE)


def f1_curves(matches: Matches, names: Mapping[int, str]) -> str:
    """Plot F1 against the score threshold: all classes together, and the largest classes by name.

    Args:
        matches: A matching with `score_threshold=0`.
        names: The name of each category id.
    """

    def draw(figure: Any) -> None:
        axes = figure.add_subplot(xlabel="score threshold", ylabel="F1 at IoU .5", xlim=(0, 1), ylim=(0, 1.02))
        objects = matches.truth.filter(matches.truth["status"] != "ignored")
        largest = objects.group_by("category_id").len().sort("len", "category_id", descending=[True, False])
        for i, category_id in enumerate(largest["category_id"].to_list()):
            curve = threshold_curve(matches, category_id)
            if curve is not None and len(curve.f1):
                x, y = stairs(curve.score, curve.f1)
                _class_line(axes, x, y, i, f"{curve.f1.max():.2f} ", names.get(category_id, ""))
        whole = threshold_curve(matches)
        if whole is not None and len(whole.f1):
            best = int(np.argmax(whole.f1))
            label = f"{whole.f1[best]:.2f} all, best at {whole.score[best]:.3f}"
            axes.plot(*stairs(whole.score, whole.f1), color=INK, linewidth=2.6, label=label)
            axes.axvline(whole.score[best], color=INK, linewidth=1, linestyle=":")
            legend_below(figure, "best F1")

    return draw_svg(draw, size=CURVE_SIZE)


def stairs(score: FloatArray, value: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return at most some 400 points of a curve with ascending score."""
    keep = np.unique(np.linspace(0, len(score) - 1, min(len(score), 400)).astype(int))
    return score[keep][::-1], value[keep][::-1]


def _class_line(axes: Any, x: FloatArray, y: FloatArray, index: int, prefix: str, name: str) -> None:
    if index < _NAMED:
        label = prefix + plot_name(name)
        axes.plot(x, y, color=OKABE_ITO[index], linestyle=_DASHES[index], linewidth=1.4, label=label)
    else:
        axes.plot(x, y, color=FAINT, linewidth=0.5, alpha=0.6)


def legend_below(figure: Any, title: str | None = None, *, columns: int = 2) -> None:
    """Put the legend below the axes, where it covers no line."""
    figure.legend(title=title, fontsize=8, title_fontsize=8, loc="outside lower center", ncols=columns, frameon=False)


def confusion_map(confusion: Confusion) -> str:
    """Plot the confusion as a heat map, each row as shares of its true class; the classes most confused when many."""
    counts = confusion.counts
    k = len(confusion.names)
    wrong = counts[:k].sum(axis=1) - np.diag(counts)[:k] + counts[:, :k].sum(axis=0) - np.diag(counts)[:k]
    shown = np.sort(np.argsort(-wrong, kind="stable")[:_MOST_CELLS])
    index = np.append(shown, k)
    part = counts[np.ix_(index, index)]
    share = part / np.maximum(counts[index].sum(axis=1, keepdims=True), 1)
    names = [plot_name(confusion.names[i], longest=18) for i in shown] + ["background"]

    def draw(figure: Any) -> None:
        axes = figure.add_subplot(xlabel="predicted", ylabel="true")
        axes.grid(visible=False)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)
        size = 9 if len(names) <= 12 else 8
        for y, x in np.argwhere(part > 0).tolist():
            colour = "white" if share[y, x] > 0.55 else INK
            axes.text(x, y, str(part[y, x]), ha="center", va="center", fontsize=size, color=colour)

    side = 1.8 + 0.38 * len(names)
    return draw_svg(draw, size=(max(4.8, side + 0.6), max(3.6, side - 0.2)))


def hidden_classes(n_classes: int) -> int:
    """Return how many classes `confusion_map` leaves out."""
    return max(0, n_classes - _MOST_CELLS)


def class_bars(scores: Scores) -> str:
    """Plot AP with its interval and AP50 of each class, best first; with many classes the best and the worst."""
    rows = sorted((r for r in scores.per_class if r.AP is not None), key=lambda r: -(r.AP or 0))
    if len(rows) > _MOST_BARS:
        rows = rows[: _MOST_BARS // 2] + rows[-_MOST_BARS // 2 :]
    spans = [None if scores.interval is None else scores.interval.per_class[r.category_id]["AP"] for r in rows]

    def draw(figure: Any) -> None:
        axes = figure.add_subplot(xlabel="AP (bar) and AP50 (dot)", xlim=(0, 1.02))
        at = np.arange(len(rows))
        axes.barh(at, [r.AP or 0 for r in rows], color=OKABE_ITO[0], height=0.62)
        axes.plot([r.AP50 or 0 for r in rows], at, "o", color=OKABE_ITO[1], markersize=4, zorder=4)
        for y, span in enumerate(spans):
            if span is not None:
                axes.plot(span, (y, y), color=INK, linewidth=1.4, marker="|", markersize=7)
        axes.set_yticks(at, [plot_name(r.name) for r in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")

    return draw_svg(draw, size=(CURVE_SIZE[0], 1.0 + 0.24 * max(len(rows), 1)))


def training_curves(history: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Plot `AP`, `loss` and `lr` against the epoch, one SVG each; epoch 0 is the model before training.

    Args:
        history: A row an epoch as in `metrics.jsonl`; `lr` is a number, or one for each stage. Where there are several
            values of `phase`, every second one is shaded.

    Returns:
        The plots that have something to show.
    """
    phases = _phases(history)
    return {
        name: _panel(lines, label, phases)
        for name, label in (("AP", "AP"), ("loss", "loss"), ("lr", "learning rate"))
        if (lines := _series(history, name))
    }


def _phases(history: Sequence[Mapping[str, Any]]) -> dict[Any, list[float]]:
    """Return the epochs of each phase; none where there is one phase alone."""
    epochs: dict[Any, list[float]] = {}
    for row in history:
        if row.get("phase") is not None and row["epoch"] > 0:
            epochs.setdefault(row["phase"], []).append(float(row["epoch"]))
    return epochs if len(epochs) > 1 else {}


def _panel(lines: Mapping[str, list[tuple[float, float]]], label: str, phases: Mapping[Any, list[float]]) -> str:
    def draw(figure: Any) -> None:
        axes = figure.add_subplot(xlabel="epoch", ylabel=label)
        for j, (phase, epochs) in enumerate(phases.items()):
            low, high = min(epochs) - 0.5, max(epochs) + 0.5
            axes.axvspan(low, high, color=FAINT, alpha=0.28 if j % 2 else 0.1, linewidth=0)
            style = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "bottom"}
            axes.text((low + high) / 2, 1.01, plot_name(f"phase {phase}"), fontsize=8, **style)
        for j, (name, points) in enumerate(lines.items()):
            style = {"color": OKABE_ITO[j % _NAMED], "linestyle": _DASHES[j % _NAMED]}
            axes.plot(*zip(*points, strict=True), marker="o", markersize=3, linewidth=1.6, label=name, **style)
        axes.set_ylim(bottom=0)
        axes.xaxis.get_major_locator().set_params(integer=True)
        if len(lines) > 1:
            axes.legend(fontsize=8)

    return draw_svg(draw, size=(4.0, 3.0))


def _series(history: Sequence[Mapping[str, Any]], name: str) -> dict[str, list[tuple[float, float]]]:
    """Collect the points of one panel, a line for each label; stages with the same rates share a line."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in history:
        value = row.get(name)
        if name == "AP":
            given = {key: row.get(key) for key in ("AP", "AP50", "AP75")}
        elif name == "loss":
            given = {key.removeprefix("loss_"): v for key, v in row.items() if key.startswith("loss")}
        else:
            given = dict(value) if isinstance(value, Mapping) else {"lr": value}
        for label, number in given.items():
            if isinstance(number, int | float) and np.isfinite(number):
                lines.setdefault(plot_name(label), []).append((float(row["epoch"]), float(number)))
    if name != "lr":
        return lines
    same: dict[tuple[tuple[float, float], ...], list[str]] = {}
    for label, points in lines.items():
        same.setdefault(tuple(points), []).append(label)
    return {", ".join(labels): list(points) for points, labels in same.items()}
