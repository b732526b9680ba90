from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.traffic_signs import rtsd

HEAD = "filename,x_from,y_from,width,height,sign_class,sign_id\n"
ROW = "autosave01_02_2012_10_00_00_0.jpg,7,31,22,12,3_24_n40,41\n"
DANGER = "detection/rtsd-d1-gt/danger/train_gt.csv"


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("full-gt.csv", HEAD + ROW)
    write("rtsd-frames/autosave01_02_2012_10_00_00_0.jpg", (64, 48))
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "code", "part"),
    [
        pytest.param(",12,", ",", "ROW_COLUMNS", "found 6 fields, expected 7", id="columns"),
        pytest.param(",7,", ",7.0.0,", "ROW_NUMBER", "x_from=7.0.0", id="number"),
        pytest.param(",22,", ",-22,", "BOX_INVALID", "width=-22", id="negative"),
        pytest.param("3_24_n40", " ", "ROW_EMPTY", "sign_class=", id="no-class"),
        pytest.param("autosave01_02_2012_10_00_00_0.jpg", "", "ROW_EMPTY", "filename=", id="no-name"),
        pytest.param("_0.jpg", "_9.jpg", "IMAGE_MISSING", "missing_images=keep", id="no-image"),
        pytest.param("autosave01", "../nosave01", "PATH_OUTSIDE", "../nosave01", id="path-above"),
    ],
)
def test_fault__names_file_and_line(
    old: str, new: str, code: str, part: str, root: Path, write: Any, check_error: Any
) -> None:
    path = write("full-gt.csv", HEAD + ROW.replace(old, new, 1))
    check_error(lambda: rtsd.read(root), code, f"{path}:2 ", part)


def test_header__of_another_kind(root: Path, write: Any, check_error: Any) -> None:
    write("full-gt.csv", ROW)
    check_error(lambda: rtsd.read(root), "CSV_HEADER", "full-gt.csv:1", "does not name filename")


def test_faults__are_skipped_when_asked(root: Path, write: Any) -> None:
    write("full-gt.csv", HEAD + ROW + ROW.replace(",22,", ",x,") + ROW.replace("_0.jpg", "_1.jpg"))
    write("rtsd-frames/autosave01_02_2012_10_00_00_1.jpg", (64, 48))
    assert len(rtsd.read(root, on_error="skip-row").boxes) == 2
    left = rtsd.read(root, on_error="skip-image")
    assert left.images["file_name"].to_list() == ["rtsd-frames/autosave01_02_2012_10_00_00_1.jpg"]
    assert sum(line.count for line in left.reading if line.kind == "image") == 1


def test_group__is_a_track_or_a_day(sample: Any) -> None:
    root = sample("rtsd")
    assert rtsd.read(root).images["group"].to_list() == ["41", "41", "7", None]
    days = rtsd.read(root, group_by="date").images["group"].to_list()
    assert days == ["09_10_2012", "09_10_2012", "10_10_2012", "10_10_2012"]
    assert rtsd.read(root).boxes["track_id"].to_list() == ["41", "42", "41", "7"]


def test_detection__counts_what_several_lists_repeat(sample: Any) -> None:
    table = rtsd.read(sample("rtsd_detection"))
    (line,) = table.reading
    assert (line.kind, line.count) == ("box", 1)
    assert line.examples == ("detection/rtsd-d2-gt/danger/train_gt.csv:2",)
    assert table.images["group"].to_list() == [None, None, None]
    assert table.boxes["attributes"][0] == '{"type":"danger"}'
    assert table.categories.select("name", "supercategory").rows() == [
        ("1_20_1", "danger"),
        ("1_23", "danger"),
        ("4_1_1", "mandatory"),
    ]


def test_detection__class_of_two_types_has_no_super_class(sample: Any, write: Any) -> None:
    root = sample("rtsd_detection")
    path = root / "detection/rtsd-d1-gt/mandatory/test_gt.csv"
    path.write_text(path.read_text().replace("4_1_1", "1_23"))
    found = dict(rtsd.read(root).categories.select("name", "supercategory").rows())
    assert found == {"1_20_1": "danger", "1_23": None, "4_1_1": "mandatory"}


def test_detection__ragged_row_skips_its_frame_in_all_subsets(sample: Any, check_error: Any) -> None:
    root = sample("rtsd_detection")
    path = root / DANGER
    path.write_text(path.read_text() + "autosave01_02_2012_09_13_50.jpg,1,2\n")
    check_error(lambda: rtsd.read(root), "ROW_COLUMNS", f"{path}:4 ")
    names = rtsd.read(root, on_error="skip-image").images["file_name"].to_list()
    assert [name.rpartition("_")[2] for name in names] == ["00.jpg", "46.jpg"]


def test_layout__is_a_choice_where_both_are_there(sample: Any, write: Any, check_error: Any) -> None:
    root = sample("rtsd_detection")
    (root / "full-gt.csv").write_text(HEAD + ROW)
    check_error(lambda: rtsd.read(root), "OPTION_NEEDED", "layout=auto", "layout=full")
    assert len(rtsd.read(root, layout="detection").boxes) == 5
    assert len(rtsd.read(root, layout="full", missing_images="keep").boxes) == 1


def test_detection__list_of_a_type_that_is_missing_is_no_background(sample: Any, check_error: Any) -> None:
    root = sample("rtsd_detection")
    path = root / "detection/rtsd-d1-gt/mandatory/test_gt.csv"
    path.unlink()
    check_error(lambda: rtsd.read(root), "FILE_MISSING", str(path), "rtsd-d1-gt/mandatory away")
    (path.parent / "train_gt.csv").unlink()
    path.parent.rmdir()
    assert len(rtsd.read(root).boxes) == 3


def test_folder__without_lists(tmp_path: Path, write: Any, check_error: Any) -> None:
    check_error(lambda: rtsd.read(tmp_path), "FILE_MISSING", "found 0 such files")
    write("a/full-gt.csv", HEAD)
    write("b/full-gt.csv", HEAD)
    check_error(lambda: rtsd.read(tmp_path), "FILE_MISSING", "found 2 such files")
    check_error(lambda: rtsd.read(tmp_path, layout="detection"), "FILE_MISSING", "rtsd-d*-gt")


def test_images__may_be_absent_when_asked(root: Path) -> None:
    (root / "rtsd-frames/autosave01_02_2012_10_00_00_0.jpg").unlink()
    assert rtsd.read(root, missing_images="keep").images["width"].to_list() == [None]


@pytest.mark.parametrize("option", ["layout", "group_by", "missing_images", "on_error"])
def test_option__with_no_such_value(option: str, root: Path, check_error: Any) -> None:
    check_error(lambda: rtsd.read(root, **{option: "no"}), "OPTION_VALUE", f"{option}=no")
