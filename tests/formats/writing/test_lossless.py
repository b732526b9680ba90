"""What each target format carries comes back; what it cannot carry stands in the ledger. On tables of any kind."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import orjson
import polars as pl
from hypothesis import HealthCheck, given, settings
from PIL import Image
from polars.testing import assert_frame_equal
from strategies import tables

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.ledger import Ledger
from detect_transfer.formats.coco.reader import read as read_coco
from detect_transfer.formats.coco.writer import write_coco
from detect_transfer.formats.cvat.reader import read as read_cvat
from detect_transfer.formats.cvat.writer import write_cvat
from detect_transfer.formats.parquet.reader import read as read_parquet
from detect_transfer.formats.parquet.writer import write_parquet
from detect_transfer.formats.voc.reader import read as read_voc
from detect_transfer.formats.voc.writer import write_voc
from detect_transfer.formats.yolo.writer import label_path

MANY = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
XYXY = ["x1", "y1", "x2", "y2"]


@MANY
@given(table=tables())
def test_parquet__gives_back_every_cell(table: AnnotationTable) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_parquet(table, Path(folder))
        back = read_parquet(Path(folder))
    for name in ("images", "boxes", "categories"):
        assert_frame_equal(getattr(back, name), getattr(table, name), check_exact=True)


def without_empty(frame: pl.DataFrame) -> pl.DataFrame:
    """Leave out columns that say nothing at all, which a JSON file has no place for."""
    return frame.drop([c for c in frame.columns if frame[c].null_count() == len(frame)])


@MANY
@given(table=tables())
def test_coco__gives_back_every_field(table: AnnotationTable) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "instances_all.json"
        write_coco(table, path)
        back = read_coco(path)
    assert_frame_equal(without_empty(back.boxes.drop("area")), without_empty(table.boxes), abs_tol=1e-6, rel_tol=0)
    assert_frame_equal(without_empty(back.images), without_empty(table.images), check_column_order=False)
    assert_frame_equal(back.categories.sort("category_id"), table.categories.sort("category_id"), check_exact=True)


def by_name(table: AnnotationTable) -> pl.DataFrame:
    """Return the boxes with the stem of their image and the name of their class."""
    stems = pl.Series("stem", [label_path(n).removesuffix(".txt") for n in table.images["file_name"]], dtype=pl.String)
    return table.boxes.join(table.images.with_columns(stems), on="image_id", how="left", maintain_order="left").join(
        table.categories.select("category_id", "name"), on="category_id", how="left", maintain_order="left"
    )


@MANY
@given(table=tables())
def test_voc__gives_back_what_it_carries(table: AnnotationTable) -> None:
    ledger = Ledger()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_voc(table, root, ledger=ledger)
        for name, width, height in table.images.select("file_name", "width", "height").rows():
            path = root / "JPEGImages" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("1", (width, height)).save(path, "PNG")
        back = read_voc(root, one_based=True)
    expected = by_name(table).filter(pl.col("category_id").is_not_null()).sort("stem", "annotation_id")
    found = by_name(back).sort("stem", "annotation_id")
    columns = ["stem", "name", *XYXY, "split"]
    assert_frame_equal(found.select(columns), expected.select(columns), abs_tol=1e-6, rel_tol=0)
    for flag in ("truncated", "occluded"):
        assert found[flag].to_list() == [None if v is None else float(v > 0) for v in expected[flag]]
    assert found["difficult"].to_list() == found["ignore"].to_list() == expected["ignore"].to_list()
    dropped = sum(line.count for line in ledger.steps[0].lines if line.action == "dropped")
    assert dropped == table.boxes["category_id"].null_count()
    noted = {line.reason: line.count for line in ledger.steps[0].lines if line.action == "noted"}
    tracked = expected["track_id"].drop_nulls()
    assert noted.get("no field for 'track_id'", 0) == len(tracked)


def as_text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


@MANY
@given(table=tables())
def test_cvat__gives_back_what_it_carries(table: AnnotationTable) -> None:
    ledger = Ledger()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "annotations.xml"
        write_cvat(table, path, ledger=ledger)
        back = read_cvat(path, missing_images="keep")
    assert back.images.select("file_name", "width", "height", "split").sort("file_name").rows() == (
        table.images.select("file_name", "width", "height", "split").sort("file_name").rows()
    )
    expected = by_name(table).filter(pl.col("category_id").is_not_null()).sort("stem", "annotation_id")
    found = by_name(back).sort("stem", "annotation_id")
    assert_frame_equal(
        found.select("stem", "name", *XYXY), expected.select("stem", "name", *XYXY), abs_tol=1e-6, rel_tol=0
    )
    for one, other in zip(expected.iter_rows(named=True), found.iter_rows(named=True), strict=True):
        kept = json.loads(other["attributes"] or "{}")
        assert other["occluded"] == float((one["occluded"] or 0) > 0)
        assert other["ignore"] == (one["ignore"] or one["iscrowd"])
        usual = ("crowd" if one["iscrowd"] else "ignore flag") if other["ignore"] else None
        assert other["ignore_reason"] == (one["ignore_reason"] or usual if other["ignore"] else None)
        same = ("iscrowd", "difficult", "truncated", "track_id", "vis_ratio", "vis_x1", "vis_y1", "vis_x2", "vis_y2")
        assert {k: other[k] for k in same} == {k: one[k] for k in same}
        own = {key: as_text(value) for key, value in json.loads(one["attributes"] or "{}").items()}
        assert {key: kept.get(key) for key in own} == own
    assert sum(line.count for line in ledger.steps[0].lines if line.action == "dropped") == len(table.boxes) - len(
        found
    )
