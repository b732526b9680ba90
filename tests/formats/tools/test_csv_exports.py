"""Roboflow's CSV and that of keras-retinanet: options and faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.tools import csv_boxes, keras_csv, roboflow_csv

HEAD = "filename,width,height,class,xmin,ymin,xmax,ymax"
ROW = "a.png,40,30,dog,1,2,11,12"
CORNERS = ("x1", "y1", "x2", "y2")


@pytest.fixture
def roboflow(write: Any, tmp_path: Path) -> Path:
    write("train/_annotations.csv", f"{HEAD}\n{ROW}\n{ROW.replace('a.png', 'b.png')}\n")
    write("train/a.png", (40, 30))
    write("train/b.png", (40, 30))
    return tmp_path


def test_roboflow__edges_or_last_pixels(roboflow: Path) -> None:
    assert roboflow_csv.read(roboflow).boxes.select(CORNERS).row(0) == (1, 2, 11, 12)
    assert roboflow_csv.read(roboflow, inclusive=True).boxes.select(CORNERS).row(0) == (1, 2, 12, 13)
    assert roboflow_csv.read(roboflow / "train/_annotations.csv").images["split"].to_list() == [None, None]


ROBOFLOW = [
    pytest.param(ROW.replace(",11,", ",inf,"), "ROW_NUMBER", "xmax=inf", id="inf"),
    pytest.param(ROW.replace(",11,", ",0,"), "BOX_INVALID", "xmax=0", id="swapped"),
    pytest.param(ROW.replace("dog", ""), "ROW_FIELD", "class", id="no-class"),
    pytest.param(ROW.replace("40", "0"), "IMAGE_SIZE", "width=0", id="size-0"),
    pytest.param(ROW.replace("40", "4.5"), "ROW_NUMBER", "width=4.5", id="size-fraction"),
    pytest.param("a.png,40", "ROW_COLUMNS", "found 2 fields", id="ragged"),
]


@pytest.mark.parametrize(("row", "code", "part"), ROBOFLOW)
def test_roboflow__fault_names_file_line_and_field(
    row: str, code: str, part: str, roboflow: Path, write: Any, check_error: Any
) -> None:
    path = write("train/_annotations.csv", f"{HEAD}\n{ROW.replace('a.png', 'b.png')}\n{row}\n")
    check_error(lambda: roboflow_csv.read(roboflow), code, f"{path}:3 ", part)
    rows = roboflow_csv.read(roboflow, on_error="skip-row")
    assert (len(rows.images), len(rows.boxes), rows.reading[0].count) == (2, 1, 1)
    images = roboflow_csv.read(roboflow, on_error="skip-image")
    assert images.images["file_name"].to_list() == ["train/b.png"]


def test_roboflow__sizes(roboflow: Path, write: Any, check_error: Any) -> None:
    write("train/a.png", (41, 30))
    check_error(lambda: roboflow_csv.read(roboflow), "IMAGE_SIZE", "_annotations.csv:2", "40 x 30")
    assert roboflow_csv.read(roboflow, size_mismatch="keep").images["width"].to_list() == [41, 40]
    write("train/_annotations.csv", f"{HEAD}\n{ROW}\n{ROW.replace('40', '50')}\n")
    check_error(lambda: roboflow_csv.read(roboflow), "IMAGE_SIZE", ":3 width=50 - an earlier row")


def test_roboflow__missing_images(roboflow: Path, check_error: Any) -> None:
    (roboflow / "train/a.png").unlink()
    check_error(lambda: roboflow_csv.read(roboflow), "IMAGE_MISSING", "_annotations.csv:2 image=train/a.png")
    kept = roboflow_csv.read(roboflow, missing_images="keep")
    assert kept.images.select("file_name", "width").row(0) == ("train/a.png", 40)
    skipped = roboflow_csv.read(roboflow, missing_images="skip")
    assert [(line.kind, line.count) for line in skipped.reading] == [("image", 1), ("box", 1)]


def test_roboflow__copies_are_a_group(roboflow: Path, write: Any) -> None:
    write("valid/_annotations.csv", f"{HEAD}\n")
    write("valid/c_jpg.rf.0a1b.jpg", (40, 30))
    table = roboflow_csv.read(roboflow)
    assert table.images.select("file_name", "split", "group").row(2) == ("valid/c_jpg.rf.0a1b.jpg", "val", "c_jpg")


def test_roboflow__no_file(tmp_path: Path, check_error: Any) -> None:
    check_error(lambda: roboflow_csv.read(tmp_path), "CSV_MISSING", str(tmp_path))
    check_error(lambda: keras_csv.read(tmp_path), "CSV_MISSING", str(tmp_path))


@pytest.fixture
def keras(write: Any, tmp_path: Path) -> Path:
    write("train.csv", "pics/a.png,1,2,11,12,dog\npics/b.png,,,,,\n")
    write("classes.csv", "cat,0\ndog,1\n")
    write("pics/a.png", (40, 30))
    write("pics/b.png", (40, 30))
    return tmp_path


def test_keras__classes_of_the_list_or_of_the_rows(keras: Path) -> None:
    table = keras_csv.read(keras)
    assert (table.class_names, table.boxes["category_id"].to_list()) == (["cat", "dog"], [2])
    assert table.images.select("file_name", "split").rows() == [("pics/a.png", "train"), ("pics/b.png", "train")]
    (keras / "classes.csv").unlink()
    assert keras_csv.read(keras).class_names == ["dog"]
    assert keras_csv.read(keras / "train.csv", inclusive=True).boxes.select(CORNERS).row(0) == (1, 2, 12, 13)


KERAS = [
    pytest.param("train.csv", "pics/a.png,1,,11,12,dog", "ROW_NUMBER", "train.csv:1 y1=", id="half-empty"),
    pytest.param("train.csv", "pics/a.png,1,2,11,12,", "ROW_FIELD", "train.csv:1 class=", id="no-class"),
    pytest.param("train.csv", "pics/a.png,1,2,11,12,cow", "CLASS_UNKNOWN", "class=cow", id="unknown-class"),
    pytest.param("train.csv", "pics/a.png,12,2,11,12,dog", "BOX_INVALID", "x2=11", id="swapped"),
    pytest.param("train.csv", ",1,2,11,12,dog", "ROW_FIELD", "path=", id="no-path"),
    pytest.param("train.csv", "pics/no.png,1,2,11,12,dog", "IMAGE_MISSING", "image=pics/no.png", id="no-image"),
    pytest.param("classes.csv", "cat,0\ndog,0\n", "CLASS_NAME", "classes.csv:2 id=0", id="index-twice"),
    pytest.param("classes.csv", "dog,0\ndog,1\n", "CLASS_NAME", "classes.csv:2 name=dog", id="name-twice"),
    pytest.param("classes.csv", "dog,-1\n", "CLASS_INDEX", "classes.csv:1 id=-1", id="index-negative"),
    pytest.param("val.csv", "pics/a.png,,,,,\n", "SPLIT_TWICE", "path=pics/a.png", id="in-two-splits"),
]


@pytest.mark.parametrize(("name", "content", "code", "part"), KERAS)
def test_keras__fault_names_file_and_line(
    name: str, content: str, code: str, part: str, keras: Path, write: Any, check_error: Any
) -> None:
    write(name, content)
    check_error(lambda: keras_csv.read(keras), code, part)


def test_keras__class_at_fault_is_never_skipped(keras: Path, write: Any, error_of: Any) -> None:
    write("classes.csv", "cat,0\ndog,x\n")
    error_of(lambda: keras_csv.read(keras, on_error="skip-row"))


def test_keras__header_is_no_row(keras: Path, write: Any) -> None:
    write("train.csv", "path,x1,y1,x2,y2,class\npics/a.png,1,2,11,12,dog\npics/b.png,,,,,\n")
    table = keras_csv.read(keras)
    assert (len(table.images), table.boxes["source"].to_list()) == (2, ["train.csv:2"])


def test_keras__rows_of_vott_have_a_header_of_their_own(keras: Path, write: Any) -> None:
    write("sub/val-export.csv", '"image","xmin","ymin","xmax","ymax","label"\n"c.png",1.5,2,11,12,"cat"\n')
    write("sub/c.png", (40, 30))
    table = keras_csv.read(keras)
    (row,) = table.boxes.filter(table.boxes["source"] == "sub/val-export.csv:2").to_dicts()
    assert [row[c] for c in (*CORNERS, "category_id")] == [1.5, 2, 11, 12, 1]
    assert dict(table.images.select("file_name", "split").rows())["sub/c.png"] == "val"


def test_roboflow__lists_of_tutorials_name_their_split_and_all_their_images(write: Any, tmp_path: Path) -> None:
    for name in ("train", "test"):
        write(f"images/{name}_labels.csv", f"{HEAD}\n{ROW.replace('a.png', name + '.png')}\n")
        write(f"images/{name}/{name}.png", (40, 30))
    images = roboflow_csv.read(tmp_path / "images").images
    assert images.select("file_name", "split").rows() == [("test/test.png", "test"), ("train/train.png", "train")]
    alone = roboflow_csv.read(tmp_path / "images/train_labels.csv")
    assert alone.images["file_name"].to_list() == ["train/train.png"]  # the image of another list is no background


@pytest.mark.parametrize(
    ("reader", "row"),
    [(csv_boxes, "filename,xmin,ymin,xmax,ymax,class\na.png,1,2,11,12,dog"), (keras_csv, "a.png,1,2,11,12,dog")],
)
def test_images__that_no_row_names_are_counted(reader: Any, row: str, write: Any, tmp_path: Path) -> None:
    path = write("train.csv", row + "\n")
    write("a.png", (40, 30))
    write("b.png", (40, 30))
    (line,) = reader.read(tmp_path).reading
    assert (line.kind, line.action, line.count, line.examples) == ("image", "dropped", 1, ("b.png",))
    assert reader.read(path).reading == ()  # of one file others may name the rest
