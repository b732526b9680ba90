from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.traffic_signs import gtsdb


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("00000.ppm", (40, 30))
    write("00600.jpg", (40, 30))
    write("gt.txt", "00000.ppm;10;5;26;21;13\n")
    return tmp_path


ROWS = [
    pytest.param("00000.ppm;1;2;3;4", "ROW_COLUMNS", "found 5 fields", id="5-fields"),
    pytest.param("00000.ppm;1;2;3;4;5;", "ROW_COLUMNS", "found 7 fields", id="trailing-separator"),
    pytest.param("00000.ppm,1,2,3,4,5", "ROW_COLUMNS", "found 1 fields", id="commas"),
    pytest.param("Filename;Left;Top;Right;Bottom;ClassId", "ROW_NUMBER", "left=Left", id="header"),
    *[
        pytest.param(f"00000.ppm;{bad};2;30;4;5", "ROW_NUMBER", f"left={bad}", id=f"number-{i}")
        for i, bad in enumerate(("nan", "1.5", "1e1", "1_0", "٣", "", "9" * 30))
    ],
    pytest.param("00000.ppm;1;2;3;4;43", "ROW_NUMBER", "class=43 - expected an integer from 0 to 42", id="class-43"),
    pytest.param("00000.ppm;1;2;3;4;-1", "ROW_NUMBER", "class=-1", id="class-negative"),
    pytest.param("00000.ppm;5;2;3;4;1", "BOX_INVALID", "right=3 - right must be >= left", id="swapped-x"),
    pytest.param("00000.ppm;1;5;3;4;1", "BOX_INVALID", "bottom=4 - bottom must be >= top", id="swapped-y"),
    pytest.param("../00000.ppm;1;2;3;4;1", "PATH_OUTSIDE", "file_name=../00000.ppm", id="path"),
    pytest.param(";1;2;3;4;1", "PATH_OUTSIDE", "file_name=", id="no-file"),
    pytest.param("00001.ppm;1;2;3;4;1", "IMAGE_MISSING", "image=00001.ppm", id="no-image"),
]


@pytest.mark.parametrize(("row", "code", "part"), ROWS)
def test_row__fault_names_the_line(row: str, code: str, part: str, root: Path, write: Any, check_error: Any) -> None:
    path = write("gt.txt", f"00000.ppm;10;5;26;21;13\n\n{row}\n")
    check_error(lambda: gtsdb.read(root), code, f"{path}:3 ", part)


def test_rows__of_absent_images_are_skipped_when_asked(root: Path, write: Any) -> None:
    write("gt.txt", "00001.ppm;1;2;3;4;1\n00000.ppm;10;5;26;21;13\n00001.ppm;1;2;3;4;1\n")
    table = gtsdb.read(root, missing_images="skip")
    assert table.boxes["source"].to_list() == ["gt.txt:2"]
    assert [(line.kind, line.count) for line in table.reading] == [("image", 1), ("box", 2)]


def test_rows__of_absent_images_are_kept_when_asked(root: Path, write: Any) -> None:
    write("gt.txt", "00601.ppm;1;2;3;4;1\n")
    images = gtsdb.read(root, missing_images="keep").images
    assert images.select("file_name", "width", "split").rows() == [
        ("00000.ppm", 40, "train"),
        ("00600.jpg", 40, "test"),
        ("00601.ppm", None, "test"),
    ]


@pytest.mark.parametrize(("on_error", "scenes", "boxes"), [("skip-row", 2, 1), ("skip-image", 1, 0)])
def test_row__at_fault_leaves_as_asked(on_error: str, scenes: int, boxes: int, root: Path, write: Any) -> None:
    write("gt.txt", "00000.ppm;10;5;26;21;13\n00000.ppm;1;nan;3;4;1\n")
    table = gtsdb.read(root, on_error=on_error)
    assert (len(table.images), len(table.boxes)) == (scenes, boxes)
    assert table.reading[0].reason == "skipped: ROW_NUMBER"
    assert f"{root / 'gt.txt'}:2" in table.reading[0].examples[0]


def test_rows__out_of_the_image_and_empty_ones_are_kept(root: Path, write: Any) -> None:
    write("gt.txt", "00000.ppm;30;20;60;50;1\n00000.ppm;5;5;5;9;1\n")
    assert gtsdb.read(root).boxes.select("x2", "y2").rows() == [(60, 50), (5, 9)]


def test_files__missing(tmp_path: Path, root: Path, write: Any, check_error: Any) -> None:
    check_error(lambda: gtsdb.read(tmp_path / "no"), "FOLDER_MISSING", "no")
    (tmp_path / "empty").mkdir()
    check_error(lambda: gtsdb.read(tmp_path / "empty"), "FILE_MISSING", "empty")
    (root / "gt.txt").unlink()
    check_error(lambda: gtsdb.read(root), "FILE_MISSING", "gt.txt")


def test_files__of_other_kinds(root: Path, write: Any, check_error: Any) -> None:
    write("gt.txt", b"\xff\xfe0\x000\x00")
    check_error(lambda: gtsdb.read(root), "TEXT_ENCODING", "gt.txt", "UTF-16")
    write("gt.txt", "")
    write("poster.png", (40, 30))
    check_error(lambda: gtsdb.read(root), "GTSDB_NAME", "poster.png")


def test_images__two_of_one_stem(root: Path, write: Any, check_error: Any) -> None:
    write("00000.jpg", (40, 30))
    check_error(lambda: gtsdb.read(root), "STEM_TWICE", "'00000.jpg'", "'00000.ppm'")


def test_option__of_another_value_is_refused(root: Path, check_error: Any) -> None:
    check_error(lambda: gtsdb.read(root, missing_images="no"), "OPTION_VALUE", "missing_images=no", "error, keep, skip")


def test_classes__are_those_of_the_benchmark(root: Path) -> None:
    categories = gtsdb.read(root).categories
    assert len(categories) == 43
    sizes = dict(categories["supercategory"].value_counts().rows())
    assert sizes == {"prohibitory": 12, "mandatory": 8, "danger": 15, "other": 8}
    named = dict(categories.select("category_id", "name").rows())
    assert (named[15], named[39], named[43]) == ("stop", "keep right", "restriction ends (overtaking (trucks))")
