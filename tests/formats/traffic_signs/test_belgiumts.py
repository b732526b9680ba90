"""BelgiumTS: faults with their lines, the choice of texts, groups by poles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.traffic_signs import belgiumts

ROW = "01/image.000001.jp2;1;2;3;4;75;3;"


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("01/image.000001.png", (40, 30))
    return tmp_path


ROWS = [
    pytest.param("01/image.000001.jp2;1;2;3;4;75;", "ROW_COLUMNS", "found 6 fields", id="6-fields"),
    pytest.param(f"{ROW}17;1;", "ROW_COLUMNS", "expected 7 or 12 fields", id="9-fields"),
    pytest.param(f"{ROW}1;2;3;4;5;6;", "ROW_COLUMNS", "found 13 fields", id="13-fields"),
    pytest.param(ROW.replace(";1;", ";nan;"), "ROW_NUMBER", "x1=nan", id="nan"),
    pytest.param(ROW.replace("75", "7.5"), "ROW_NUMBER", "class=7.5 - expected an integer", id="class"),
    pytest.param(ROW[:-2] + "12;", "ROW_NUMBER", "superclass=12 - expected a superclass from -1 to 11", id="super"),
    pytest.param(ROW.replace(";1;2;3", ";4;2;3"), "BOX_INVALID", "x2 must be >= x1", id="swapped"),
    pytest.param(ROW.replace("01/", "02/"), "IMAGE_MISSING", "image=02/image.000001.jp2", id="no-image"),
    pytest.param(ROW.replace("01/", "../9"), "PATH_OUTSIDE", "", id="path"),
]


@pytest.mark.parametrize(("row", "code", "part"), ROWS)
def test_row__fault_names_the_line(row: str, code: str, part: str, root: Path, write: Any, check_error: Any) -> None:
    path = write("BTSD_training_GTclear.txt", f"{ROW}\n\n{row}\n")
    check_error(lambda: belgiumts.read(root), code, f"{path}:3 ", part)


def test_files__missing(tmp_path: Path, sample: Any, check_error: Any) -> None:
    check_error(lambda: belgiumts.read(tmp_path), "BTSD_MISSING", "BTSD_training_GT.txt")
    root = sample("belgiumts_clear")
    check_error(lambda: belgiumts.read(root, labels="full"), "BTSD_MISSING", "read without labels=full")
    check_error(lambda: belgiumts.read(root, labels="all"), "OPTION_VALUE", "labels=all")


def test_groups__are_images_that_share_poles(sample: Any) -> None:
    images = belgiumts.read(sample("belgiumts")).images
    assert images["group"].to_list() == ["17", "17", "18", "23"]
    assert belgiumts.read(sample("belgiumts_clear")).images["group"].null_count() == 4


def test_groups__reach_over_chains_and_leave_images_without_pole_alone(root: Path, write: Any) -> None:
    links = [("a", 1), ("b", 1), ("b", 2), ("c", 2), ("d", -1), ("e", 3)]
    rows = [f"01/{name}.jp2;1;2;3;4;75;3;{pole};1;1;1;D1;\n" for name, pole in links]
    write("BTSD_testing_GT.txt", "".join(rows))
    images = belgiumts.read(root, missing_images="keep").images
    assert images["group"].to_list() == ["1", "1", "1", None, "3"]
    assert images["split"].unique().to_list() == ["test"]


def test_boxes__keep_pole_and_label(sample: Any) -> None:
    table = belgiumts.read(sample("belgiumts"))
    kept = json.loads(table.boxes["attributes"][1])
    assert kept == {"pole": "17", "number_on_pole": "1", "camera": "0", "frame": "945", "class_label": "D1a"}
    assert table.boxes["ignore_reason"].to_list() == [None, None, "undefined superclass", None, None]
    assert table.categories.select("name", "supercategory").rows() == [
        *[("undefined", None), ("class 13", "triangles"), ("class 16", "other"), ("class 75", "bluecircles")]
    ]


def test_one_based__moves_the_upper_left_corner(root: Path, write: Any) -> None:
    write("BTSD_training_GTclear.txt", ROW)
    assert belgiumts.read(root, one_based=True).boxes.select("x1", "y1", "x2", "y2").rows() == [(0, 1, 3, 4)]
