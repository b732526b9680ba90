"""The round trip: a table is written as COCO and as YOLO, read back, and compared with what it was.

COCO carries every field, and coordinates in full; a YOLO label carries a class and a box, so everything else is
listed as not carried.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from detect_transfer.core.annotations import XYXY, Annotations, AnnotationTable, Table
from detect_transfer.core.columns import joined, n_rows, text_of
from detect_transfer.core.disk import resource_errors
from detect_transfer.core.errors import InputError, raise_problems
from detect_transfer.core.ledger import Ledger
from detect_transfer.core.temporary import scratch_folder
from detect_transfer.data.clean import clean
from detect_transfer.data.table_differences import FieldComparison, compare_tables
from detect_transfer.formats.coco.reader import read as read_coco
from detect_transfer.formats.coco.writer import write_coco
from detect_transfer.formats.writing.ignored_regions import IgnorePlan, plan_ignored
from detect_transfer.formats.writing.losses import lost_fields
from detect_transfer.formats.yolo.reader import read as read_yolo
from detect_transfer.formats.yolo.writer import CARRIED, rows_on_grid, write_labels

COCO_TOLERANCE_PX = 1e-6
YOLO_TOLERANCE_PX = 0.01
_SPLITS = ("train", "val", "test")
NO_FIELD = "it has no field for them"
_AS_ASKED = "left out, as --ignored-regions says"
_UNSIZED = "their size is not known, and labels are shares of it"


@dataclass(frozen=True)
class NotCarried:
    """A field that a target has no place for: in how many rows it says something, and what became of it."""

    field: str
    rows: int
    where: str


@dataclass(frozen=True)
class Leg:
    """A way there and back: by which format, how near it must come, the comparison."""

    target: str
    tolerance_px: float
    fields: tuple[FieldComparison, ...]
    not_carried: tuple[NotCarried, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every field came back."""
        return not any(field.differing for field in self.fields)


@dataclass(frozen=True)
class RoundTrip:
    """All legs of a table."""

    legs: tuple[Leg, ...]

    @property
    def ok(self) -> bool:
        """Whether every field of every leg came back."""
        return all(leg.ok for leg in self.legs)

    def as_dict(self) -> dict[str, Any]:
        """Return it as a JSON-ready dict."""
        return {"ok": self.ok, "legs": [{"ok": leg.ok, **asdict(leg)} for leg in self.legs]}

    def raise_differences(self) -> None:
        """Raise what did not come back.

        Raises:
            InputError: A field differs; one error for each field, with the first places.
        """
        raise_problems(
            [
                InputError(
                    "ROUND_TRIP",
                    f"{field.differing} rows differ after the way through {leg.target}: {'; '.join(field.examples)}",
                    field=field.field,
                    remedy="please report this with the annotations of these places",
                )
                for leg in self.legs
                for field in leg.fields
                if field.differing
            ]
        )


def round_trip(table: AnnotationTable) -> RoundTrip:
    """Send a table through COCO as it is, and through YOLO once it is cleaned; nothing is left on the disk.

    Raises:
        InputError: What is written cannot be read, or an image with boxes has no size.
        ResourceError: The disk is full or does not let us write.
    """
    with scratch_folder() as scratch:
        return RoundTrip((_through_coco(table, scratch), _through_yolo(table, scratch / "yolo")))


def _through_coco(table: AnnotationTable, scratch: Path) -> Leg:
    path = scratch / "instances_all.json"  # no name of a split, so that an image without one keeps none
    write_coco(table, path)
    return coco_leg(table, read_coco(path))


def coco_leg(table: AnnotationTable, back: AnnotationTable) -> Leg:
    """Compare a table with what came back from COCO."""
    left_out: list[str] = []
    not_carried = []
    if len(table.boxes.filter(pl.col("annotation_id") < 1)):
        left_out.append("annotation_id")
        not_carried.append(NotCarried("annotation_id", len(table.boxes), "an id is below 1: numbered again"))
    if "area" in table.boxes.columns:
        back = back.with_boxes(_area_where_stated(back.boxes, table.boxes))
    expected, n_silent = _with_reasons(table)
    if n_silent:
        not_carried.append(NotCarried("ignore_reason", n_silent, "none was stated: read back as that of its flag"))
    fields = compare_tables(expected, back, leave_out=left_out, tolerance_px=COCO_TOLERANCE_PX)
    return Leg("COCO", COCO_TOLERANCE_PX, fields, tuple(not_carried))


def _with_reasons(table: AnnotationTable) -> tuple[AnnotationTable, int]:
    """Give crowds and ignored boxes without a reason the one that a flag of COCO stands for, and count them."""
    silent = (pl.col("ignore") | pl.col("iscrowd")) & pl.col("ignore_reason").is_null()
    reason = pl.when("iscrowd").then(pl.lit("crowd")).otherwise(pl.lit("ignore flag"))
    boxes = table.boxes.with_columns(
        pl.when(silent).then(reason).otherwise("ignore_reason").alias("ignore_reason"),
        (pl.col("ignore") | pl.col("iscrowd")).alias("ignore"),
    )
    return table.with_boxes(boxes), len(table.boxes.filter(silent))


def _area_where_stated(back: pl.DataFrame, written: pl.DataFrame) -> pl.DataFrame:
    """Return the rows without the area that COCO demands of a box for which the table states none."""
    is_stated = written["area"].is_not_null()
    if len(is_stated) != len(back):
        return back
    return back.with_columns(pl.when(is_stated).then(pl.col("area")).alias("area"))


def _through_yolo(table: AnnotationTable, scratch: Path) -> Leg:
    """Write labels beside images that are headers alone: a reader needs their sizes, not their pixels."""
    ledger = Ledger()
    sized = table.images.filter(pl.col("width").is_not_null() & pl.col("height").is_not_null())
    unsized = NotCarried("images", len(table.images) - len(sized), _UNSIZED)
    if sized.is_empty():
        return Leg("YOLO", YOLO_TOLERANCE_PX, (), (unsized,))
    plan = plan_ignored(_with_plain_names(clean(table.select_images(sized["image_id"]), ledger)), "drop")
    write_labels(plan, scratch, ledger)
    with resource_errors(scratch):
        for name, width, height in plan.table.images.select("file_name", "width", "height").rows():
            path = scratch / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png_header(width, height))
    leg = yolo_leg(plan, read_yolo(scratch))
    cleaned = [
        NotCarried(f"boxes, {line.action}", line.count, f"cleaned: {line.reason}") for line in ledger.steps[0].lines
    ]
    other = NotCarried("image split", len(_with_other_split(table.images)), "a data.yaml knows train, val and test")
    not_carried = [unsized, *cleaned, *leg.not_carried, other]
    return replace(leg, not_carried=tuple(field for field in not_carried if field.rows))


def yolo_leg(plan: IgnorePlan, back: Annotations) -> Leg:
    """Compare what was to be written as YOLO labels with what came back."""
    back = _renamed(back)
    _, narrow = rows_on_grid(plan)
    rows = plan.rows
    if len(narrow):
        rows = joined(rows, narrow.select("annotation_id"), on="annotation_id", how="anti")
    expected = plan.table.with_boxes(rows)
    compared = (*XYXY, "file_name", "width", "height", "split", "name")
    columns = (*expected.boxes.collect_schema(), *expected.images.columns, *expected.categories.columns)
    fields = compare_tables(
        expected, back, leave_out=[c for c in columns if c not in compared], tolerance_px=YOLO_TOLERANCE_PX
    )
    not_carried = [
        NotCarried("ignored and crowd regions", plan.table.n_boxes - n_rows(plan.rows), _AS_ASKED),
        NotCarried("boxes without area on the grid", len(narrow), "left out"),
        *(NotCarried(name, count, NO_FIELD) for name, (count, _) in lost_fields(expected, CARRIED).items()),
    ]
    return Leg("YOLO", YOLO_TOLERANCE_PX, fields, tuple(field for field in not_carried if field.rows))


def _with_other_split(images: pl.DataFrame) -> pl.DataFrame:
    return images.filter(pl.col("split").is_not_null() & ~pl.col("split").is_in(_SPLITS))


def _with_plain_names(table: AnnotationTable) -> AnnotationTable:
    """Name the images `<split>/<image_id>.png`, as `convert` puts them in a folder of their split.

    A split that is none of the three that YOLO has a name for is taken as the first.
    """
    is_usual = pl.col("split").is_in(_SPLITS)
    split = pl.when(is_usual).then("split").otherwise(pl.lit(_SPLITS[0]))
    images = table.images.with_columns(split.alias("split"), text_of("{}/{}.png", split, "image_id").alias("file_name"))
    return replace(table, images=images)


def _renamed(table: Table) -> Table:
    """Return the table with names relative to `images/`, as they were written."""
    return table.with_fields(images=table.images.with_columns(pl.col("file_name").str.strip_prefix("images/")))


def png_header(width: int, height: int) -> bytes:
    """Return a PNG file that states its size and holds no pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">2I5B", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
