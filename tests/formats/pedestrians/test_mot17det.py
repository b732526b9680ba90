"""MOT17Det: faults with their lines, seqinfo.ini, copies of a sequence, what is ignored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.pedestrians import mot17det

ROW = "1,3,5.0,7.2,15.9,20.8,1,1,0.75"
INFO = "[Sequence]\nname=MOT17-02\nimDir=img1\nframeRate=30\nseqLength=2\nimWidth=40\nimHeight=30\nimExt=.jpg\n"
TRUTH = "train/MOT17-02/gt/gt.txt"


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    for number in (1, 2):
        write(f"train/MOT17-02/img1/{number:06d}.jpg", (40, 30))
    write("train/MOT17-02/seqinfo.ini", INFO)
    write(TRUTH, ROW)
    return tmp_path


ROWS = [
    pytest.param(ROW.rpartition(",")[0], "ROW_COLUMNS", "found 8 fields, expected 9 to 10", id="8-fields"),
    pytest.param(f"{ROW},-1,-1", "ROW_COLUMNS", "found 11 fields", id="11-fields"),
    pytest.param(ROW.replace("5.0", "nan", 1), "ROW_NUMBER", "left=nan", id="number"),
    pytest.param(ROW.replace("15.9", "-15.9"), "ROW_NUMBER", "width=-15.9 - expected 0 or more", id="width"),
    pytest.param(ROW.replace(",1,1,", ",2,1,"), "ROW_NUMBER", "active=2", id="active"),
    pytest.param(ROW.replace(",1,1,", ",1,14,"), "ROW_NUMBER", "class=14 - expected a class from 1 to 13", id="class"),
    pytest.param(ROW.replace("0.75", "1.75"), "ROW_NUMBER", "visibility=1.75", id="visibility"),
    pytest.param("3" + ROW[1:], "ROW_FRAME", "frame=3 - the sequence has no such frame", id="frame"),
    pytest.param("0" + ROW[1:], "ROW_FRAME", "frame=0", id="frame-0"),
]


@pytest.mark.parametrize(("row", "code", "part"), ROWS)
def test_row__fault_names_the_line(row: str, code: str, part: str, root: Path, write: Any, check_error: Any) -> None:
    path = write(TRUTH, f"{ROW}\n\n{row}\n")
    check_error(lambda: mot17det.read(root), code, f"{path}:3 ", part)


INFOS = [
    pytest.param("", "INI_VALUE", "seqLength=", id="empty"),
    pytest.param("name=x\n", "INI_SYNTAX", "seqinfo.ini:1", id="no-section"),
    pytest.param(INFO + INFO, "INI_SYNTAX", "seqinfo.ini", id="twice"),
    pytest.param(INFO.replace("=2", "=2.5"), "INI_VALUE", "seqLength=2.5", id="half"),
    pytest.param(INFO.replace("=2", "=999999999"), "INI_VALUE", "1 to 100,000", id="endless"),
    pytest.param(INFO.replace("img1", "../img1/.."), "PATH_OUTSIDE", "imDir", id="path"),
    pytest.param(INFO.replace("=40", "=41"), "IMAGE_SIZE", "says 41 x 30", id="size"),
    pytest.param(INFO.replace("=2", "=3"), "IMAGE_MISSING", "img1/000003.jpg", id="frame"),
]


@pytest.mark.parametrize(("info", "code", "part"), INFOS)
def test_seqinfo__faults(info: str, code: str, part: str, root: Path, write: Any, check_error: Any) -> None:
    write("train/MOT17-02/seqinfo.ini", info)
    check_error(lambda: mot17det.read(root), code, part)


def test_images__may_be_absent(root: Path, write: Any) -> None:
    write("train/MOT17-02/seqinfo.ini", INFO.replace("=2", "=3"))
    images = mot17det.read(root, missing_images="keep").images
    assert images.select("width", "height").unique().rows() == [(40, 30)]
    assert len(mot17det.read(root, missing_images="skip").images) == 2


def test_copies__for_other_detectors_are_left_out_and_counted(tmp_path: Path, write: Any) -> None:
    for name in ("MOT17-02-DPM", "MOT17-02-FRCNN", "MOT17-04-SDP"):
        write(f"train/{name}/seqinfo.ini", INFO)
        write(f"train/{name}/gt/gt.txt", ROW)
    table = mot17det.read(tmp_path, missing_images="keep")
    assert table.images["group"].to_list() == ["MOT17-02", "MOT17-02", "MOT17-04", "MOT17-04"]
    assert [(line.kind, line.count, line.examples) for line in table.reading] == [
        ("image", 2, ("train/MOT17-02-FRCNN",))
    ]


def test_sample__reasons_and_tracks(sample: Any) -> None:
    table = mot17det.read(sample("mot17det"))
    reasons = ["", "", "not considered", "distractor", "not considered", "", "crowd"]
    assert [reason or "" for reason in table.boxes["ignore_reason"]] == reasons
    assert table.boxes["occluded"].to_list() == pytest.approx([0.26, 0.5, 1, 0, 0, 0, 0])
    assert table.boxes["vis_ratio"].to_list() == [0.74, 0.5, 0, 1, 1, 1, 1]
    assert table.boxes["track_id"].to_list() == ["3", "4", "3", "9", "12", "1", "2"]
    assert table.images["frame"].to_list() == [0, 1, 2, 0]


def test_sequence__without_seqinfo_has_the_frames_that_are_there(root: Path, write: Any, check_error: Any) -> None:
    folder = root / "train/MOT17-02"
    (folder / "seqinfo.ini").unlink()
    write("train/MOT17-02/img1/000629.jpg", (40, 30))
    write(TRUTH, f"629{ROW[1:]}")
    table = mot17det.read(root)
    assert table.images["frame"].to_list() == [0, 1, 628]
    write(TRUTH, f"7{ROW[1:]}")
    check_error(lambda: mot17det.read(root), "IMAGE_MISSING", f"{folder}/gt/gt.txt", "000007.jpg")


def test_files__missing(tmp_path: Path, check_error: Any) -> None:
    check_error(lambda: mot17det.read(tmp_path), "MOT_MISSING", "gt/gt.txt")


def test_folder__of_one_sequence(root: Path) -> None:
    table = mot17det.read(root / "train/MOT17-02")
    assert table.images.select("file_name", "group").rows() == [
        ("img1/000001.jpg", "MOT17-02"),
        ("img1/000002.jpg", "MOT17-02"),
    ]
    assert table.boxes["source"].to_list() == ["gt/gt.txt:1"]


def test_rows__of_2015_are_pedestrians_of_unknown_visibility(root: Path, write: Any) -> None:
    write(TRUTH, "1,3,11,21,15,20,1,-1,-1,-1\n2,3,11,21,15,20,0,-1.5,2.5,0\n")
    boxes = mot17det.read(root).boxes
    columns = ("category_id", "x1", "y1", "x2", "y2", "occluded", "vis_ratio", "ignore_reason")
    assert boxes.select(columns).rows() == [
        (1, 10, 20, 25, 40, None, None, None),
        (1, 10, 20, 25, 40, None, None, "not considered"),
    ]


def test_cvat__sequence_without_info_has_classes_of_its_own_and_pixels_from_0(tmp_path: Path, write: Any) -> None:
    for number in (1, 2):
        write(f"img1/{number:06d}.png", (40, 30))
    write("gt/gt.txt", "1,3,0,21,30,9,1,2,0.5\n")
    write("gt/labels.txt", "person\nsign\n")
    table = mot17det.read(tmp_path)
    assert table.class_names == ["person", "sign"]
    assert table.images.select("file_name", "width", "height").rows() == [
        ("img1/000001.png", 40, 30),
        ("img1/000002.png", 40, 30),
    ]
    assert table.boxes.select("x1", "y1", "x2", "y2", "category_id", "ignore").rows() == [(0, 21, 30, 30, 2, False)]
