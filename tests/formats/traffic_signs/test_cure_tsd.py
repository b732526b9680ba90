"""CURE-TSD: faults with their lines, variants of a sequence, frames that are not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.traffic_signs import cure_tsd

HEAD = "frameNumber_signType_llx_lly_lrx_lry_ulx_uly_urx_ury\n"
ROW = "001_13_10_20_14_20_10_10_14_10"


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    for video in ("01_01_00_00_00", "01_01_01_03_05"):
        for number in (1, 2):
            write(f"{video}/{number}.png", (40, 30))
    return tmp_path


ROWS = [
    pytest.param("001_13_10_20_14_20_10_10_14", "ROW_COLUMNS", "found 9 fields", id="9-fields"),
    pytest.param(ROW.replace("_14_", "_nan_", 1), "ROW_NUMBER", "lrx=nan", id="number"),
    pytest.param(ROW.replace("_13_", "_15_"), "ROW_NUMBER", "sign=15 - expected a sign from 1 to 14", id="sign"),
    pytest.param(ROW.replace("001", "000"), "ROW_FRAME", "expected a frame from 1 to 300", id="frame-0"),
    pytest.param(ROW.replace("001", "301"), "ROW_FRAME", "expected a frame from 1 to 300", id="frame-301"),
]


@pytest.mark.parametrize(("row", "code", "part"), ROWS)
def test_row__fault_names_the_line(row: str, code: str, part: str, root: Path, write: Any, check_error: Any) -> None:
    path = write("01_01.txt", f"{HEAD}{ROW}\n{row}\n")
    check_error(lambda: cure_tsd.read(root), code, f"{path}:3 ", part)


def test_header__is_no_row_and_a_first_row_is_no_header(root: Path, write: Any, check_error: Any) -> None:
    write("01_01.txt", HEAD + ROW)
    assert len(cure_tsd.read(root).boxes) == 2
    write("01_01.txt", ROW)
    assert len(cure_tsd.read(root).boxes) == 2
    path = write("01_01.txt", ROW.replace("001", "x01"))
    check_error(lambda: cure_tsd.read(root), "ROW_NUMBER", f"{path}:1 ", "frame=x01")


def test_fault__of_a_frame_is_one_of_every_variant(root: Path, write: Any) -> None:
    write("01_01.txt", f"{HEAD}{ROW}\n{ROW.replace('001', '002').replace('_14_', '_x_', 1)}\n")
    rows = cure_tsd.read(root, on_error="skip-row")
    assert (len(rows.images), len(rows.boxes)) == (4, 2)
    assert [(line.kind, line.count) for line in rows.reading] == [("box", 2)]
    images = cure_tsd.read(root, on_error="skip-image")
    assert images.images["file_name"].to_list() == ["01_01_00_00_00/1.png", "01_01_01_03_05/1.png"]
    assert (images.reading[0].kind, images.reading[0].count) == ("image", 2)
    write("01_01.txt", f"{HEAD}{ROW}\n{ROW.replace('001', '009').replace('_14_', '_x_', 1)}\n")
    absent = cure_tsd.read(root, on_error="skip-image")
    assert len(absent.images) == 4
    assert "01_01.txt:3 lrx=x" in absent.reading[0].examples[0]


def test_rows__of_frames_that_were_not_extracted_are_counted(root: Path, write: Any) -> None:
    write("01_01.txt", f"{HEAD}{ROW}\n{ROW.replace('001', '009')}\n")
    table = cure_tsd.read(root)
    assert len(table.boxes) == 2
    assert [(line.reason, line.examples) for line in table.reading] == [
        ("row of a frame that is not there", ("01_01.txt:3",))
    ]


def test_images__are_counted_from_the_first(root: Path, write: Any, check_error: Any) -> None:
    write("01_01.txt", HEAD + ROW)
    write("01_01_00_00_00/0.png", (40, 30))
    check_error(lambda: cure_tsd.read(root), "FRAME_NUMBER", "0.png", "from 1 on", "first_image")
    named = cure_tsd.read(root, first_image=0)
    frames = dict(named.images.select("file_name", "frame").rows())
    assert frames["01_01_00_00_00/1.png"] == 1
    assert named.boxes.join(named.images, on="image_id")["file_name"].to_list() == ["01_01_00_00_00/0.png"]


def test_videos__tell_challenge_and_group(sample: Any) -> None:
    table = cure_tsd.read(sample("cure_tsd"), n_frames=3, stride=2)
    columns = ("file_name", "width", "group", "frame", "source_type", "challenge_type", "challenge_level")
    assert table.images.select(columns).rows()[-1] == (
        "data/Real_Train/01_01_01_09_05.mp4#00002",
        64,
        "01_01",
        2,
        1,
        9,
        5,
    )
    counts = {(line.kind, line.reason): line.count for line in table.reading}
    assert counts == {("image", "left out by the stride"): 3, ("box", "its image is left out"): 1}


def test_sequence__without_video(tmp_path: Path, write: Any, check_error: Any) -> None:
    path = write("labels/01_01.txt", HEAD + ROW)
    check_error(lambda: cure_tsd.read(tmp_path), "VIDEO_MISSING", str(path), "missing_images=keep")
    kept = cure_tsd.read(tmp_path, n_frames=2, missing_images="keep")
    assert kept.images.select("file_name", "width").rows() == [("01_01.mp4#00000", None), ("01_01.mp4#00001", None)]
    assert kept.boxes.select("x1", "y1", "x2", "y2").rows() == [(10, 10, 14, 20)]
    check_error(lambda: cure_tsd.read(tmp_path, missing_images="skip"), "IMAGES_NONE")


def test_options_and_files__out_of_range(tmp_path: Path, check_error: Any) -> None:
    check_error(lambda: cure_tsd.read(tmp_path), "CURE_MISSING", "01_01.txt")
    check_error(lambda: cure_tsd.read(tmp_path, n_frames=0), "OPTION_VALUE", "n_frames=0")
    check_error(lambda: cure_tsd.read(tmp_path, stride=0), "OPTION_VALUE", "stride=0")
