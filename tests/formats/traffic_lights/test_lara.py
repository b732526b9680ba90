"""LaRA: faults with their lines, frames with and without rows, blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.traffic_lights import lara

TEXT = "Lara_UrbanSeq1_GroundTruth_GT.txt"
ROW = "0.2400 / 6 30 12 39 31 77 'Traffic Light' 'stop'"


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("Lara3D_UrbanSeq1_JPG/frame_000006.jpg", (64, 48))
    return tmp_path


ROWS = [
    pytest.param(ROW[:-7], "ROW_COLUMNS", "found 10 fields, expected 11", id="10-fields"),
    pytest.param(ROW.replace(" 30 ", " nan "), "ROW_NUMBER", "x1=nan", id="number"),
    pytest.param(ROW.replace("/ 6", "/ 6.5"), "ROW_NUMBER", "frame=6.5", id="frame"),
    pytest.param(ROW.replace("/ 6", "/ -6"), "ROW_FRAME", "frame=-6", id="frame-negative"),
    pytest.param(ROW.replace("/ 6", "| 6"), "ROW_VALUE", "slash=|", id="slash"),
    pytest.param(ROW.replace(" 30 ", " 40 "), "BOX_INVALID", "x2 must be >= x1", id="swapped"),
    pytest.param(ROW.replace("/ 6", "/ 7"), "IMAGE_MISSING", "Lara3D_UrbanSeq1_JPG/frame_000007.jpg", id="no-frame"),
]


@pytest.mark.parametrize(("row", "code", "part"), ROWS)
def test_row__fault_names_the_line(row: str, code: str, part: str, root: Path, write: Any, check_error: Any) -> None:
    path = write(TEXT, f"# a header\n{ROW}\n{row}\n")
    check_error(lambda: lara.read(root), code, f"{path}:3 ", part)


def test_rows__without_frames_are_kept_when_asked(tmp_path: Path, write: Any) -> None:
    write(TEXT, ROW)
    table = lara.read(tmp_path, missing_images="keep")
    assert table.images.select("file_name", "width", "frame").rows() == [
        ("Lara3D_UrbanSeq1_JPG/frame_000006.jpg", None, 6)
    ]


def test_sample__blocks_and_tracks(sample: Any) -> None:
    root = sample("lara")
    table = lara.read(root)
    assert table.images["group"].to_list() == ["block 0", "block 0", "block 1"]
    assert lara.read(root, block_frames=7).images["group"].to_list() == ["block 0", "block 1", "block 36"]
    assert table.boxes["track_id"].to_list() == ["77", "78", "79"]
    assert table.boxes["ignore_reason"].to_list() == [None, "ambiguous", None]


def test_inclusive__moves_the_lower_right_corner(root: Path, write: Any) -> None:
    write(TEXT, ROW)
    assert lara.read(root, inclusive=True).boxes.select("x1", "y1", "x2", "y2").rows() == [(30, 12, 40, 32)]


def test_files__missing_or_twice(root: Path, write: Any, check_error: Any) -> None:
    check_error(lambda: lara.read(root), "LARA_MISSING", "0 texts")
    write(TEXT, ROW)
    write("again/frame_000006.png", (64, 48))
    check_error(lambda: lara.read(root), "IMAGE_TWICE", "again/frame_000006.png", "the same frame")
    check_error(lambda: lara.read(root, block_frames=0), "OPTION_VALUE", "block_frames=0")
