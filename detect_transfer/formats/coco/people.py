"""COCO files of pedestrians, which name their splits and state visible parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.columns import text_of
from detect_transfer.core.errors import InputError
from detect_transfer.formats.coco.file import CocoFile, read_file
from detect_transfer.formats.coco.join import join_files
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.box_format import PIXEL_SIZES
from detect_transfer.formats.parsing.locations import split_named
from detect_transfer.formats.parsing.source import Source

_SPLIT = re.compile(r".*[_-](?=[^_-]+$)")  # what stands before the split in the name of a file


def split_files(source: Source, what: str, *, subset: str = "") -> dict[str, str]:
    """Return the JSON files of a data set that are named after a split, with that split.

    Args:
        source: The data set.
        what: How such files are named, for the message.
        subset: What their paths must hold.

    Raises:
        InputError: There is no such file.
    """
    names = [name for name in io.list_files(source.root, (".json",)) if subset in name]
    stated = {name: split_named(_SPLIT.sub("", PurePosixPath(name).stem)) for name in names}
    splits = {name: split for name, split in stated.items() if split is not None}
    if not splits:
        missing = f"there is no {what}" + (f" with '{subset}' in its path" if subset else "")
        raise InputError("ANNOTATION_MISSING", missing, where=source.root, remedy="give the folder that holds them")
    return splits


def read_people(
    source: Source, names: Mapping[str, str | None], *, misspelt: Mapping[str, str] | None = None
) -> CocoFile:
    """Read COCO files as one; `occluded` is the hidden share where a visible box or the visible share is stated.

    The ids are those of the files, except where two files mean different things by one; `native_image_id` is always
    that of the file.

    Args:
        source: The data set; faults go to it.
        names: The files, with the split of each.
        misspelt: Class names in lower case that stand for others.

    Raises:
        InputError: As for `coco.read`.
    """
    parts = []
    for name, split in names.items():
        native.require_regular(source.root, source.root / name)
        part = read_file(source.root / name, source=name, on_error=source.on_error, lenient=True)
        source.errors.absorb(part.errors)
        where = text_of("{}/{}#/images/{}", pl.lit(str(source.root)), pl.lit(name), pl.int_range(pl.len()))
        images = part.images.with_columns(split=pl.lit(split), stated_at=where, native_image_id="image_id")
        part = replace(part, images=images)
        parts.append(_lower_classes(part, misspelt or {}))
    whole = join_files(parts, source.errors)
    seen = (pl.col("vis_x2") - pl.col("vis_x1")) * (pl.col("vis_y2") - pl.col("vis_y1"))
    area = (pl.col("x2") - pl.col("x1")) * (pl.col("y2") - pl.col("y1"))
    hidden = pl.when(area > 0).then((1 - seen / area).clip(0, 1))
    occluded = pl.coalesce(hidden, 1 - pl.col("vis_ratio"), "occluded")
    return replace(whole, boxes=whole.boxes.with_columns(occluded=occluded))


def _lower_classes(part: CocoFile, misspelt: Mapping[str, str]) -> CocoFile:
    """Name the classes in lower case; those that then share a name become one."""
    name = pl.col("name").str.strip_chars().str.to_lowercase().replace(dict(misspelt))
    lower = part.categories.with_columns(name)
    first = pl.col("category_id").first().over("name")
    ids = dict(lower.select("category_id", first=first).rows())
    boxes = part.boxes.with_columns(pl.col("category_id").replace(ids))
    return replace(part, categories=lower.unique("name", keep="first", maintain_order=True), boxes=boxes)


def table_of_people(source: Source, whole: CocoFile) -> AnnotationTable:
    """Find the images and make the table; the ids stay.

    Raises:
        InputError: There are faults, or no image is left.
    """
    images = whole.images
    for name, where, width, height in images.select("file_name", "stated_at", "width", "height").rows():
        source.add_image(name, where, (width, height) if width and height else None)
    found_images = source.find_images()
    source.errors.raise_any()
    files = {name: image.file_name for name, image in found_images.items()}
    sizes = [(name, *(image.size_wh or (None, None))) for name, image in found_images.items()]
    schema = {"file_name": pl.String, "width": pl.Int32, "height": pl.Int32}
    frame = pl.DataFrame(sizes, schema=schema, orient="row")
    images = images.drop("width", "height", "stated_at").join(frame, on="file_name", maintain_order="left")
    if images.is_empty():
        remedy = "give the folder that holds the annotations with their images"
        raise InputError("IMAGES_NONE", "no image is left", where=source.root, remedy=remedy)
    boxes = whole.boxes.join(images, on="image_id", how="semi", maintain_order="left")
    lost = whole.boxes.join(images, on="image_id", how="anti")["source"]
    source.errors.note("its image is left out", len(lost), tuple(lost.head(1000)), kind="box")
    source.errors.rename_skipped(lambda name: [files.get(name, name)])
    return native.finish(
        source.errors,
        images=images.with_columns(pl.col("file_name").replace(files)),
        boxes=boxes,
        categories=whole.categories.sort("category_id"),
        image_root=source.root,
        box_format=PIXEL_SIZES,
    )
