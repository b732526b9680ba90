"""Cleaning: what no detector should be trained on leaves by a named rule, and every event is counted.

Whole-column expressions throughout, so that ten million boxes take seconds.
"""

from __future__ import annotations

import polars as pl

from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.ledger import Ledger, LedgerStep

RAW_BOX = "raw_box"  # the key in `attributes` that holds the box as it was annotated
_VISIBLE = ("vis_x1", "vis_y1", "vis_x2", "vis_y2")
_SAME_BOX = ("image_id", "category_id", *XYXY, "iscrowd", "ignore")
_RAW = tuple(f"_raw_{c}" for c in XYXY)
_LARGE_LOSS = 0.01  # a box that loses more than this share of its area keeps a record of what it was


def clean(table: AnnotationTable, ledger: Ledger, *, min_size: float = 0.0) -> AnnotationTable:
    """Clip boxes to their image, drop those without area or too small, and make one of exact duplicates.

    Rows in an image of unknown size are not clipped. A box that loses more than 1 % of its area keeps the annotated
    corners in `attributes` under `raw_box`. Duplicates are rows of one image with the same class, box and flags.
    Cleaning twice changes nothing further.

    Args:
        table: What a reader gave.
        ledger: Gets the step `clean`.
        min_size: Boxes with a shorter side, in pixels after clipping, are dropped.
    """
    step = ledger.open("clean", images=len(table.images), boxes=len(table.boxes))
    columns = table.boxes.columns
    sizes = table.images.select("image_id", pl.col("width").alias("_width"), pl.col("height").alias("_height"))
    boxes = table.boxes.join(sizes, on="image_id", how="left", maintain_order="left").with_columns(
        *[pl.col(c).alias(raw) for c, raw in zip(XYXY, _RAW, strict=True)]
    )
    boxes = _drop_small(_clip(boxes), min_size, step)
    boxes = _drop(boxes, ~pl.struct(_SAME_BOX).is_first_distinct(), "exact duplicate of a row before it", step)
    _count_clipped(boxes, step)
    unsized = table.images.filter(pl.col("width").is_null() | pl.col("height").is_null())
    step.add("image", "noted", "size not known: boxes are not clipped", len(unsized), unsized["file_name"])
    cleaned = _limit_area(_remember_raw(boxes)).select(columns)
    step.close(images_out=len(table.images), boxes_out=len(cleaned))
    return table.with_boxes(cleaned)


def _clip(boxes: pl.DataFrame) -> pl.DataFrame:
    return boxes.with_columns(_clipped(c) for c in (*XYXY, *_VISIBLE))


def _clipped(column: str) -> pl.Expr:
    """Return a coordinate clipped to its image; null, and one in an image of unknown size, stays as it is."""
    value, limit = pl.col(column), pl.col("_width" if column[-2] == "x" else "_height").cast(pl.Float64)
    inside = pl.min_horizontal(value.clip(lower_bound=0.0), limit)
    told = value.is_not_null() & pl.col("_width").is_not_null() & pl.col("_height").is_not_null()
    return pl.when(told).then(inside).otherwise(value).alias(column)


def _drop_small(boxes: pl.DataFrame, min_size: float, step: LedgerStep) -> pl.DataFrame:
    """Drop what has no area, or a side below `min_size` pixels; the reason tells the cases apart."""
    had_area = (pl.col("_raw_x2") > pl.col("_raw_x1")) & (pl.col("_raw_y2") > pl.col("_raw_y1"))
    has_area = (pl.col("x2") > pl.col("x1")) & (pl.col("y2") > pl.col("y1"))
    boxes = _drop(boxes, ~had_area, "no width or no height as annotated", step)
    boxes = _drop(boxes, ~has_area, "outside the image", step)
    side = pl.min_horizontal(pl.col("x2") - pl.col("x1"), pl.col("y2") - pl.col("y1"))
    return _drop(boxes, side < min_size, f"a side below {min_size:g} px", step)


def _drop(boxes: pl.DataFrame, unwanted: pl.Expr, reason: str, step: LedgerStep) -> pl.DataFrame:
    mask = boxes.select(unwanted).to_series()
    if not mask.any():
        return boxes
    leaving = boxes.filter(mask)
    step.add("box", "dropped", reason, len(leaving), leaving["source"])
    return boxes.filter(~mask)


def _count_clipped(boxes: pl.DataFrame, step: LedgerStep) -> None:
    """Count the boxes that were clipped and stay; a slip of a pixel and a gross one are told apart."""
    cut = [(pl.col(c) - pl.col(raw)).abs() for c, raw in zip(XYXY, _RAW, strict=True)]
    clipped = boxes.select("source", pl.max_horizontal(cut).alias("cut")).filter(pl.col("cut") > 0)
    for reason, those in (
        ("clipped by <= 1 px", clipped.filter(pl.col("cut") <= 1)),
        ("clipped by > 1 px", clipped.filter(pl.col("cut") > 1)),
    ):
        step.add("box", "changed", reason, len(those), those["source"])


def _remember_raw(boxes: pl.DataFrame) -> pl.DataFrame:
    """Write the annotated corners into `attributes` where clipping took much of the box."""
    area = (pl.col("x2") - pl.col("x1")) * (pl.col("y2") - pl.col("y1"))
    raw_area = (pl.col("_raw_x2") - pl.col("_raw_x1")) * (pl.col("_raw_y2") - pl.col("_raw_y1"))
    raw = pl.concat_str(pl.lit(f'"{RAW_BOX}":['), pl.concat_str(*_RAW, separator=","), pl.lit("]}"))
    old = pl.col("attributes").str.strip_chars()
    bare = old.is_null() | old.str.contains(r"^\{\s*\}$")
    written = (
        pl.when(bare).then(pl.concat_str(pl.lit("{"), raw)).otherwise(pl.concat_str(old.str.head(-1), pl.lit(","), raw))
    )
    known = old.str.contains(f'"{RAW_BOX}"', literal=True).fill_null(False)
    much = (area < (1 - _LARGE_LOSS) * raw_area) & ~known
    return boxes.with_columns(pl.when(much).then(written).otherwise(pl.col("attributes")).alias("attributes"))


def _limit_area(boxes: pl.DataFrame) -> pl.DataFrame:
    """Keep a stated area, such as that of a mask, from being larger than what clipping left of its box."""
    if "area" not in boxes.columns:
        return boxes
    box = (pl.col("x2") - pl.col("x1")) * (pl.col("y2") - pl.col("y1"))
    moved = pl.any_horizontal(pl.col(c) != pl.col(raw) for c, raw in zip(XYXY, _RAW, strict=True))
    limited = pl.when(moved & (pl.col("area") > box)).then(box).otherwise(pl.col("area"))
    return boxes.with_columns(limited.alias("area"))
