"""NightOwls, pedestrians at night: `nightowls_<split>.json` in COCO's form.

Boxes are `x, y, width, height` from the top-left corner of the first pixel, which is our own convention.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.coco.file import CocoFile
from detect_transfer.formats.coco.people import read_people, split_files, table_of_people
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.source import Source

_REGION = "ignore"  # what the name of the class of regions begins with
_DIFFICULT = ("keep", "ignore")


def read(
    root: Path,
    *,
    occluded: float = 0.5,
    difficult: str = "keep",
    missing_images: str = "error",
    size_mismatch: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read NightOwls: the classes of the files, in lower case, without the one of regions to be ignored.

    Such regions are crowds without a class. Ids of images and classes are those of the files. The recording
    (`recordings_id`) is the group, `tracking_id` the track; what else is said of images and boxes stays beside them.
    Most frames show nobody and are negatives.

    Args:
        root: The folder that holds the JSON files and, in any folders, the images.
        occluded: The hidden share that a box marked as occluded is taken to have; 0.5 is that of the evaluation.
        difficult: Whether boxes marked as difficult are ignored: ``keep`` as in the evaluation, or ``ignore``.
        missing_images: See `Source`.
        size_mismatch: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems of a file at once, each with
            its JSON pointer.

    Source: L. Neumann et al., NightOwls, ACCV 2018; the API and evaluation code of the data.
    """
    native.check_choice("difficult", difficult, _DIFFICULT)
    if isinstance(occluded, bool) or not isinstance(occluded, int | float) or not 0 <= occluded <= 1:
        raise InputError(
            "OPTION_VALUE", "expected a share from 0 to 1", field="occluded", value=occluded, remedy="give such as 0.5"
        )
    what = "a folder that holds nightowls_<split>.json"
    source = Source(
        root, what, by="tail", missing_images=missing_images, size_mismatch=size_mismatch, on_error=on_error
    )
    whole = read_people(source, split_files(source, "nightowls_<split>.json"))
    hidden = pl.when(pl.col("occluded") > 0).then(pl.lit(float(occluded))).otherwise(pl.col("occluded"))
    boxes = whole.boxes.with_columns(
        occluded=hidden,
        track_id=pl.coalesce("track_id", pl.col("attributes").str.json_path_match("$.tracking_id")),
    )
    if difficult == "ignore":
        is_difficult = pl.col("difficult") & ~pl.col("ignore")
        boxes = boxes.with_columns(
            ignore=pl.col("ignore") | is_difficult,
            ignore_reason=pl.when(is_difficult).then(pl.lit("difficult")).otherwise("ignore_reason"),
        )
    images = whole.images
    if "recordings_id" in images.columns:
        images = images.with_columns(group=pl.coalesce("group", pl.col("recordings_id").cast(pl.String)))
    return table_of_people(source, _free_regions(replace(whole, images=images, boxes=boxes)))


def _free_regions(whole: CocoFile) -> CocoFile:
    """Take the class of regions from these and from the classes."""
    region = pl.col("name").str.starts_with(_REGION)
    ids = whole.categories.filter(region)["category_id"]
    of_region = pl.col("category_id").is_in(ids.implode())
    boxes = whole.boxes.with_columns(
        category_id=pl.when(~of_region).then("category_id"),
        iscrowd=pl.col("iscrowd") | of_region,
        ignore=pl.col("ignore") | of_region,
        ignore_reason=pl.when(of_region).then(pl.lit("ignore area")).otherwise("ignore_reason"),
    )
    return replace(whole, categories=whole.categories.filter(~region), boxes=boxes)
