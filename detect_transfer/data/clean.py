"""Cleaning: what no detector should be trained on leaves by a named rule, and every event is counted.

What is clipped or dropped goes along, so that detections are scored against the boxes as published. All of it are
whole-column expressions, so that ten million boxes take seconds.
"""

from __future__ import annotations

import polars as pl

from detect_transfer.core.annotations import VISIBLE_XYXY, XYXY, Table
from detect_transfer.core.boxes import ROUNDING_PX
from detect_transfer.core.columns import AnyFrame, collected, count_and_first, joined, repeats
from detect_transfer.core.ledger import Ledger, LedgerStep
from detect_transfer.data.published import RAW_AREA, RAW_BOX, RAW_VISIBLE, box_area, corner, with_dropped

_RAW = tuple(f"_raw_{c}" for c in XYXY)
_RAW_VISIBLE = tuple(f"_raw_{c}" for c in VISIBLE_XYXY)
_PUBLISHED = tuple(f"_published_{c}" for c in XYXY)
_USED = ("annotation_id", "image_id", "category_id", "iscrowd", "ignore", "source")
_SAME_BOX = ("image_id", "category_id", *_PUBLISHED, "iscrowd", "ignore")


def clean(table: Table, ledger: Ledger, *, min_size: float = 1.0) -> Table:
    """Clip boxes to their image, drop those without area or too small, and make one of exact duplicates.

    Rows in an image of unknown size are not clipped. What cleaning changes, `as_published` restores: the corners are in
    `attributes` under `raw_box` and `raw_vis_box`, a stated area under `raw_area`; dropped boxes are in the column
    `boxes_not_trained` of their images. Duplicates are rows of one image with the same class, annotated box and flags.
    Cleaning twice changes nothing further.

    Args:
        table: What a reader gave.
        ledger: Gets the step `clean`.
        min_size: Boxes with a side that is shorter by more than `ROUNDING_PX`, in pixels after clipping, are dropped.
    """
    step = ledger.open("clean", images=len(table.images), boxes=table.n_boxes)
    columns = table.boxes.collect_schema().names()
    changed = [name for name in (*XYXY, *VISIBLE_XYXY, "attributes", "area") if name in columns]
    in_memory = isinstance(table.boxes, pl.DataFrame)
    used = (
        table.boxes.select(*_USED, *changed) if in_memory else table.boxes
    )  # a copy of all columns is a lot of memory
    sizes = table.images.select("image_id", pl.col("width").alias("_width"), pl.col("height").alias("_height"))
    boxes = joined(used, sizes, on="image_id", how="left").with_columns(
        *[pl.col(c).alias(raw) for c, raw in zip((*XYXY, *VISIBLE_XYXY), (*_RAW, *_RAW_VISIBLE), strict=True)],
        *_published_corners(table.boxes),
    )
    left: list[pl.Series] = []
    boxes = _drop_small(_clip(boxes), min_size, step, left)
    boxes = _drop(boxes, repeats(boxes, _SAME_BOX), "exact duplicate of a row before it", step, left)
    _count_clipped(boxes, step)
    unsized = table.images.filter(pl.col("width").is_null() | pl.col("height").is_null())
    step.add("image", "noted", "size not known: boxes are not clipped", len(unsized), unsized["file_name"])
    boxes = _remember_raw(_limit_area(boxes))
    dropped = pl.concat(left) if left else pl.Series(dtype=pl.Int64)
    if isinstance(table.boxes, pl.DataFrame):
        boxes = _without(table.boxes, dropped).with_columns(collected(boxes).select(changed))
    cleaned = table.with_boxes(boxes.select(columns))
    step.close(images_out=len(table.images), boxes_out=cleaned.n_boxes)
    return with_dropped(cleaned, before=table.boxes, dropped=dropped)


def _published_corners(boxes: AnyFrame) -> list[pl.Expr]:
    """Return the corners as annotated, which an earlier cleaning may have put into `attributes`."""
    is_clipped = pl.col("attributes").str.contains(f'"{RAW_BOX}"', literal=True)
    clipped_before = collected(boxes.select(is_clipped.any())).item()
    names = enumerate(zip(XYXY, _PUBLISHED, strict=True))
    return [(pl.coalesce(corner(RAW_BOX, i), c) if clipped_before else pl.col(c)).alias(name) for i, (c, name) in names]


def _clip(boxes: AnyFrame) -> AnyFrame:
    return boxes.with_columns(_clipped(c) for c in (*XYXY, *VISIBLE_XYXY))


def _clipped(column: str) -> pl.Expr:
    """Return a coordinate clipped to its image; null, and one in an image of unknown size, stays as it is."""
    value, limit = pl.col(column), pl.col("_width" if column[-2] == "x" else "_height").cast(pl.Float64)
    inside = pl.min_horizontal(value.clip(lower_bound=0.0), limit)
    is_known = value.is_not_null() & pl.col("_width").is_not_null() & pl.col("_height").is_not_null()
    return pl.when(is_known).then(inside).otherwise(value).alias(column)


def _drop_small(boxes: AnyFrame, min_size: float, step: LedgerStep, left: list[pl.Series]) -> AnyFrame:
    """Drop what has no area, or a side below `min_size` pixels; each case has its own reason."""
    had_area = (pl.col("_raw_x2") > pl.col("_raw_x1")) & (pl.col("_raw_y2") > pl.col("_raw_y1"))
    has_area = (pl.col("x2") > pl.col("x1")) & (pl.col("y2") > pl.col("y1"))
    side = pl.min_horizontal(pl.col("x2") - pl.col("x1"), pl.col("y2") - pl.col("y1"))
    for unwanted, reason in (
        (~had_area, "no width or no height as annotated"),
        (~has_area, "outside the image"),
        (side < min_size - ROUNDING_PX, f"a side below {min_size:g} px"),
    ):
        leaving = collected(boxes.select("annotation_id", "source", unwanted=unwanted).filter("unwanted"))
        boxes = _drop(boxes, leaving, reason, step, left)
    return boxes


def _drop(boxes: AnyFrame, leaving: pl.DataFrame, reason: str, step: LedgerStep, left: list[pl.Series]) -> AnyFrame:
    step.add("box", "dropped", reason, len(leaving), leaving["source"])
    left.append(leaving["annotation_id"])
    return _without(boxes, leaving["annotation_id"])


def _without(boxes: AnyFrame, ids: pl.Series) -> AnyFrame:
    return boxes if ids.is_empty() else joined(boxes, ids.to_frame("annotation_id"), on="annotation_id", how="anti")


def _count_clipped(boxes: AnyFrame, step: LedgerStep) -> None:
    """Count the boxes that were clipped and stay, by up to a pixel and by more."""
    cut = [(pl.col(c) - pl.col(raw)).abs() for c, raw in zip(XYXY, _RAW, strict=True)]
    clipped = boxes.select("source", pl.max_horizontal(cut).alias("cut")).filter(pl.col("cut") > 0)
    for reason, those in (
        ("clipped by <= 1 px", clipped.filter(pl.col("cut") <= 1)),
        ("clipped by > 1 px", clipped.filter(pl.col("cut") > 1)),
    ):
        step.add("box", "changed", reason, *count_and_first(those))


def _limit_area(boxes: AnyFrame) -> AnyFrame:
    """Keep a stated area, such as that of a mask, from being larger than what clipping left of its box."""
    if "area" not in boxes.collect_schema():
        return boxes.with_columns(pl.lit(None, dtype=pl.Float64).alias("_raw_area"))
    limited = pl.when(_moved(XYXY, _RAW) & (pl.col("area") > box_area())).then(box_area())
    return boxes.with_columns(
        pl.coalesce(limited, "area").alias("area"), pl.when(limited.is_not_null()).then("area").alias("_raw_area")
    )


def _remember_raw(boxes: AnyFrame) -> AnyFrame:
    """Write into `attributes` what clipping changed."""
    for key, value in (
        (RAW_BOX, _when_moved(XYXY, _RAW)),
        (RAW_VISIBLE, _when_moved(VISIBLE_XYXY, _RAW_VISIBLE)),
        (RAW_AREA, pl.col("_raw_area").cast(pl.String)),
    ):
        old = pl.col("attributes").str.strip_chars()
        bare = old.is_null() | old.str.contains(r"^\{\s*\}$")
        start = pl.when(bare).then(pl.lit("{")).otherwise(pl.concat_str(old.str.head(-1), pl.lit(",")))
        text = pl.concat_str(start, pl.lit(f'"{key}":'), value, pl.lit("}"))
        is_there = old.str.contains(f'"{key}"', literal=True).fill_null(False)
        boxes = boxes.with_columns(
            pl.when(value.is_not_null() & ~is_there).then(text).otherwise("attributes").alias("attributes")
        )
    return boxes


def _moved(columns: tuple[str, ...], raw: tuple[str, ...]) -> pl.Expr:
    return pl.any_horizontal(pl.col(c) != pl.col(r) for c, r in zip(columns, raw, strict=True)).fill_null(False)


def _when_moved(columns: tuple[str, ...], raw: tuple[str, ...]) -> pl.Expr:
    """Return the JSON text of four raw numbers where a column is no longer one of them, else null."""
    numbers = pl.concat_str(pl.lit("["), pl.concat_str(*raw, separator=","), pl.lit("]"))
    return pl.when(_moved(columns, raw)).then(numbers)
