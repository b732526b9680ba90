"""IceVision: faults with their lines, groups, and two real drives."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.traffic_signs import icevision

HEAD = "class\txtl\tytl\txbr\tybr\ttemporary\toccluded\tdata\n"
ROW = "5.19.1\t1\t2\t3\t4\tfalse\tfalse\t"


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("drive_left/000001.png", (40, 30))
    return tmp_path


ROWS = [
    pytest.param("5.19.1\t1\t2\t3\t4\tfalse", "ROW_COLUMNS", "found 6 fields", id="6-fields"),
    pytest.param(ROW.replace("\t1\t", "\tnan\t"), "ROW_NUMBER", "xtl=nan", id="number"),
    pytest.param(ROW.replace("false", "no", 1), "ROW_VALUE", "temporary=no - expected true or false", id="flag"),
    pytest.param(ROW.replace("\t1\t", "\t4\t"), "BOX_INVALID", "xbr must be >= xtl", id="swapped"),
]


@pytest.mark.parametrize(("row", "code", "part"), ROWS)
def test_row__fault_names_the_line(row: str, code: str, part: str, root: Path, write: Any, check_error: Any) -> None:
    path = write("drive_left/000001.tsv", f"{HEAD}{ROW}\n{row}\n")
    check_error(lambda: icevision.read(root), code, f"{path}:3 ", part)


def test_header__that_misses_a_column_is_reported(root: Path, write: Any, check_error: Any) -> None:
    path = write("drive_left/000001.tsv", HEAD.replace("xbr", "right") + ROW)
    check_error(lambda: icevision.read(root), "CSV_HEADER", f"{path}:1 ", "does not name xbr")


def test_files__missing_or_twice(root: Path, write: Any, check_error: Any) -> None:
    check_error(lambda: icevision.read(root), "ICEVISION_MISSING", "no TSV")
    write("a/drive_left/000001.tsv", HEAD)
    path = write("b/drive_left/000001.tsv", HEAD)
    check_error(lambda: icevision.read(root), "ANNOTATION_TWICE", str(path))
    write("a/drive_left/000002.tsv", HEAD)
    check_error(lambda: icevision.read(root), "IMAGE_MISSING", "image=drive_left/000002.jpg")


def test_one_drive__may_be_given_alone(root: Path, write: Any) -> None:
    write("drive_left/000001.tsv", HEAD + ROW)
    images = icevision.read(root / "drive_left").images
    assert images.select("file_name", "group").rows() == [("000001.png", "drive")]


def test_sample__tells_more_than_boxes(sample: Any) -> None:
    table = icevision.read(sample("icevision"))
    assert table.images["group"].unique().sort().to_list() == ["2018-02-16_1515", "2018-03-07_1322"]
    assert table.boxes["occluded"].to_list() == [0.0, 1.0, 0.0, 0.0, 0.0]
    assert table.boxes["ignore_reason"].to_list() == [None, None, "unreadable", None, None]
    assert [json.loads(text) for text in table.boxes["attributes"]] == [
        {"temporary": False, "data": ""},
        {"temporary": False, "data": "50 км"},
        {"temporary": True, "data": ""},
        {"temporary": False, "data": "NA", "manual": True},
        {"temporary": False, "data": "", "manual": False},
    ]
    assert table.categories.select("name", "supercategory").rows() == [
        *[("3.24", "prohibitory"), ("5.19.1", "special regulation"), ("8", "plate"), ("8.13", "plate"), ("NA", None)]
    ]


def test_real_drives__every_row(shared: Path) -> None:
    root = shared / "annotations_only" / "icevision"
    table = icevision.read(root, missing_images="keep")
    paths = sorted(root.rglob("*.tsv"))
    rows = [
        (path.relative_to(root).with_suffix(".jpg").as_posix(), row)
        for path in paths
        for row in csv.DictReader(path.read_text().split("\n"), delimiter="\t", quoting=csv.QUOTE_NONE)
    ]
    assert len(table.images) == len(paths) == 322
    named = table.boxes.join(table.images, on="image_id", maintain_order="left").join(
        table.categories, on="category_id", maintain_order="left"
    )
    found = named.select("file_name", "name", "x1", "y1", "x2", "y2").rows()
    corners = ("xtl", "ytl", "xbr", "ybr")
    assert found == [(name, row["class"], *(float(row[c]) for c in corners)) for name, row in rows]
    assert table.boxes["ignore"].sum() == sum(row["class"] == "NA" for _, row in rows) > 0
    assert table.boxes["occluded"].sum() == sum(row["occluded"] == "true" for _, row in rows)
    assert table.boxes["x2"].max() == 2448, "xbr reaches the width of the images: it is an edge"
