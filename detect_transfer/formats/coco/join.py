"""Several instances files as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
import polars as pl

from detect_transfer.core.annotations import JSON
from detect_transfer.core.columns import AnyFrame, collected, has_repeats, joined
from detect_transfer.formats.coco.file import AnyFile
from detect_transfer.formats.parsing.error_collector import ErrorCollector


def join_files(parts: Sequence[AnyFile], errors: ErrorCollector) -> AnyFile:
    """Join the files of a data set, by one list of classes.

    Ids are kept where they are unique across the files. Where they are not (every split of its own counting from 1),
    all are numbered again from 1 in the order of the files; classes are the same where their names are.

    Args:
        parts: The files, whose own faults `errors` has already.
        errors: Where faults go.
    """
    if len(parts) > 1:
        _check_images_once(parts, errors)
        parts = _one_class_list(parts)
        parts = _unique_ids(parts, "image_id")
        parts = _unique_ids(parts, "annotation_id")
    images = _together([p.images for p in parts])
    frames: list[Any] = [p.boxes for p in parts]
    whole = replace(parts[0], images=images, boxes=pl.concat(frames), errors=errors)
    return replace(whole, has_masks=False, is_ours=False, below="")


def _together(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of all; a further key whose values are JSON in one file is JSON in all."""
    as_json = {name for frame in frames for name, dtype in frame.schema.items() if dtype == JSON}
    alike = [frame.with_columns(_as_json(frame[name]) for name in as_json & set(frame.columns)) for frame in frames]
    return pl.concat(alike, how="diagonal_relaxed")


def _as_json(values: pl.Series) -> pl.Series:
    if values.dtype in (JSON, pl.Null):
        return values.cast(JSON)
    return pl.Series(values.name, [None if v is None else orjson.dumps(v) for v in values], dtype=JSON)


def _check_images_once(parts: Sequence[AnyFile], errors: ErrorCollector) -> None:
    names = pl.concat(
        [p.images.select("file_name", file=pl.lit(str(p.path)), row=pl.int_range(pl.len())) for p in parts]
    ).with_columns(first=pl.col("file").first().over("file_name"))
    for name, file, row, first in names.filter(pl.col("file") != pl.col("first")).rows():
        errors.add(
            "IMAGE_TWICE",
            f"{first} lists the same image",
            where=f"{file}#/images/{row}/file_name",
            field="file_name",
            value=name,
            remedy="an image belongs to one split: remove it from the others",
        )


def _one_class_list(parts: Sequence[AnyFile]) -> Sequence[AnyFile]:
    """Give all files the same classes: those of the first, then what others add, under ids that mean one name."""
    together = _together([p.categories for p in parts])
    classes = together.unique("name", keep="first", maintain_order=True)
    agreed = together.select("category_id", "name").n_unique() == len(classes)
    if not agreed or classes["category_id"].n_unique() < len(classes):
        classes = classes.with_columns(category_id=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))
    changed = []
    for part in parts:
        new = part.categories.select("category_id", "name").join(classes.select("name", new="category_id"), on="name")
        boxes = joined(part.boxes, new.drop("name"), on="category_id", how="left")
        changed.append(replace(part, boxes=boxes.with_columns(category_id="new").drop("new"), categories=classes))
    return changed


def _unique_ids(parts: Sequence[AnyFile], key: str) -> Sequence[AnyFile]:
    """Number the images or the annotations of all files again if an id occurs in two of them."""
    ids = [collected((p.images if key == "image_id" else p.boxes).select(key)).to_series() for p in parts]
    if not has_repeats(pl.concat(ids)):
        return parts
    renumbered, start = [], 1
    for part, own in zip(parts, ids, strict=True):
        boxes: AnyFrame = part.boxes
        if key == "image_id":
            new = pl.DataFrame({key: own, "new": pl.int_range(start, start + len(own), dtype=pl.Int64, eager=True)})
            images = part.images.with_columns(new["new"].alias(key))
            boxes = joined(boxes, new, on=key, how="left").with_columns(pl.col("new").alias(key)).drop("new")
            renumbered.append(replace(part, images=images, boxes=boxes))
        else:
            count = pl.col("new").cast(pl.Int64).alias(key)
            boxes = boxes.with_row_index("new", offset=start).with_columns(count).drop("new")
            renumbered.append(replace(part, boxes=boxes))
        start += len(own)
    return renumbered
