"""One COCO instances file as three frames. Imports ranks 0 to 1, `_coco_json`, `_coco_load` and `_problems`.

The frames hold what the file says, by its own ids; `coco` joins the files of a data set.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from detect_transfer import files
from detect_transfer.errors import InputError
from detect_transfer.formats._coco_json import ABSENT, Columns, fit_int64
from detect_transfer.formats._coco_load import load, no_collection
from detect_transfer.formats._problems import Problems
from detect_transfer.table import CATEGORY_SCHEMA, IMAGE_SCHEMA

_IMAGE_KEYS = {"id", "file_name", "width", "height", "split", "group"}
_BOX_KEYS = {
    *("id", "image_id", "category_id", "bbox", "area", "iscrowd", "ignore", "ignore_reason", "occluded", "truncated"),
    *("difficult", "vis_bbox", "track_id", "attributes", "source", "all_classes", "segmentation"),
}
_FIRST_SHOWN = 10
_PLAIN: dict[frozenset[type], type[pl.DataType]] = {
    frozenset({str}): pl.String,
    frozenset({bool}): pl.Boolean,
    frozenset({int}): pl.Int64,
    frozenset({float}): pl.Float64,
    frozenset({int, float}): pl.Float64,
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CocoFile:
    """What one instances file says: frames of images, boxes and categories, and where it lies."""

    path: Path
    images: pl.DataFrame
    boxes: pl.DataFrame
    categories: pl.DataFrame


def read_file(path: Path, *, source: str) -> CocoFile:
    """Read one instances file.

    Args:
        path: The JSON file.
        source: Its name in the `source` column.

    Raises:
        InputError: As `coco.read` tells.
    """
    problems = Problems()
    with no_collection():
        document = load(path)
        images = _images(Columns(document["images"], f"{path}#/images", problems))
        categories = _categories(Columns(document["categories"], f"{path}#/categories", problems))
        annotations = Columns(document["annotations"], f"{path}#/annotations", problems)
        boxes = _boxes(annotations, source)
        problems.raise_any()
        _check_known(annotations, boxes, "image_id", images["image_id"])
        _check_known(annotations, boxes, "category_id", categories["category_id"])
        problems.raise_any()
        n_masks = sum("segmentation" in item for item in annotations.items) if "segmentation" in annotations.keys else 0
    if n_masks:
        _log.info("%s: %d segmentations are not kept, their boxes and areas are", path, n_masks)
    return CocoFile(path, images, _fold_copies(path, boxes), categories)


def _images(columns: Columns) -> pl.DataFrame:
    image_id, name = columns.integers("id"), columns.strings("file_name", required=True)
    width, height = columns.integers("width", required=False), columns.integers("height", required=False)
    data = pl.DataFrame(
        {
            "image_id": image_id,
            "file_name": name,
            "width": width,
            "height": height,
            "split": columns.strings("split"),
            "group": columns.strings("group"),
        }
    ).with_columns(_extras(columns, _IMAGE_KEYS, IMAGE_SCHEMA))
    _check_unique(columns, data["image_id"], "id")
    _check_unique(columns, data["file_name"], "file_name")
    for row in data.with_row_index("row").filter(_BAD_NAME)["row"]:
        _check_name(columns, row, data["file_name"][row])
    side = pl.col("width").is_between(1, 2**31 - 1) & pl.col("height").is_between(1, 2**31 - 1)
    neither = pl.col("width").is_null() & pl.col("height").is_null()
    for row in data.with_row_index("row").filter(~(side.fill_null(False) | neither))["row"]:
        key = "height" if data["width"][row] is not None and data["width"][row] > 0 else "width"
        columns.report(row, key, "IMAGE_SIZE", "width and height must both be there and be at least 1")
    return data.with_columns(pl.col("width", "height").cast(pl.Int32, strict=False))


_BAD_NAME = pl.col("file_name").str.contains(r"^$|^[/\\]|^.:|\\|\x00|(^|/)\.\.(/|$)|^[A-Za-z][A-Za-z0-9+.-]*://")


def _check_name(columns: Columns, row: int, name: str | None) -> None:
    where = f"{columns.where}/{row}/file_name"
    try:
        files.safe_join(Path(), name or "", where=where)
        raise InputError(
            *("PATH_OUTSIDE", "it is an address, not a relative path"),
            remedy="give the path of the picture in the image folder",
            where=where,
            field="file_name",
            value=name,
        )
    except InputError as error:
        columns.problems.put(error)


def _categories(columns: Columns) -> pl.DataFrame:
    data = pl.DataFrame(
        {
            "category_id": columns.integers("id"),
            "name": columns.strings("name", required=True),
            "supercategory": columns.strings("supercategory"),
        }
    ).with_columns(_extras(columns, {"id", "name", "supercategory"}, CATEGORY_SCHEMA))
    _check_unique(columns, data["category_id"], "id")
    _check_unique(columns, data["name"], "name")
    for row in data.with_row_index("row").filter(pl.col("name").str.strip_chars() == "")["row"]:
        columns.report(row, "name", "COCO_NAME", "a class needs a name")
    return data


def _boxes(columns: Columns, source: str) -> pl.DataFrame:
    xywh, visible = columns.boxes("bbox"), columns.boxes("vis_bbox", required=False)
    data = pl.DataFrame(
        {
            "annotation_id": columns.integers("id"),
            "image_id": columns.integers("image_id"),
            "category_id": columns.integers("category_id"),
            **{name: xywh[:, i] for i, name in enumerate(("x1", "y1", "x2", "y2"))},
            "iscrowd": columns.flags("iscrowd"),
            "ignore": columns.flags("ignore"),
            "ignore_reason": columns.strings("ignore_reason"),
            "occluded": columns.numbers("occluded", high=1.0),
            "truncated": columns.numbers("truncated", high=1.0),
            "difficult": columns.flags("difficult"),
            **{name: visible[:, i] for i, name in enumerate(("vis_x1", "vis_y1", "vis_x2", "vis_y2"))},
            "track_id": columns.strings("track_id"),
            "attributes": _attributes(columns),
            "source": columns.strings("source"),
            "area": columns.numbers("area"),
            "all_classes": columns.integers("all_classes", required=False),
        }
    )
    _check_unique(columns, data["annotation_id"], "id")
    reason = pl.when("iscrowd").then(pl.lit("crowd")).when("ignore").then(pl.lit("ignore flag"))
    pointer = pl.format("{}#/annotations/{}", pl.lit(source), pl.int_range(pl.len()))
    return data.with_columns(
        *[(pl.col(f"{a}1") + pl.col(f"{a}2")).alias(f"{a}2") for a in ("x", "y", "vis_x", "vis_y")],
        pl.col("ignore_reason").fill_null(reason),
        pl.col("ignore") | pl.col("iscrowd"),
        pl.col("source").fill_null(pointer),
    ).with_columns(pl.col("vis_x1", "vis_y1", "vis_x2", "vis_y2").fill_nan(None))


def _attributes(columns: Columns) -> pl.Series:
    """Return `attributes` as JSON, with the keys that no column holds put into it."""
    further = sorted(columns.keys - _BOX_KEYS)
    if not further and "attributes" not in columns.keys:
        return pl.Series("attributes", [None] * len(columns.items), dtype=pl.String)
    found: list[str | None] = []
    for index, item in enumerate(columns.items):
        own = item.get("attributes") or {}
        if type(own) is not dict:
            columns.report(index, "attributes", "COCO_TYPE", "expected an object")
            own = {}
        whole = {**own, **{key: item[key] for key in further if key in item}} if further else own
        found.append(orjson.dumps(whole).decode() if whole else None)
    return pl.Series("attributes", found, dtype=pl.String)


def _extras(columns: Columns, known: set[str], schema: dict[str, Any]) -> list[pl.Series]:
    """Return the keys of our own or somebody else's extension as columns; what is no plain value becomes JSON."""
    found = []
    for key in sorted(columns.keys - known):
        values = [None if v is ABSENT else v for v in columns.raw(key)]
        name = f"native_{key}" if key in schema else key
        kinds = frozenset(map(type, values)) - {type(None)}
        dtype = _PLAIN.get(kinds)
        if dtype == pl.Int64 and not fit_int64(values):
            dtype = pl.Float64
        if dtype is None:
            values = [None if v is None else orjson.dumps(v).decode() for v in values]
        found.append(pl.Series(name, values, dtype=dtype or pl.String, strict=False))
    return found


def _check_unique(columns: Columns, values: pl.Series, key: str) -> None:
    if values.null_count() == 0 and values.n_unique() == len(values):
        return
    rows = pl.DataFrame({"value": values}).with_row_index("row").drop_nulls()
    later = rows.with_columns(first=pl.col("row").min().over("value")).filter(pl.col("first") < pl.col("row"))
    for row, first in later.select("row", "first").rows():
        columns.report(row, key, "ID_DUPLICATE", f"entry {first} has the same {key}", remedy="give each its own")


def _check_known(columns: Columns, boxes: pl.DataFrame, key: str, known: pl.Series) -> None:
    lost = boxes.with_row_index("row").filter(~pl.col(key).is_in(known.implode()))
    if lost.is_empty():
        return
    ids = ", ".join(map(str, lost[key].unique(maintain_order=True)[:_FIRST_SHOWN]))
    what = f"{len(lost)} annotations name a {key} that does not exist: {ids}"
    columns.report(lost["row"][0], key, "ID_DANGLING", what, remedy="add what they name, or remove the annotations")


def _fold_copies(path: Path, boxes: pl.DataFrame) -> pl.DataFrame:
    """Make one row without a class of the copies, one a class, that stand for a region ignored for all classes."""
    copies = boxes.filter(pl.col("all_classes").is_not_null())
    if copies.is_empty():
        return boxes.drop("all_classes")
    same = ("image_id", "x1", "y1", "x2", "y2")
    first = boxes.filter(pl.col("annotation_id") == pl.col("all_classes")).filter("ignore")
    odd = copies.join(first, on=["all_classes", *same], how="anti")
    if not odd.is_empty():
        raise InputError(
            "COCO_COPIES",
            "it must be a copy of that annotation: the same image and box, set to be ignored",
            where=f"{path}#/annotations",
            field="all_classes",
            value=odd["all_classes"][0],
            remedy="remove the key 'all_classes', or convert again",
        )
    kept = boxes.filter(pl.col("all_classes").is_null() | (pl.col("annotation_id") == pl.col("all_classes")))
    class_free = pl.when(pl.col("all_classes").is_null()).then(pl.col("category_id"))
    return kept.with_columns(category_id=class_free).drop("all_classes")
