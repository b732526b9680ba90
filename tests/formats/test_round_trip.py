"""What a reader gave, written as COCO, is read back without loss."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import yaml
from paths import DATASETS
from polars.testing import assert_frame_equal

from detect_transfer.formats import get_format
from detect_transfer.formats.coco.reader import read as read_coco
from detect_transfer.formats.coco.writer import write_coco


@pytest.mark.parametrize("name", sorted(p.name for p in DATASETS.iterdir() if p.is_dir()))
def test_coco__gives_back_what_was_written(name: str, tmp_path: Path) -> None:
    card = yaml.safe_load((DATASETS / name / "dataset.yaml").read_text(encoding="utf-8"))
    table = get_format(card["format"]).read(DATASETS / name / "sample", **card["options"])
    region = pl.lit("far away").alias("ignore_reason"), pl.lit(True).alias("ignore")
    all_classes = table.boxes.tail(1).with_columns(
        pl.col("annotation_id") + 1000, pl.lit(None, dtype=pl.Int64).alias("category_id"), *region
    )
    # the writer numbers ids below 1 again, so they start at 1 here
    shifted = pl.concat([table.boxes, all_classes]).with_columns(pl.col("annotation_id") + 1)
    table = table.with_boxes(shifted)
    path = tmp_path / "instances_all.json"
    write_coco(table, path)
    back = read_coco(path)
    columns = [c for c in table.boxes.columns if c != "area"]
    assert_frame_equal(back.boxes.select(columns), table.boxes.select(columns), abs_tol=1e-6, rel_tol=0)
    assert_frame_equal(back.images.select(table.images.columns), table.images)
    assert_frame_equal(back.categories, table.categories)
