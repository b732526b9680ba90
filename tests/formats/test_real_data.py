"""Real data sets against counts that were made without our readers."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.formats.coco.reader import read as read_coco
from detect_transfer.formats.pedestrians import pascal_v1
from detect_transfer.formats.traffic_signs import gtsdb
from detect_transfer.formats.voc.reader import read as read_voc


def by_class(table: AnnotationTable) -> dict[str, int]:
    named = table.boxes.join(table.categories, on="category_id")
    return dict(named["name"].value_counts().rows())


def names_in(folder: Path) -> Counter[str]:
    """Count objects by a plain search: the first name after each <object>."""
    texts = [p.read_text() for p in folder.glob("*.xml")]
    return Counter(name for text in texts for name in re.findall(r"<object>\s*<name>([^<]*)</name>", text))


def test_road_signs__every_object(shared: Path) -> None:
    root = shared / "road_signs"
    table = read_voc(root)
    assert len(table.images) == len(list((root / "images").glob("*.png"))) == 160
    assert by_class(table) == names_in(root / "annotations")
    assert table.images["pixel_convention"].unique().to_list() == ["zero_based_exclusive"]
    assert table.boxes.select(pl.min("x1")).item() == 0


def test_road_signs__no_box_leaves_its_image(shared: Path) -> None:
    table = read_voc(shared / "road_signs")
    joined = table.boxes.join(table.images, on="image_id")
    assert joined.filter((pl.col("x2") > pl.col("width")) | (pl.col("y2") > pl.col("height"))).is_empty()


def test_voc2007__every_object(shared: Path) -> None:
    root = shared / "voc2007_person"
    table = read_voc(root)
    assert by_class(table) == names_in(root / "Annotations")
    assert dict(table.images["split"].value_counts().rows()) == {"train": 120, "val": 40}
    assert table.images["pixel_convention"].unique().to_list() == ["one_based_inclusive"]
    difficult = sum(p.read_text().count("<difficult>1</difficult>") for p in (root / "Annotations").glob("*.xml"))
    assert table.boxes["difficult"].sum() == table.boxes["ignore"].sum() == difficult > 0
    parts = sum(p.read_text().count("<part>") for p in (root / "Annotations").glob("*.xml"))
    attributes = [json.loads(text) for text in table.boxes["attributes"].drop_nulls()]
    assert sum(len(one.get("parts", ())) for one in attributes) == parts > 0


def test_voc2007__one_box_by_hand(shared: Path) -> None:
    boxes = read_voc(shared / "voc2007_person").boxes.filter(pl.col("source") == "Annotations/000058.xml#object[1]")
    assert boxes.select("x1", "y1", "x2", "y2").rows() == [(333.0, 0.0, 436.0, 373.0)]


def test_gtsdb__every_row_and_every_signless_scene(shared: Path) -> None:
    root = shared / "gtsdb"
    table = gtsdb.read(root)
    rows = [line.split(";") for line in (root / "gt.txt").read_text().split()]
    assert len(table.images) == len(list(root.glob("*.jpg"))) == 146
    assert len(table.images.join(table.boxes, on="image_id", how="anti")) == 14
    named = table.boxes.join(table.images, on="image_id", maintain_order="left")
    found = named.select(
        pl.col("file_name").str.replace(".jpg", ".ppm", literal=True),
        *[pl.col(c).cast(pl.Int64).cast(pl.String) for c in ("x1", "y1", "x2", "y2")],
        (pl.col("category_id") - 1).cast(pl.String),
    )
    assert [list(row) for row in found.rows()] == rows
    assert dict(table.images["split"].value_counts().rows()) == {"train": 110, "test": 36}
    assert table.images.select("width", "height").unique().rows() == [(1360, 800)]


def test_coco64__as_pycocotools_reads_it(shared: Path) -> None:
    from pycocotools.coco import COCO

    root = shared / "coco64"
    table = read_coco(root)
    theirs = COCO(str(root / "annotations" / "instances_train2017.json"))
    assert set(table.images["image_id"]) == set(theirs.imgs)
    assert set(table.categories["category_id"]) == set(theirs.cats)
    assert len(table.boxes) == len(theirs.anns)
    for row in table.boxes.iter_rows(named=True):
        own = theirs.anns[row["annotation_id"]]
        x, y, w, h = own["bbox"]
        assert [row["x1"], row["y1"], row["x2"] - row["x1"], row["y2"] - row["y1"]] == pytest.approx([x, y, w, h])
        assert (row["image_id"], row["category_id"]) == (own["image_id"], own["category_id"])
        assert (row["iscrowd"], row["area"]) == (bool(own["iscrowd"]), own["area"])
    assert table.boxes["iscrowd"].sum() == table.boxes["ignore"].sum() > 0
    assert table.image_root == root / "train2017"
    assert table.splits == ["train"]


def test_coco64__sizes_are_those_of_the_images(shared: Path) -> None:
    read_coco(shared / "coco64", size_mismatch="error")


def test_inria__texts_without_images(shared: Path) -> None:
    table = pascal_v1.read(shared / "annotations_only" / "inria", missing_images="keep")
    assert table.images.select("file_name", "width", "height").rows() == [
        ("Test/pos/crop001501.png", 1060, 605),
        ("Test/pos/crop_000001.png", 491, 720),
    ]
    assert table.boxes.select("x1", "y1", "x2", "y2").rows()[0] == (250, 151, 300, 295)
    assert len(table.boxes) == 5


def test_sources__point_at_the_line(shared: Path) -> None:
    root = shared / "gtsdb"
    lines = (root / "gt.txt").read_text().splitlines()
    for row in gtsdb.read(root).boxes.iter_rows(named=True):
        name, line = row["source"].split(":")
        assert name == "gt.txt"
        assert lines[int(line) - 1].split(";")[1] == str(int(row["x1"]))


def test_reading__leaves_the_source_as_it_was(shared: Path) -> None:
    def digest(root: Path) -> str:
        facts = sorted((p.as_posix(), p.stat().st_size, p.stat().st_mtime_ns) for p in root.rglob("*"))
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    before = digest(shared)
    read_voc(shared / "road_signs")
    read_voc(shared / "voc2007_person")
    gtsdb.read(shared / "gtsdb")
    read_coco(shared / "coco64")
    assert digest(shared) == before
