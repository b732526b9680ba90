"""Several instances files as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import orjson
import polars as pl

from detect_transfer.core.annotations import JSON
from detect_transfer.formats.coco.file import CocoFile
from detect_transfer.formats.parsing.error_collector import ErrorCollector


def join_files(parts: Sequence[CocoFile], errors: ErrorCollector) -> CocoFile:
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
    boxes = pl.concat([p.boxes for p in parts])
    return CocoFile(parts[0].path, images, boxes, parts[0].categories, errors)


def _together(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of all; a further key whose values are JSON in one file is JSON in all."""
    as_json = {name for frame in frames for name, dtype in frame.schema.items() if dtype == JSON}
    alike = [frame.with_columns(_as_json(frame[name]) for name in as_json & set(frame.columns)) for frame in frames]
    return pl.concat(alike, how="diagonal_relaxed")


def _as_json(values: pl.Series) -> pl.Series:
    if values.dtype in (JSON, pl.Null):
        return values.cast(JSON)
    return pl.Series(values.name, [None if v is None else orjson.dumps(v) for v in values], dtype=JSON)


def _check_images_once(parts: Sequence[CocoFile], errors: ErrorCollector) -> None:
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


def _one_class_list(parts: Sequence[CocoFile]) -> Sequence[CocoFile]:
    """Give all files the same classes: those of the first, then what others add, under ids that mean one name."""
    together = _together([p.categories for p in parts])
    classes = together.unique("name", keep="first", maintain_order=True)
    agreed = together.select("category_id", "name").n_unique() == len(classes)
    if not agreed or classes["category_id"].n_unique() < len(classes):
        classes = classes.with_columns(category_id=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))
    joined = []
    for part in parts:
        new = part.categories.select("category_id", "name").join(classes.select("name", new="category_id"), on="name")
        boxes = part.boxes.join(new.drop("name"), on="category_id", how="left", maintain_order="left")
        joined.append(replace(part, boxes=boxes.with_columns(category_id="new").drop("new"), categories=classes))
    return joined


def _unique_ids(parts: Sequence[CocoFile], key: str) -> Sequence[CocoFile]:
    """Number the images or the annotations of all files again if an id occurs in two of them."""
    of_images = key == "image_id"
    ids = [(p.images if of_images else p.boxes)[key] for p in parts]
    every = pl.concat(ids)
    if every.n_unique() == len(every):
        return parts
    renumbered, start = [], 1
    for part, own in zip(parts, ids, strict=True):
        new = pl.DataFrame({key: own, "new": pl.int_range(start, start + len(own), dtype=pl.Int64, eager=True)})
        start += len(own)
        images, boxes = (
            frame.join(new, on=key, how="left", maintain_order="left")
            .with_columns(pl.col("new").alias(key))
            .drop("new")
            if of_images or which == "boxes"
            else frame
            for which, frame in (("images", part.images), ("boxes", part.boxes))
        )
        renumbered.append(replace(part, images=images, boxes=boxes))
    return renumbered
