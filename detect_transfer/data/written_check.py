"""The check of what a conversion wrote: each target is read back from its files, and compared with the table.

A format without a field for something does not carry it, and is then compared without: `not_carried` counts those.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.ledger import Ledger, LedgerStep
from detect_transfer.core.temporary import scratch_folder
from detect_transfer.data.round_trip import NO_FIELD, Leg, NotCarried, RoundTrip, coco_leg, yolo_leg
from detect_transfer.data.table_differences import compare_tables
from detect_transfer.formats.coco.reader import read as read_coco
from detect_transfer.formats.cvat import writer as cvat
from detect_transfer.formats.cvat.reader import read as read_cvat
from detect_transfer.formats.parquet.reader import scan as scan_parquet
from detect_transfer.formats.parsing.locations import split_named
from detect_transfer.formats.parsing.own_columns import FLAGS, VALUES
from detect_transfer.formats.tools.datumaro import read as read_datumaro
from detect_transfer.formats.tools.hf_imagefolder import read as read_hf_imagefolder
from detect_transfer.formats.tools.label_studio import read as read_label_studio
from detect_transfer.formats.voc import writer as voc
from detect_transfer.formats.voc.reader import read as read_voc
from detect_transfer.formats.writing import datumaro, label_studio
from detect_transfer.formats.writing.beside_images import HUGGING_FACE_CARRIED
from detect_transfer.formats.writing.ignored_regions import IgnorePlan
from detect_transfer.formats.writing.losses import lost_fields
from detect_transfer.formats.writing.objects import with_class
from detect_transfer.formats.yolo.reader import read as read_yolo
from detect_transfer.formats.yolo.table import scan_labels

_TOLERANCE_PX = 1e-6
_SIZED = ("file_name", "width", "height")
_SHARES = ("truncated", "occluded")
_OF_CVAT = {"source", "z_order", *FLAGS, *VALUES}  # what the tool says itself, and columns of the table
_NUMBERED = ("annotation_id", "image_id", "category_id", "source")


def check_written(plan: IgnorePlan, targets: Sequence[str], folder: Path, *, has_images: bool) -> RoundTrip:
    """Read back every target of a data folder and compare it with what was to be written.

    Args:
        plan: What was written.
        targets: Keys of `WRITERS`.
        folder: The data folder, with all files of the targets.
        has_images: Whether the images themselves are in it. Without, those of the plan stand for them.

    Raises:
        InputError: What was written cannot be read.
        ResourceError: The disk is full or does not let us write.
    """
    read_back = READ_BACK if has_images else READ_BACK | {"yolo": _labels}
    return RoundTrip(tuple(read_back[target](plan, folder) for target in targets))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)  # no bytes are copied
    except OSError:
        shutil.copyfile(source, target)


def _coco(plan: IgnorePlan, folder: Path) -> Leg:
    table = plan.table.in_memory()
    return coco_leg(table, read_coco(folder, missing_images="keep"))


def _yolo(plan: IgnorePlan, folder: Path) -> Leg:
    return yolo_leg(plan, read_yolo(folder))


def _labels(plan: IgnorePlan, folder: Path) -> Leg:
    sizes = {name: (width, height) for name, width, height in plan.table.images.select(*_SIZED).rows()}
    with scratch_folder(folder, name=".check.") as spill:
        return yolo_leg(plan, scan_labels(folder, plan.table.class_names, sizes, spill=spill))


def _voc(plan: IgnorePlan, folder: Path) -> Leg:
    table = plan.table.in_memory()
    boxes = voc.writable(table.boxes, _step())
    boxes = boxes.with_columns((pl.col(name) > 0).cast(pl.Float64) for name in _SHARES)
    with _annotations_alone(folder / "voc", "*.xml", "*.txt") as alone:
        back = read_voc(alone, missing_images="keep")
    return _leg("VOC", table, boxes, back, ("split", "difficult", *_SHARES))


def _cvat(plan: IgnorePlan, folder: Path) -> Leg:
    table = plan.table.in_memory()
    boxes = _with_usual_reasons(cvat.writable(table.boxes, _step()))
    boxes = boxes.with_columns(
        occluded=(pl.col("occluded").fill_null(0) > 0).cast(pl.Float64),
        attributes=_as_texts(boxes["attributes"]),
    )
    back = read_cvat(folder / "cvat" / "annotations.xml", missing_images="keep")
    back = back.with_boxes(back.boxes.with_columns(attributes=_as_texts(back.boxes["attributes"])))
    return _leg("CVAT", table, boxes, back, cvat.CARRIED)


def _fiftyone(plan: IgnorePlan, folder: Path) -> Leg:
    table = plan.table.in_memory()
    return replace(coco_leg(table, _rebased(read_coco(folder / "fiftyone"), table)), target="FiftyOne")


def _roboflow(plan: IgnorePlan, folder: Path) -> Leg:
    table = plan.table.in_memory()
    return replace(coco_leg(table, _rebased(read_coco(folder / "roboflow"), table)), target="Roboflow")


def _datumaro(plan: IgnorePlan, folder: Path) -> Leg:
    table = plan.table.in_memory()
    boxes = datumaro.writable(table.boxes, _step())
    with _annotations_alone(folder / "datumaro", "*.json") as alone:
        back = read_datumaro(alone, missing_images="keep")
    return _leg("Datumaro", table, _with_usual_reasons(boxes), _rebased(back, table), datumaro.CARRIED)


def _hugging_face(plan: IgnorePlan, folder: Path) -> Leg:
    table = plan.table.in_memory()
    boxes = _with_usual_reasons(with_class(table.boxes, _step(), ""))
    with _annotations_alone(folder / "hugging_face", "*.jsonl") as alone:
        back = read_hf_imagefolder(alone, missing_images="keep")
    return _leg("Hugging Face", table, boxes, _rebased(back, table), HUGGING_FACE_CARRIED)


def _label_studio(plan: IgnorePlan, folder: Path) -> Leg:
    table = plan.table.in_memory()
    boxes = with_class(table.boxes, _step(), "")
    back = read_label_studio(folder / "label_studio" / "tasks.json", missing_images="keep")
    return _leg("Label Studio", table, boxes, _rebased(back, table), label_studio.CARRIED)


@contextmanager
def _annotations_alone(folder: Path, *patterns: str) -> Iterator[Path]:
    """Give a folder with the annotation files of another, whose images may be links that lead out of it."""
    with scratch_folder(folder, name=".check.") as scratch:
        for path in [path for pattern in patterns for path in folder.rglob(pattern)]:
            target = scratch / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(str(path), str(target))
        yield scratch


def _with_usual_reasons(boxes: pl.DataFrame) -> pl.DataFrame:
    """Return rows as readers understand them: a crowd is ignored, for the reason that its flag stands for."""
    is_region = pl.col("ignore") | pl.col("iscrowd")
    usual = pl.when("iscrowd").then(pl.lit("crowd")).otherwise(pl.lit("ignore flag"))
    reason = pl.when(is_region).then(pl.coalesce("ignore_reason", usual))
    return boxes.with_columns(ignore=is_region, ignore_reason=reason)


def _rebased(back: AnnotationTable, table: AnnotationTable) -> AnnotationTable:
    """Return what was read back with the names of its images below `images/` of the data folder, as `table` has them.

    A folder called as a split may be that of the split or one of the image's own, so the names that all are known by
    are taken.
    """
    expected = set(table.images["file_name"])
    rows = back.images.select("file_name", "split").rows()
    below = [(name.removeprefix("images/").removeprefix("data/"), split) for name, split in rows]
    own = [(_own_name(name, split) if split else name, split) for name, split in below]
    ways = [
        [f"{split}/{name}" if with_split and split else name for name, split in names]
        for names in (rows, below, own)
        for with_split in (False, True)
    ]
    names = next((names for names in ways if expected.issuperset(names)), ways[-1])
    return replace(back, images=back.images.with_columns(pl.Series("file_name", names, dtype=pl.String)))


def _own_name(name: str, split: str) -> str:
    first, _, rest = name.partition("/")
    name = rest if first == split or (rest and split_named(first) == split) else name
    return name.removeprefix("data/")  # of FiftyOne


def _parquet(plan: IgnorePlan, folder: Path) -> Leg:
    fields = compare_tables(plan.table, scan_parquet(folder / "parquet"), tolerance_px=0.0)
    return Leg("Parquet", 0.0, fields)


READ_BACK: dict[str, Callable[[IgnorePlan, Path], Leg]] = {
    "coco": _coco,
    "cvat": _cvat,
    "datumaro": _datumaro,
    "fiftyone": _fiftyone,
    "hugging_face": _hugging_face,
    "label_studio": _label_studio,
    "parquet": _parquet,
    "roboflow": _roboflow,
    "voc": _voc,
    "yolo": _yolo,
}


def _step() -> LedgerStep:
    return Ledger().open("check", images=0, boxes=0)


def _leg(
    target: str, table: AnnotationTable, boxes: pl.DataFrame, back: AnnotationTable, carried: Collection[str]
) -> Leg:
    """Compare the boxes that a target holds, in the fields that it carries, and the classes that have one."""
    expected, back = _with_used_classes(table.with_boxes(boxes)), _with_used_classes(back)
    compared = {*XYXY, "file_name", "width", "height", "name", *carried}
    columns = (*expected.boxes.columns, *expected.images.columns, *expected.categories.columns)
    left_out = [name for name in columns if name not in compared or name in _NUMBERED]
    fields = compare_tables(expected, back, leave_out=left_out, tolerance_px=_TOLERANCE_PX)
    lost = {name: count for name, (count, _) in lost_fields(expected, carried).items()}
    not_carried = [NotCarried("boxes", len(table.boxes) - len(boxes), "left out: it cannot hold them")]
    not_carried += [NotCarried(name, count, NO_FIELD) for name, count in lost.items()]
    return Leg(target, _TOLERANCE_PX, fields, tuple(each for each in not_carried if each.rows))


def _with_used_classes(table: AnnotationTable) -> AnnotationTable:
    used = table.categories.join(table.boxes, on="category_id", how="semi", maintain_order="left")
    return replace(table, categories=used)


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
