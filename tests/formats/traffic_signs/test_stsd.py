"""Swedish signs: faults with their lines, options, and what goes beside the boxes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.traffic_signs import stsd


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("Set1Part0/9_Image1.jpg", (40, 30))
    return tmp_path


SIGN = "VISIBLE, 20.0, 22.0, 10.0, 12.0, WARNING, STOP"
ROWS = [
    pytest.param(
        "9_Image1.jpg VISIBLE, 1;", "ROW_COLUMNS", "found 1 fields, expected 2: file_name:signs", id="no-colon"
    ),
    pytest.param(f":{SIGN};", "ROW_VALUE", "the name of an image", id="no-name"),
    pytest.param(
        "9_Image1.jpg:VISIBLE, 1, 2, 3;", "ROW_COLUMNS", "sign=VISIBLE, 1, 2, 3 - expected 7 fields", id="4-fields"
    ),
    *[
        pytest.param(f"9_Image1.jpg:{SIGN.replace('20.0', bad)};", "ROW_NUMBER", f"right={bad}", id=f"number-{i}")
        for i, bad in enumerate(("nan", "1e999", "1_0", "٣", "x"))
    ],
    pytest.param(
        f"9_Image1.jpg:{SIGN.replace('WARNING', '')};", "ROW_VALUE", "type= - the sign has no type", id="type"
    ),
    pytest.param(f"9_Image1.jpg:{SIGN.replace('STOP', '')};", "ROW_VALUE", "no name", id="name"),
    pytest.param(f"9_Image1.jpg:{SIGN.replace('20.0', '9.0')};", "BOX_INVALID", "right must be >= left", id="swapped"),
    pytest.param(f"9_Image2.jpg:{SIGN};", "IMAGE_MISSING", "image=9_Image2.jpg", id="no-image"),
]


@pytest.mark.parametrize(("row", "code", "part"), ROWS)
def test_row__fault_names_the_line(row: str, code: str, part: str, root: Path, write: Any, check_error: Any) -> None:
    path = write("annotations.txt", f"9_Image1.jpg:{SIGN};\n\n{row}\n")
    check_error(lambda: stsd.read(root), code, f"{path}:3 ", part)


def test_image__that_two_folders_hold_is_reported(root: Path, write: Any, check_error: Any) -> None:
    write("annotations.txt", f"9_Image1.jpg:{SIGN};")
    write("Set1Part1/9_Image1.jpg", (40, 30))
    check_error(lambda: stsd.read(root), "IMAGE_TWICE", "2 images fit", "Set1Part0/9_Image1.jpg")


def test_files__missing(tmp_path: Path, check_error: Any) -> None:
    check_error(lambda: stsd.read(tmp_path / "no"), "FOLDER_MISSING")
    check_error(lambda: stsd.read(tmp_path), "STSD_MISSING")


def test_one_based__moves_the_upper_left_corner(root: Path, write: Any) -> None:
    write("annotations.txt", f"9_Image1.jpg:{SIGN};")
    assert stsd.read(root, one_based=True).boxes.select("x1", "y1", "x2", "y2").rows() == [(9, 11, 20, 22)]


def test_sample__tells_more_than_boxes(sample: Any) -> None:
    table = stsd.read(sample("stsd"), ignore_visibility=["BLURRED", "SIDE_ROAD"])
    assert table.images["misc_signs"].to_list() == [False, False, True, False]
    assert table.images["group"].unique().sort().to_list() == ["1277381704", "1277385426"]
    assert table.boxes["occluded"].to_list() == [0.0, 1.0, None, None, 0.0]
    assert table.boxes["ignore_reason"].to_list() == [None, None, "unreadable", "other sign", None]
    assert json.loads(table.boxes["attributes"][2]) == {"visibility": "BLURRED", "type": "OTHER"}
    named = dict(table.categories.select("name", "supercategory").rows())
    assert named["70_SIGN"] == "PROHIBITORY"


def test_ignore_visibility__adds_a_reason(root: Path, write: Any, check_error: Any) -> None:
    write("annotations.txt", f"9_Image1.jpg:{SIGN.replace('VISIBLE', 'BLURRED')};{SIGN};")
    boxes = stsd.read(root, ignore_visibility="BLURRED").boxes
    assert boxes["ignore_reason"].to_list() == ["blurred", None]
    check_error(lambda: stsd.read(root, ignore_visibility=["DARK"]), "OPTION_VALUE", "ignore_visibility=DARK")


def test_unreadable__signs_are_of_a_type_of_their_own(root: Path, write: Any) -> None:
    write("annotations.txt", f"9_Image1.jpg:{SIGN.replace('WARNING, STOP', 'UNREADABLE, URDBL')};")
    assert stsd.read(root).boxes["ignore_reason"].to_list() == ["unreadable"]


def test_type__that_nobody_published_is_kept_and_noted(root: Path, write: Any) -> None:
    write("annotations.txt", f"9_Image1.jpg:{SIGN.replace('WARNING', 'ROUND')};")
    table = stsd.read(root)
    assert table.categories["supercategory"].to_list() == ["ROUND"]
    assert [(line.action, line.count, line.examples) for line in table.reading] == [
        ("noted", 1, ("annotations.txt:1",))
    ]
