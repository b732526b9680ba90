from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.pedestrians import widerperson


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("Images/000040.jpg", (40, 30))
    write("Annotations/000040.jpg.txt", "1\n1 3 5 11 26\n")
    write("train.txt", "000040\n")
    return tmp_path


@pytest.mark.parametrize(
    ("options", "xyxy"),
    [
        ({}, (3, 5, 11, 26)),
        ({"inclusive_max": True}, (3, 5, 12, 27)),
        ({"one_based": True}, (2, 4, 10, 25)),
        ({"one_based": True, "inclusive_max": True}, (2, 4, 11, 26)),
    ],
)
def test_convention__is_a_choice(options: dict[str, bool], xyxy: tuple[float, ...], root: Path) -> None:
    assert widerperson.read(root, **options).boxes.select("x1", "y1", "x2", "y2").rows() == [xyxy]


def test_partially_visible__is_occluded(root: Path, write: Any) -> None:
    write("Annotations/000040.jpg.txt", "2\n1 3 5 11 26\n3 3 5 11 26\n")
    assert widerperson.read(root).boxes["occluded"].to_list() == [None, 1.0]


ROWS = [
    pytest.param("1 3 5 11", "ROW_COLUMNS", "x1 y1 x2 y2", id="4-fields"),
    pytest.param("1 3 5 11 26 1", "ROW_COLUMNS", "found 6 fields", id="6-fields"),
    pytest.param("1 3 nan 11 26", "ROW_NUMBER", "y1=nan", id="nan"),
    pytest.param("1 3 5 11 ٣", "ROW_NUMBER", "y2=٣", id="other-digits"),
    pytest.param("1.5 3 5 11 26", "ROW_NUMBER", "class=1.5", id="class-float"),
    pytest.param("0 3 5 11 26", "CLASS_UNKNOWN", "from 1 to 5", id="class-0"),
    pytest.param("6 3 5 11 26", "CLASS_UNKNOWN", "class=6", id="class-6"),
    pytest.param("1 12 5 11 26", "BOX_INVALID", "x2 must be >= x1", id="swapped"),
]


@pytest.mark.parametrize(("row", "code", "part"), ROWS)
def test_row__fault_names_the_line(row: str, code: str, part: str, root: Path, write: Any, check_error: Any) -> None:
    path = write("Annotations/000040.jpg.txt", f"2\n1 3 5 11 26\n\n{row}\n")
    check_error(lambda: widerperson.read(root), code, f"{path}:4 ", part)


@pytest.mark.parametrize("row", ["1 3 nan 11 26", "1 3 5 11 26 1", "1 3"])
def test_row__at_fault_is_left_out_when_asked(row: str, root: Path, write: Any) -> None:
    write("Annotations/000040.jpg.txt", f"2\n{row}\n1 3 5 11 26\n")
    table = widerperson.read(root, on_error="skip-row")
    assert table.boxes["source"].to_list() == ["Annotations/000040.jpg.txt:3"]
    assert [(line.kind, line.count) for line in table.reading] == [("box", 1)]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("2\n1 3 5 11 26\n", 1, id="too-many"),
        pytest.param("0\n1 3 5 11 26\n", 1, id="too-few"),
        pytest.param("one\n1 3 5 11 26\n", 1, id="no-number"),
        pytest.param("1 3 5 11 26\n", 1, id="no-count"),
        pytest.param("\n\n3\n", 3, id="blank-lines-above"),
        pytest.param("", 1, id="empty"),
    ],
)
def test_count__must_be_that_of_the_rows(text: str, line: int, root: Path, write: Any, check_error: Any) -> None:
    path = write("Annotations/000040.jpg.txt", text)
    check_error(lambda: widerperson.read(root), "ROW_COUNT", f"{path}:{line} ")


def test_lists__decide_what_is_read(root: Path, write: Any, check_error: Any) -> None:
    write("Annotations/000041.jpg.txt", "0\n")
    table = widerperson.read(root)
    assert table.images.select("file_name", "split").rows() == [("Images/000040.jpg", "train")]
    assert [(line.kind, line.reason, line.count) for line in table.reading] == [("image", "in no list", 1)]
    path = write("val.txt", "\n000040\n000042\n")
    check_error(lambda: widerperson.read(root), "SPLIT_TWICE", f"{path}:2", "train.txt")
    check_error(lambda: widerperson.read(root), "ANNOTATION_MISSING", f"{path}:3", "000042.jpg.txt")


def test_lists__none_means_that_every_text_is_read(root: Path) -> None:
    (root / "train.txt").unlink()
    assert widerperson.read(root).images.select("file_name", "split").rows() == [("Images/000040.jpg", None)]


def test_images__missing(root: Path, check_error: Any) -> None:
    (root / "Images/000040.jpg").unlink()
    check_error(lambda: widerperson.read(root), "IMAGE_MISSING", "Annotations/000040.jpg.txt")
    assert widerperson.read(root, missing_images="keep").images["width"].to_list() == [None]
    check_error(lambda: widerperson.read(root / "Annotations"), "FOLDER_MISSING", "no folder Annotations")
