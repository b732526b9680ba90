"""The check of what a conversion wrote: each target is read back from its files, and compared with the table.

A format without a field for something does not carry it, and is then compared without: `not_carried` counts those.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import polars as pl

from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.io import resource_errors, write_atomic
from detect_transfer.core.ledger import Ledger, LedgerStep
from detect_transfer.data.round_trip import NO_FIELD, Leg, NotCarried, RoundTrip, coco_leg, png_header, yolo_leg
from detect_transfer.data.table_differences import compare_tables
from detect_transfer.formats.coco.reader import read as read_coco
from detect_transfer.formats.cvat import writer as cvat
from detect_transfer.formats.cvat.reader import read as read_cvat
from detect_transfer.formats.parquet.reader import read as read_parquet
from detect_transfer.formats.voc import writer as voc
from detect_transfer.formats.voc.reader import read as read_voc
from detect_transfer.formats.writing.ignored_regions import IgnorePlan
from detect_transfer.formats.writing.losses import lost_fields
from detect_transfer.formats.yolo.reader import read as read_yolo
from detect_transfer.formats.yolo.writer import data_yaml

_TOLERANCE_PX = 1e-6
_SHARES = ("truncated", "occluded")
_OF_CVAT = {"source", "z_order", *cvat.FLAGS, *cvat.VALUES}  # what the tool says itself, and columns of the table
_NUMBERED = ("annotation_id", "image_id", "category_id", "source")


def check_written(plan: IgnorePlan, targets: Sequence[str], folder: Path, *, has_images: bool) -> RoundTrip:
    """Read back every target of a data folder and compare it with what was to be written.

    Args:
        plan: What was written.
        targets: Keys of `WRITERS`.
        folder: The data folder, with all files of the targets.
        has_images: Whether the images themselves are in it. Without, files that state their sizes stand for them.

    Raises:
        InputError: What was written cannot be read.
        ResourceError: The disk is full or does not let us write.
    """
    with TemporaryDirectory(dir=folder, prefix=".check-") as scratch:
        home = folder if has_images else Path(scratch)
        if not has_images and "yolo" in targets:
            _stand_in(plan.table, folder, home)
        return RoundTrip(tuple(READ_BACK[target](plan, home if target == "yolo" else folder) for target in targets))


def _stand_in(table: AnnotationTable, folder: Path, home: Path) -> None:
    """Lay out the labels of a data folder with files in the place of its images."""
    with resource_errors(home):
        shutil.copytree(folder / "labels", home / "labels", copy_function=_link)
        write_atomic(home / "data.yaml", data_yaml(table))
        for name, width, height in table.images.select("file_name", "width", "height").rows():
            path = home / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png_header(width, height))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)  # no bytes are copied
    except OSError:
        shutil.copyfile(source, target)


def _coco(plan: IgnorePlan, folder: Path) -> Leg:
    return coco_leg(plan.table, read_coco(folder, missing_images="keep"))


def _yolo(plan: IgnorePlan, folder: Path) -> Leg:
    return yolo_leg(plan, read_yolo(folder))


def _voc(plan: IgnorePlan, folder: Path) -> Leg:
    boxes = voc.writable(plan.table.boxes, _step())
    boxes = boxes.with_columns((pl.col(name) > 0).cast(pl.Float64) for name in _SHARES)
    with TemporaryDirectory(prefix="detect_transfer-") as scratch:  # without images, whose names the XML state
        for part in ("Annotations", "ImageSets"):
            (Path(scratch) / part).symlink_to((folder / "voc" / part).resolve(), target_is_directory=True)
        back = read_voc(Path(scratch), one_based=True, missing_images="keep")
    return _leg("VOC", plan.table, boxes, back, ("split", "difficult", *_SHARES))


def _cvat(plan: IgnorePlan, folder: Path) -> Leg:
    boxes = cvat.writable(plan.table.boxes, _step())
    is_region = pl.col("ignore") | pl.col("iscrowd")
    usual = pl.when("iscrowd").then(pl.lit("crowd")).otherwise(pl.lit("ignore flag"))
    boxes = boxes.with_columns(
        occluded=(pl.col("occluded").fill_null(0) > 0).cast(pl.Float64),
        ignore=is_region,
        ignore_reason=pl.when(is_region).then(pl.coalesce("ignore_reason", usual)),
        attributes=_as_texts(boxes["attributes"]),
    )
    back = read_cvat(folder / "cvat" / "annotations.xml", missing_images="keep")
    back = back.with_boxes(back.boxes.with_columns(attributes=_as_texts(back.boxes["attributes"])))
    return _leg("CVAT", plan.table, boxes, back, cvat.CARRIED)


def _parquet(plan: IgnorePlan, folder: Path) -> Leg:
    fields = compare_tables(plan.table, read_parquet(folder / "parquet"), tolerance_px=0.0)
    return Leg("Parquet", 0.0, fields)


READ_BACK: dict[str, Callable[[IgnorePlan, Path], Leg]] = {
    "coco": _coco,
    "cvat": _cvat,
    "parquet": _parquet,
    "voc": _voc,
    "yolo": _yolo,
}


def _step() -> LedgerStep:
    return Ledger().open("check", images=0, boxes=0)


def _leg(
    target: str, table: AnnotationTable, boxes: pl.DataFrame, back: AnnotationTable, carried: Collection[str]
) -> Leg:
    """Compare the boxes that a target holds, in the fields that it carries; classes without a box are not in it."""
    expected = replace(
        table, boxes=boxes, categories=table.categories.join(boxes, on="category_id", how="semi", maintain_order="left")
    )
    compared = {*XYXY, "file_name", "width", "height", "name", *carried}
    columns = (*expected.boxes.columns, *expected.images.columns, *expected.categories.columns)
    left_out = [name for name in columns if name not in compared or name in _NUMBERED]
    fields = compare_tables(expected, back, leave_out=left_out, tolerance_px=_TOLERANCE_PX)
    lost = {name: len(rows) for name, rows in lost_fields(expected, carried).items()}
    not_carried = [NotCarried("boxes", len(table.boxes) - len(boxes), "left out: it cannot hold them")]
    not_carried += [NotCarried(name, count, NO_FIELD) for name, count in lost.items()]
    return Leg(target, _TOLERANCE_PX, fields, tuple(each for each in not_carried if each.rows))


def _as_texts(attributes: pl.Series) -> pl.Series:
    """Return attributes as CVAT holds them: texts, nested values as JSON, without what it says itself."""
    texts = attributes.drop_nulls().unique().to_list()
    same = {text: _plain(orjson.loads(text)) for text in texts}
    return attributes.replace_strict(same, default=None, return_dtype=pl.String)


def _plain(attributes: dict[str, Any]) -> str | None:
    values = {
        key.strip(): " ".join((value if isinstance(value, str) else orjson.dumps(value).decode()).split())
        for key, value in attributes.items()
        if key.strip() not in _OF_CVAT
    }
    return orjson.dumps(values).decode() if values else None
