from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.tools import dota

ROW = "10 20 30 20 30 40 10 40 plane 0"


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("labelTxt/a.txt", f"imagesource:JL\ngsd:0.5\n{ROW}\n")
    write("labelTxt/b.txt", f"{ROW}\n")
    write("images/a.png", (64, 48))
    write("images/b.png", (64, 48))
    return tmp_path


def test_attributes__keep_corners_and_angle(root: Path, write: Any) -> None:
    write("labelTxt/a.txt", "0 0 10 10 0 20 -10 10 ship 2")
    row = dota.read(root).boxes.row(0, named=True)
    assert (row["x1"], row["y1"], row["x2"], row["y2"], row["ignore_reason"]) == (-10, 0, 10, 20, "difficult")
    stated = json.loads(row["attributes"])
    assert stated == {"quad": [0, 0, 10, 10, 0, 20, -10, 10], "angle": pytest.approx(45), "level": 2}


def test_head__is_kept(root: Path) -> None:
    assert dota.read(root).images.select("imagesource", "gsd").rows() == [("JL", "0.5"), (None, None)]


FAULTS = [
    pytest.param("10 20 30 20 30 40 10 plane 0", "ROW_NUMBER", "y4=plane", id="seven-numbers"),
    pytest.param("10 20 30 20 30 40 10", "ROW_COLUMNS", "found 7 fields", id="ragged"),
    pytest.param(ROW.replace("10 20 30", "10 nan 30"), "ROW_NUMBER", "y1=nan", id="nan"),
    pytest.param(ROW.replace("plane 0", "plane 3"), "ROW_FIELD", "difficult=3", id="level"),
]


@pytest.mark.parametrize(("row", "code", "part"), FAULTS)
def test_fault__names_file_line_and_field(
    row: str, code: str, part: str, root: Path, write: Any, check_error: Any
) -> None:
    path = write("labelTxt/a.txt", f"imagesource:JL\ngsd:0.5\n{ROW}\n{row}\n")
    check_error(lambda: dota.read(root), code, f"{path}:4 ", part)
    assert len(dota.read(root, on_error="skip-row").boxes) == 2
    assert dota.read(root, on_error="skip-image").images["file_name"].to_list() == ["images/b.png"]


def test_images__missing_and_without_text(root: Path, write: Any, check_error: Any) -> None:
    (root / "images/a.png").unlink()
    check_error(lambda: dota.read(root), "IMAGE_MISSING", "labelTxt/a.txt")
    kept = dota.read(root, missing_images="keep")
    assert kept.images.select("file_name", "width").row(0) == ("images/a.png", None)
    skipped = dota.read(root, missing_images="skip")
    assert [(line.kind, line.count) for line in skipped.reading] == [("image", 1), ("box", 1)]
    write("images/c.png", (64, 48))
    check_error(lambda: dota.read(root, missing_images="skip"), "ANNOTATION_MISSING", "c.png")
    assert len(dota.read(root, missing_images="keep", allow_missing=True).images) == 3


def test_texts__two_of_one_image_or_none(root: Path, write: Any, check_error: Any) -> None:
    write("labelTxt-v1.5/a.txt", ROW)
    check_error(lambda: dota.read(root), "LABEL_TWICE", "labelTxt/a.txt", "labelTxt-v1.5/a.txt")
    check_error(lambda: dota.read(root / "images"), "DOTA_MISSING", "images")
