from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.tools import openimages

HEAD = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
ROW = "a,xclick,/m/01,1,0.25,0.5,0.1,0.9,0,1,0,1,-1"
FILE = "train-annotations-bbox.csv"


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write(FILE, f"{HEAD}\n{ROW}\n{ROW.replace('a,', 'b,', 1)}\n")
    write("train/a.jpg", (40, 20))
    write("train/b.jpg", (80, 20))
    return tmp_path


def test_flags__become_columns_and_attributes(root: Path) -> None:
    row = openimages.read(root).boxes.row(0, named=True)
    assert (row["x1"], row["y1"], row["x2"], row["y2"]) == (10, 2, 20, 18)
    assert (row["occluded"], row["truncated"], row["ignore"], row["source"]) == (0.0, 1.0, False, f"{FILE}:2")
    stated = json.loads(row["attributes"])
    assert (stated["IsTruncated"], stated["IsInside"], stated["Source"], stated["Confidence"]) == (1, -1, "xclick", 1.0)


def test_file__of_another_name_is_known_by_its_header(root: Path, write: Any) -> None:
    (root / FILE).rename(root / "my boxes.csv")
    write("classes.csv", "/m/01,Car\n")
    table = openimages.read(root)
    assert (len(table.boxes), table.class_names) == (2, ["Car"])


def test_flags__of_minus_one_are_not_known(root: Path, write: Any) -> None:
    write(FILE, f"{HEAD}\n{ROW.replace(',0,1,0,1,-1', ',-1,-1,0,1,-1')}\n")
    assert openimages.read(root, allow_missing=True).boxes.select("occluded", "truncated").rows() == [(None, None)]


def test_masks__are_no_images(root: Path, write: Any) -> None:
    write("masks/train/a_m01_1.png", (40, 20))
    assert openimages.read(root).images["file_name"].to_list() == ["train/a.jpg", "train/b.jpg"]
    assert len(openimages.read(root, allow_missing=True).images) == 2


def test_depictions__are_ignored_by_wish(root: Path, check_error: Any) -> None:
    boxes = openimages.read(root, depictions="ignore").boxes
    assert boxes.select("iscrowd", "ignore", "ignore_reason").unique().rows() == [(False, True, "depiction")]
    check_error(lambda: openimages.read(root, depictions="no"), "OPTION_VALUE", "depictions=no")


FAULTS = [
    pytest.param(ROW.replace("0.25", "nan"), "ROW_NUMBER", "XMin=nan", id="nan"),
    pytest.param(ROW.replace("0.25", "25"), "BOX_FORMAT", "units=pixels", id="pixels"),
    pytest.param(ROW.replace("0.25", "0.75"), "BOX_INVALID", "XMax must be >= XMin", id="swapped"),
    pytest.param(ROW.replace(",0,1,0,1,-1", ",0,2,0,1,-1"), "ROW_FLAG", "IsTruncated=2", id="flag"),
    pytest.param(ROW.replace("/m/01", ""), "ROW_FIELD", "LabelName", id="no-class"),
    pytest.param("a,xclick", "ROW_COLUMNS", "found 2 fields", id="ragged"),
]


@pytest.mark.parametrize(("row", "code", "part"), FAULTS)
def test_fault__names_file_line_and_field(
    row: str, code: str, part: str, root: Path, write: Any, check_error: Any
) -> None:
    path = write(FILE, f"{HEAD}\n{ROW.replace('a,', 'b,', 1)}\n{row}\n")
    check_error(lambda: openimages.read(root, allow_missing=True), code, f"{path}:3 ", part)
    table = openimages.read(root, on_error="skip-image")
    assert table.images["file_name"].to_list() == ["train/b.jpg"]
    assert sum(line.count for line in table.reading if line.kind == "image") == 1


def test_header__must_name_the_columns(root: Path, write: Any, check_error: Any) -> None:
    write(FILE, "ImageID,LabelName,XMin,XMax,YMin\na,/m/01,0,1,0\n")
    check_error(lambda: openimages.read(root), "CSV_HEADER", f"{FILE}:1", "YMax")
    write(FILE, "LabelName,ImageID,XMin,XMax,YMin,YMax\n/m/01,a,0,1,0,1\n/m/01,b,0,1,0,1\n")
    assert len(openimages.read(root).boxes) == 2


def test_images__missing_and_unnamed(root: Path, write: Any, check_error: Any) -> None:
    (root / "train/a.jpg").unlink()
    check_error(lambda: openimages.read(root), "IMAGE_MISSING", f"{FILE}:2 image=a")
    check_error(lambda: openimages.read(root, missing_images="keep"), "IMAGE_MISSING", "shares of the image")
    table = openimages.read(root, missing_images="skip")
    assert (table.images["file_name"].to_list(), len(table.boxes)) == (["train/b.jpg"], 1)
    assert [(line.kind, line.count) for line in table.reading] == [("image", 1), ("box", 1)]
    write("train/c.jpg", (40, 20))
    check_error(
        lambda: openimages.read(root, missing_images="skip"), "ANNOTATION_MISSING", "c.jpg", "allow_missing=true"
    )
    assert len(openimages.read(root, missing_images="skip", allow_missing=True).images) == 2


def test_splits__one_image_in_two_is_refused(root: Path, write: Any, check_error: Any) -> None:
    write("test-annotations-bbox.csv", f"{HEAD}\n{ROW}\n")
    check_error(lambda: openimages.read(root), "SPLIT_TWICE", "ImageID=a")


def test_classes__of_one_name_keep_their_codes(root: Path, write: Any) -> None:
    write(FILE, f"{HEAD}\n{ROW}\n{ROW.replace('a,', 'b,', 1).replace('/m/01', '/m/02')}\n")
    write("class-descriptions.csv", "LabelName,DisplayName\n/m/01,Bat\n/m/02,Bat\n")
    assert openimages.read(root).class_names == ["Bat (/m/01)", "Bat (/m/02)"]


def test_folder__without_boxes(tmp_path: Path, root: Path, check_error: Any) -> None:
    check_error(lambda: openimages.read(root / "train"), "OPENIMAGES_MISSING", "train")


def test_flags__that_are_empty_are_unknown(root: Path, write: Any) -> None:
    write(FILE, f"{HEAD}\na,,/m/01,,0.25,0.5,0.1,0.9,,,,,\n")
    (box,) = openimages.read(root, allow_missing=True).boxes.to_dicts()
    assert [box[c] for c in ("occluded", "truncated", "iscrowd", "ignore", "attributes")] == [
        None,
        None,
        False,
        False,
        None,
    ]


def test_image_id__may_have_a_suffix(tmp_path: Path, write: Any) -> None:
    write("a.jpg", (200, 100))
    flags = ",".join(["Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction"])
    write("x-annotations-bbox.csv", f"ImageID,{flags},IsInside\na.jpg,,car,,0.05,0.2,0.2,0.6,,,,,\n")
    table = openimages.read(tmp_path)
    assert table.images["file_name"].to_list() == ["a.jpg"]
    assert table.boxes.select("x1", "y1", "x2", "y2").rows() == [(10, 20, 40, 60)]


def test_oidv4__copies_are_one_image(write: Any, tmp_path: Path, check_error: Any) -> None:
    write("train/Car/a.jpg", (40, 30))
    write("train/Traffic sign/a.jpg", (40, 30))
    write("train/Car/Label/a.txt", "Car 1.0 2.0 11.0 12.0\n")
    path = write("train/Traffic sign/Label/a.txt", "Traffic sign 5 6 15 16\n")
    table = openimages.read(tmp_path)
    assert table.images.select("file_name", "split").rows() == [("train/Car/a.jpg", "train")]
    assert table.class_names == ["Car", "Traffic sign"]
    assert table.boxes.select("x1", "y1", "x2", "y2").rows() == [(1, 2, 11, 12), (5, 6, 15, 16)]
    write("train/Car/b.jpg", (40, 30))
    check_error(lambda: openimages.read(tmp_path), "ANNOTATION_MISSING", "b.jpg", "allow_missing=true")
    assert len(openimages.read(tmp_path, allow_missing=True).images) == 2
    path.write_text("5 6 15\n")
    check_error(lambda: openimages.read(tmp_path), "ROW_COLUMNS", f"{path}:1")
    path.write_text("Traffic sign 5 6 15 x\n")
    check_error(lambda: openimages.read(tmp_path), "ROW_NUMBER", f"{path}:1")
