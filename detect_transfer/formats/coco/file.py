"""One COCO instances file as three frames.

The frames hold what the file says, by its own ids; `coco` joins the files of a data set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from detect_transfer.core.annotations import VISIBLE_XYXY, XYXY
from detect_transfer.core.columns import AnyFrame, collected, joined, text_of
from detect_transfer.core.errors import InputError
from detect_transfer.formats.coco.json import Columns, Of
from detect_transfer.formats.coco.lenient import find_foreign, loosen
from detect_transfer.formats.coco.lists import check_unique, read_categories, read_images
from detect_transfer.formats.coco.load import home_of, load
from detect_transfer.formats.coco.shapes import complete_boxes
from detect_transfer.formats.parsing.box_format import PIXEL_SIZES, BoxFormat
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.json_boxes import dump

_BOX_KEYS = {
    *("id", "image_id", "category_id", "bbox", "area", "iscrowd", "ignore", "ignore_reason", "occluded", "truncated"),
    *("difficult", "vis_bbox", "vis_ratio", "track_id", "attributes", "source", "all_classes", "segmentation"),
}
_FIRST_SHOWN = 10
Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame, AnyFrame)


@dataclass(frozen=True)
class InstancesFile:
    """What one instances file says; its boxes are in memory (`CocoFile`) or in a file of ours (`ScannedFile`).

    Args:
        path: Where it lies.
        images: A row an image.
        boxes: A row an annotation.
        categories: A row a class.
        errors: Faults to go on with.
        has_masks: Whether annotations have a segmentation.
        is_ours: Whether our writer wrote it.
        below: Where it did: what its file names lack to be relative to ``images/``, such as ``val/``.
    """

    path: Path
    images: pl.DataFrame
    boxes: AnyFrame
    categories: pl.DataFrame
    errors: ErrorCollector
    has_masks: bool = False
    is_ours: bool = False
    below: str = ""


@dataclass(frozen=True)
class CocoFile(InstancesFile):
    """What one instances file says, in memory."""

    boxes: pl.DataFrame


AnyFile = TypeVar("AnyFile", bound=InstancesFile)


def read_file(
    path: Path,
    *,
    source: str,
    on_error: str = "fail",
    lenient: bool = False,
    box_format: BoxFormat = PIXEL_SIZES,
    images: Path | None = None,
) -> CocoFile:
    """Read one instances file.

    Args:
        path: The JSON file.
        source: Its name in the `source` column.
        on_error: As for `ErrorCollector`; rows at fault are not among the boxes, images at fault are among the images.
        lenient: As for `coco.read`.
        box_format: What the numbers of the boxes are; the corners are in its units.
        images: The folder of the images, where it is known.

    Raises:
        InputError: As `coco.read` tells.
    """
    errors = ErrorCollector(on_error)
    with no_collection():
        loaded = load(path, lenient=lenient)
        document = loaded.lists
        if lenient:
            loosen(document, errors, images or home_of(path))
        else:
            find_foreign(document["images"], errors, images or home_of(path))
        images_found = read_images(Columns(document["images"], f"{path}#/images", errors, of_image))
        categories = read_categories(Columns(document["categories"], f"{path}#/categories", errors))
        annotations = Columns(
            *(document["annotations"], f"{path}#/annotations", errors, of_annotation(images_found, on_error))
        )
        rows, n_masks = read_annotations(annotations, source, box_format)
        boxes = checked(annotations, rows, images_found, categories)
    note_masks(errors, n_masks)
    return CocoFile(
        *(path, images_found.drop("row"), collected(boxes), categories.drop("row"), errors, bool(n_masks)),
        *(loaded.is_ours, loaded.below),
    )


def read_annotations(columns: Columns, source: str, box_format: BoxFormat) -> tuple[pl.DataFrame, int]:
    """Return a row for each annotation without a fault, with its index as `row`, and how many have a segmentation.

    Args:
        columns: The annotations, all of a file or a portion; boxes are written into them.
        source: As for `read_file`.
        box_format: As for `read_file`.
    """
    complete_boxes(columns.items, box_format, columns.errors)
    rows = _good(_boxes(columns, source, box_format), columns)
    has_masks = "segmentation" in columns.keys
    return rows, sum(bool(item.get("segmentation")) for item in columns.items) if has_masks else 0


def checked(columns: Columns, boxes: AnyFrame, images: pl.DataFrame, categories: pl.DataFrame) -> AnyFrame:
    """Check the annotations of a whole file against each other and its lists.

    Args:
        columns: Gets the faults.
        boxes: What `read_annotations` gave.
        images: Of `read_images`.
        categories: Of `read_categories`.

    Returns:
        The boxes without a fault, without `row`.

    Raises:
        InputError: As `coco.read` tells.
    """
    check_unique(columns, boxes, "annotation_id", "id")
    columns.errors.raise_any()
    boxes = _good(boxes, columns)
    _check_known(columns, boxes, "image_id", images)
    _check_known(columns, boxes, "category_id", categories)
    columns.errors.raise_any()
    return _fold_copies(columns.where, _good(boxes, columns).drop("row"))


def note_masks(errors: ErrorCollector, count: int) -> None:
    """Note how many segmentations are left out."""
    errors.remark("segmentation left out: its box and area are kept", count, kind="box")


def of_annotation(images: pl.DataFrame, on_error: str) -> Callable[[dict[str, Any]], Of]:
    """Return what tells whose the fault of an annotation is."""
    return _of_data_set if on_error == "fail" else _blame(images)


def _of_data_set(item: dict[str, Any]) -> Of:
    return {}


def of_image(item: dict[str, Any]) -> Of:
    """Return whose the fault of an image is."""
    name = item.get("file_name")
    return {"image": name} if isinstance(name, str) and name else {}


def _blame(images: pl.DataFrame) -> Callable[[dict[str, Any]], Of]:
    """Return what tells the image of an annotation."""
    names = dict(images.select("image_id", "file_name").drop_nulls().rows())

    def of(item: dict[str, Any]) -> Of:
        image_id = item.get("image_id")
        return {"row_of": names.get(image_id, "") if type(image_id) is int else ""}

    return of


def _good(boxes: Frame, columns: Columns) -> Frame:
    return boxes.filter(~pl.col("row").is_in(sorted(columns.bad))) if columns.bad else boxes


def _boxes(columns: Columns, source: str, box_format: BoxFormat) -> pl.DataFrame:
    numbers = columns.boxes("bbox", sized=box_format.is_sized)
    visible = columns.boxes("vis_bbox", required=False, sized=box_format.is_sized)
    data = pl.DataFrame(
        {
            "annotation_id": columns.integers("id"),
            "image_id": columns.integers("image_id"),
            "category_id": columns.integers("category_id"),
            **{name: numbers[:, i] for i, name in enumerate(XYXY)},
            "iscrowd": columns.flags("iscrowd"),
            "ignore": columns.flags("ignore"),
            "ignore_reason": columns.strings("ignore_reason"),
            "occluded": columns.numbers("occluded", high=1.0),
            "truncated": columns.numbers("truncated", high=1.0),
            "difficult": columns.flags("difficult"),
            **{name: visible[:, i] for i, name in enumerate(VISIBLE_XYXY)},
            "vis_ratio": columns.numbers("vis_ratio", high=1.0),
            "track_id": columns.strings("track_id"),
            "attributes": _attributes(columns),
            "source": columns.strings("source"),
            "area": columns.numbers("area"),
            "all_classes": columns.integers("all_classes", required=False),
        }
    )
    reason = pl.when("iscrowd").then(pl.lit("crowd")).when("ignore").then(pl.lit("ignore flag"))
    pointer = text_of("{}#/annotations/{}", pl.lit(source), pl.int_range(pl.len()) + columns.first)
    return (
        data.with_columns(
            **dict(zip(XYXY, box_format.corners(*XYXY), strict=True)),
            **dict(zip(VISIBLE_XYXY, box_format.corners(*VISIBLE_XYXY), strict=True)),
        )
        .with_columns(
            pl.col("ignore_reason").fill_null(reason),
            pl.col("ignore") | pl.col("iscrowd"),
            pl.col("source").fill_null(pointer),
            (pl.int_range(pl.len()) + columns.first).alias("row"),
        )
        .with_columns(pl.col(VISIBLE_XYXY).fill_nan(None))
    )


def _attributes(columns: Columns) -> pl.Series:
    """Return `attributes` as JSON, with the keys that no column holds put into it."""
    further = sorted(columns.keys - _BOX_KEYS)
    if not further and "attributes" not in columns.keys:
        return pl.Series("attributes", [None] * len(columns.items), dtype=pl.String)
    values: list[str | None] = []
    for index, item in enumerate(columns.items):
        own = item.get("attributes") or {}
        if type(own) is not dict:
            columns.report(index, "attributes", "COCO_TYPE", "expected an object")
            own = {}
        whole = {**own, **{key: item[key] for key in further if key in item}} if further else own
        try:
            values.append(dump(whole, "") if whole else None)
        except InputError as error:
            columns.report(index, "attributes", error.code, error.what)
            values.append(None)
    return pl.Series("attributes", values, dtype=pl.String)


def _check_known(columns: Columns, boxes: AnyFrame, key: str, existing: pl.DataFrame) -> None:
    named = boxes.select("row", "image_id", "category_id")
    lost = collected(joined(named, existing.select(pl.col(key).unique()), on=key, how="anti"))
    if lost.is_empty():
        return
    ids = ", ".join(map(str, lost[key].unique(maintain_order=True)[:_FIRST_SHOWN]))
    what = f"{len(lost)} annotations name a {key} that does not exist: {ids}"
    fault = "ID_DANGLING", what, "add what they name, or remove the annotations"
    for item in (lost if columns.errors.on_error != "fail" else lost.head(1)).iter_rows(named=True):
        columns.report_of(item, item["row"], key, fault)


def _fold_copies(where: str, boxes: AnyFrame) -> AnyFrame:
    """Make one row without a class of the copies, one a class, that stand for a region ignored for all classes."""
    copies = collected(boxes.filter(pl.col("all_classes").is_not_null()))
    if copies.is_empty():
        return boxes.drop("all_classes")
    same = ("image_id", *XYXY)
    first = copies.filter(pl.col("annotation_id") == pl.col("all_classes")).filter("ignore")
    odd = copies.join(first, on=["all_classes", *same], how="anti")
    if not odd.is_empty():
        raise InputError(
            "COCO_COPIES",
            "it must be a copy of that annotation: the same image and box, set to be ignored",
            where=where,
            field="all_classes",
            value=odd["all_classes"][0],
            remedy="remove the key 'all_classes', or convert again",
        )
    first_copies = boxes.filter(pl.col("all_classes").is_null() | (pl.col("annotation_id") == pl.col("all_classes")))
    class_free = pl.when(pl.col("all_classes").is_null()).then(pl.col("category_id"))
    return first_copies.with_columns(category_id=class_free).drop("all_classes")
