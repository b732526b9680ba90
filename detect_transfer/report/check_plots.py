"""Plots of what a data set holds: classes, sizes and shapes of its boxes, boxes of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.arrays import FloatArray
from detect_transfer.core.input_size import InputSize
from detect_transfer.data.box_checks import scaled_into
from detect_transfer.report.plots import OKABE_ITO, draw_svg, legend_below
from detect_transfer.report.text import plot_name

_MOST_CLASSES = 30
_SIZE = (4.8, 3.4)  # inches
_RATIOS = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)
_SIDES = (pl.min_horizontal, pl.max_horizontal)
_OBJECT = ~pl.col("ignore") & ~pl.col("iscrowd")


def class_bars(table: AnnotationTable) -> str:
    """Plot how many objects each class has, the thirty largest, with a colour a split."""
    counts = _by_class(table)
    if counts.is_empty():
        return ""
    names = dict(table.categories.select("category_id", "name").rows())
    totals = (
        counts.group_by("category_id").agg(pl.col("len").sum()).sort("len", "category_id", descending=[True, False])
    )
    ids = totals["category_id"].to_list()[:_MOST_CLASSES][::-1]

    def draw(figure: Any) -> None:
        axes = figure.add_subplot(xlabel="objects")
        start = np.zeros(len(ids))
        for number, split in enumerate(counts["split"].unique().sort()):
            part = dict(counts.filter(pl.col("split") == split).select("category_id", "len").rows())
            values = np.array([part.get(i, 0) for i in ids], dtype=float)
            axes.barh(range(len(ids)), values, left=start, color=OKABE_ITO[number % len(OKABE_ITO)], label=split)
            start += values
        axes.set_yticks(range(len(ids)), [plot_name(str(names[i])) for i in ids])
        axes.grid(axis="y", visible=False)
        if counts["split"].n_unique() > 1:
            axes.legend(loc="lower right")

    return draw_svg(draw, size=(_SIZE[0], max(_SIZE[1], 1.2 + 0.2 * len(ids))))


def box_sizes(table: AnnotationTable, imgsz: InputSize) -> str:
    """Plot the shorter and longer side of the objects in pixels of the network."""
    rows = _objects(table).filter(pl.col("width").is_not_null() & pl.col("height").is_not_null())
    if rows.is_empty():
        return ""
    scale = rows.select(scaled_into(imgsz, pl.lit(1.0))).to_series().to_numpy()
    shorter, longer = (rows.select(side("w", "h")).to_series().to_numpy() * scale for side in _SIDES)
    edges = np.geomspace(1, max(imgsz.longer, 2), 33)

    def draw(figure: Any) -> None:
        axes = figure.add_subplot(xlabel=f"side in pixels, images at {imgsz} px", ylabel="objects", xscale="log")
        for values, label, colour in ((shorter, "shorter side", 0), (longer, "longer side", 1)):
            axes.hist(values, edges, histtype="step", linewidth=1.8, color=OKABE_ITO[colour], label=label)
        _plain_ticks(axes, [t for t in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048) if t <= imgsz.longer])
        axes.axvline(8, color=OKABE_ITO[3], linestyle=":", label="8 px: the finest cell of a detector")
        legend_below(figure, "")

    return draw_svg(draw, size=_SIZE)


def aspects(table: AnnotationTable) -> str:
    """Plot width over height of the objects."""
    rows = _objects(table)
    values = (rows["w"] / rows["h"]).to_numpy()
    return _histogram(values, np.geomspace(1 / 8, 8, 33), "width over height", "objects", ticks=_RATIOS)


def boxes_of_an_image(table: AnnotationTable) -> str:
    """Plot how many objects an image has."""
    counts = (
        table.images.select("image_id")
        .join(_objects(table).group_by("image_id").len(), on="image_id", how="left")["len"]
        .fill_null(0)
    )
    most = int(counts.max() or 0)  # type: ignore[arg-type]
    edges = np.arange(-0.5, most + 1.5, max(1, -(-most // 30)))
    return _histogram(counts.to_numpy().astype(float), edges, "objects in an image", "images")


def _histogram(values: FloatArray, edges: FloatArray, x: str, y: str, *, ticks: Sequence[float] = ()) -> str:
    if not len(values) or len(edges) < 2:
        return ""

    def draw(figure: Any) -> None:
        axes = figure.add_subplot(xlabel=x, ylabel=y)
        if ticks:
            axes.set_xscale("log")
            _plain_ticks(axes, ticks)
        axes.hist(np.clip(values, edges[0], edges[-1]), edges, color=OKABE_ITO[0])

    return draw_svg(draw, size=_SIZE)


def _plain_ticks(axes: Any, ticks: Sequence[float]) -> None:
    """Mark a logarithmic axis with plain numbers: no formulas are set on the page."""
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)


def _objects(table: AnnotationTable) -> pl.DataFrame:
    """Return the boxes that count and have an area, with width `w`, height `h` and the sides of the image."""
    images = table.images.select("image_id", "split", "width", "height")
    sides = (pl.col("x2") - pl.col("x1")).alias("w"), (pl.col("y2") - pl.col("y1")).alias("h")
    boxes = table.boxes.filter(_OBJECT).with_columns(*sides).filter((pl.col("w") > 0) & (pl.col("h") > 0))
    return boxes.join(images, on="image_id", how="left")


def _by_class(table: AnnotationTable) -> pl.DataFrame:
    rows = _objects(table).with_columns(pl.col("split").fill_null("no split"))
    return rows.group_by("category_id", "split").len()
