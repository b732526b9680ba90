"""COCO files of pedestrians, which name their splits and tell visible parts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.columns import text_of
from detect_transfer.core.errors import InputError
from detect_transfer.formats.coco.file import CocoFile, read_file
from detect_transfer.formats.coco.join import join_files
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import ImageLookup, ImageRef, find_images
from detect_transfer.formats.parsing.locations import split_named
from detect_transfer.formats.parsing.row_table import finish_rows

_SPLIT = re.compile(r".*[_-](?=[^_-]+$)")  # what stands before the split in the name of a file
_OF_TABLE = ("annotation_id", "image_id", "file_name")


def split_files(root: Path, what: str, *, subset: str = "") -> dict[str, str]:
    """Return the JSON files of a data set that are named after a split, with that split.

    Args:
        root: The folder of the data set.
        what: How such files are named, for the message.
        subset: What their paths must hold.

    Raises:
        InputError: There is no such folder, or no such file in it.
    """
    io.require_dir(root, what=f"a folder that holds {what}")
    held = [name for name in io.list_files(root, (".json",)) if subset in name]
    found = {name: split_named(_SPLIT.sub("", PurePosixPath(name).stem)) for name in held}
    splits = {name: split for name, split in found.items() if split is not None}
    if not splits:
        named = f"{what} with '{subset}' in its path" if subset else what
        raise InputError(
            *("ANNOTATION_MISSING", f"there is no {named}"), where=root, remedy="give the folder that holds them"
        )
    return splits


def read_people(root: Path, names: Mapping[str, str | None], on_error: str) -> CocoFile:
    """Read COCO files as one; `occluded` is the hidden share where a visible box is told.

    Args:
        root: The folder of the data set.
        names: The files, relative to `root`, with the split of each.
        on_error: As for `ErrorCollector`.

    Raises:
        InputError: As for `coco.read`.
    """
    problems = ErrorCollector(on_error)
    parts = []
    for name, split in names.items():
        native.require_regular(root, root / name)
        part = read_file(root / name, source=name, on_error=on_error, lenient=True)
        problems.absorb(part.problems)
        place = text_of("{}#/images/{}", pl.lit(name), pl.int_range(pl.len()))
        parts.append(
            replace(
                part, images=part.images.with_columns(split=pl.lit(split), told_in=place, native_image_id="image_id")
            )
        )
    whole = join_files([_lower_classes(part) for part in parts], problems)
    seen = (pl.col("vis_x2") - pl.col("vis_x1")) * (pl.col("vis_y2") - pl.col("vis_y1"))
    area = (pl.col("x2") - pl.col("x1")) * (pl.col("y2") - pl.col("y1"))
    hidden = pl.when(area > 0).then((1 - seen / area).clip(0, 1))
    return replace(
        whole, boxes=whole.boxes.with_columns(occluded=pl.coalesce(hidden, 1 - pl.col("vis_ratio"), "occluded"))
    )


def _lower_classes(part: CocoFile) -> CocoFile:
    """Name the classes in lower case; those that then share a name become one."""
    lower = part.categories.with_columns(pl.col("name").str.strip_chars().str.to_lowercase())
    first = pl.col("category_id").first().over("name")
    ids = dict(lower.select("category_id", first=first).rows())
    boxes = part.boxes.with_columns(pl.col("category_id").replace(ids))
    return replace(part, categories=lower.unique("name", keep="first", maintain_order=True), boxes=boxes)


def rename_classes(whole: CocoFile, names: Mapping[str, str], order: Sequence[str]) -> CocoFile:
    """Give classes other names, and number them from 1: those in `order` first, then the others by their names.

    `native_category_id` keeps the ids that submissions need.
    """
    renamed = whole.categories.with_columns(pl.col("name").replace(dict(names)))
    rest = sorted(set(renamed["name"]) - set(order))
    new = {name: i for i, name in enumerate([n for n in order if n in set(renamed["name"])] + rest, start=1)}
    ids = dict(renamed.select("category_id", pl.col("name").replace_strict(new, return_dtype=pl.Int64)).rows())
    boxes = whole.boxes.with_columns(pl.col("category_id").replace(ids))
    native = dict(renamed.select("name", "category_id").unique("name", keep="first").rows())
    categories = {"category_id": list(new.values()), "name": list(new), "native_category_id": [native[n] for n in new]}
    return replace(whole, categories=pl.DataFrame(categories), boxes=boxes)


def finish_people(root: Path, whole: CocoFile, media: ImageLookup) -> AnnotationTable:
    """Find the images and make the table; `native_image_id` keeps the ids that submissions need.

    Raises:
        InputError: There are faults, or no image is left.
    """
    problems, rows = whole.problems, whole.images.select("file_name", "told_in", "width", "height").rows()
    named = {name: ImageRef(f"{root}/{place}", (w, h) if w and h else None) for name, place, w, h in rows}
    images = find_images(root, named, media, problems)
    image = whole.images.select("image_id", image="file_name")
    facts = whole.images.with_columns(image="file_name")
    return finish_rows(
        problems,
        rows=whole.boxes.join(image, on="image_id", how="left", maintain_order="left").drop(*_OF_TABLE, strict=False),
        found=images,
        categories=whole.categories,
        image_root=root,
        facts=facts.drop("file_name", "image_id", "width", "height", "told_in"),
    )
