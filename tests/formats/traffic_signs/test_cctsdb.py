"""CCTSDB: faults with their places, texts and XML of the same images, images that nothing names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.traffic_signs import cctsdb

ROW = "00000.png;1;2;3;4;warning"
XML = (
    "<annotation><size><width>40</width><height>30</height></size><object><name>{}</name><bndbox><xmin>1</xmin>"
    "<ymin>2</ymin><xmax>{}</xmax><ymax>4</ymax></bndbox></object></annotation>"
)


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("images/00000.jpg", (40, 30))
    return tmp_path


ROWS = [
    pytest.param("00000.png;1;2;3;4", "ROW_COLUMNS", "found 5 fields", id="5-fields"),
    pytest.param(ROW.replace(";1;", ";1e999;"), "ROW_NUMBER", "x1=1e999", id="number"),
    pytest.param(ROW.replace(";1;", ";4;"), "BOX_INVALID", "x2 must be >= x1", id="swapped"),
    pytest.param(ROW.replace("00000", "00001"), "IMAGE_MISSING", "image=00001.png", id="no-image"),
]


@pytest.mark.parametrize(("row", "code", "part"), ROWS)
def test_row__fault_names_the_line(row: str, code: str, part: str, root: Path, write: Any, check_error: Any) -> None:
    path = write("GroundTruth.txt", f"{ROW}\n\n{row}\n")
    check_error(lambda: cctsdb.read(root), code, f"{path}:3 ", part)


def test_object__fault_names_file_and_number(root: Path, write: Any, check_error: Any) -> None:
    path = write("xml/00000.xml", XML.format("warning", "nan"))
    check_error(lambda: cctsdb.read(root), "XML_NUMBER", f"{path}#object[1] ", "xmax=nan")


@pytest.mark.parametrize(("on_error", "n_images"), [("skip-row", 1), ("skip-image", 0)])
def test_object__at_fault_leaves_as_asked(on_error: str, n_images: int, root: Path, write: Any) -> None:
    write("images/00001.jpg", (40, 30))
    write("xml/00000.xml", XML.format("warning", "nan"))
    write("xml/00001.xml", XML.format("warning", 3))
    table = cctsdb.read(root, on_error=on_error)
    assert table.images["file_name"].to_list() == ["images/00000.jpg"] * n_images + ["images/00001.jpg"]
    assert table.boxes["source"].to_list() == ["xml/00001.xml#object[1]"]
    assert {line.kind: line.count for line in table.reading if line.kind == "box"} == {"box": 1}
    assert str(root / "xml/00000.xml#object[1]") in table.reading[0].examples[0]


def test_texts_and_xml__of_one_image_need_a_choice(root: Path, write: Any, check_error: Any) -> None:
    write("GroundTruth.txt", ROW)
    write("xml/00000.xml", XML.format("mandatory", 3))
    check_error(lambda: cctsdb.read(root), "ANNOTATION_TWICE", "00000.xml", "annotations=txt")
    assert cctsdb.read(root, annotations="txt").boxes["category_id"].to_list() == [2]
    assert cctsdb.read(root, annotations="xml").boxes["category_id"].to_list() == [3]
    check_error(lambda: cctsdb.read(root, annotations="json"), "OPTION_VALUE", "annotations=json")


def test_image__that_nothing_names_is_reported(root: Path, write: Any, check_error: Any) -> None:
    write("GroundTruth.txt", ROW)
    other = write("images/00009.jpg", (40, 30))
    check_error(lambda: cctsdb.read(root), "ANNOTATION_MISSING", str(other), "a folder named negatives")
    (root / "neg").mkdir()
    other.rename(root / "neg/00009.jpg")
    assert cctsdb.read(root).images["file_name"].to_list() == ["images/00000.jpg", "neg/00009.jpg"]


def test_xml__of_one_image_twice_is_reported(root: Path, write: Any, check_error: Any) -> None:
    write("xml/00000.xml", XML.format("warning", 3))
    path = write("xml_of_night/00000.xml", XML.format("warning", 3))
    check_error(lambda: cctsdb.read(root), "ANNOTATION_TWICE", f"{path} ", "xml/00000.xml annotates")


def test_xml__keeps_size_flags_and_tags(root: Path, write: Any, check_error: Any) -> None:
    more = "<difficult>1</difficult><truncated>1</truncated><weather>fog</weather><bndbox>"
    write("xml/00000.xml", XML.format("warning", 3).replace("<bndbox>", more).replace(">40<", ">41<"))
    check_error(lambda: cctsdb.read(root), "IMAGE_SIZE", "says 41 x 30", "size_mismatch=keep")
    boxes = cctsdb.read(root, size_mismatch="keep").boxes
    columns = ("truncated", "difficult", "ignore", "ignore_reason", "attributes")
    assert boxes.select(columns).rows() == [(1.0, True, True, "difficult", '{"weather":"fog"}')]


def test_read_me__with_a_semicolon_or_in_another_encoding_is_no_text_of_rows(root: Path, write: Any) -> None:
    write("GroundTruth.txt", ROW)
    write("readme.txt", "Signs; three classes")
    write("gbk.txt", "说明".encode("gbk"))
    assert len(cctsdb.read(root).boxes) == 1


def test_text__whose_name_says_ground_truth_is_read_though_its_first_row_is_damaged(
    root: Path, write: Any, check_error: Any
) -> None:
    write("GroundTruth.txt", f"00000.png,1,2,3,4,warning\n{ROW}\n")
    check_error(lambda: cctsdb.read(root), "ROW_COLUMNS", "GroundTruth.txt:1")


def test_inclusive__moves_the_lower_right_corner(root: Path, write: Any) -> None:
    write("GroundTruth.txt", ROW)
    assert cctsdb.read(root, inclusive=True).boxes.select("x1", "y1", "x2", "y2").rows() == [(1, 2, 4, 5)]


def test_files__missing(tmp_path: Path, check_error: Any) -> None:
    check_error(lambda: cctsdb.read(tmp_path), "CCTSDB_MISSING", "neither")
