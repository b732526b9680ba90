"""Boxes whose numbers are beyond doubt not what the format says are refused, whatever the format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.coco.reader import read as read_coco
from detect_transfer.formats.tools import labelme
from detect_transfer.formats.traffic_signs import dfg, gtsdb, rtsd, tt100k

CORNERS = [(20, 10, 30, 25), (25, 12, 39, 29), (22, 11, 31, 20), (30, 15, 38, 28), (21, 14, 33, 27)]


def as_sizes(boxes: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    return [(x1, y1, x2 - x1, y2 - y1) for x1, y1, x2, y2 in boxes]


def as_shares(boxes: list[tuple[int, ...]]) -> list[tuple[float, ...]]:
    return [(x1 / 40, y1 / 30, x2 / 40, y2 / 30) for x1, y1, x2, y2 in boxes]


@pytest.fixture
def write_gtsdb(write: Any, tmp_path: Path) -> Any:
    def _write(boxes: list[tuple[float, ...]]) -> Path:
        write("00000.ppm", (40, 30))
        write("gt.txt", "".join(f"00000.ppm;{';'.join(map(str, box))};13\n" for box in boxes))
        return tmp_path

    return _write


@pytest.fixture
def write_tt100k(write: Any, tmp_path: Path) -> Any:
    def _write(boxes: list[tuple[float, ...]]) -> Path:
        write("train/1.jpg", (40, 30))
        edges = ("xmin", "ymin", "xmax", "ymax")
        objects = [{"category": "i2", "bbox": dict(zip(edges, box, strict=True))} for box in boxes]
        image = {"path": "train/1.jpg", "id": 1, "objects": objects}
        write("annotations.json", json.dumps({"types": ["i2"], "imgs": {"1": image}}))
        return tmp_path

    return _write


def test_rows__of_sizes_where_corners_belong(write_gtsdb: Any, check_error: Any) -> None:
    root = write_gtsdb(as_sizes(CORNERS))
    for on_error in ("fail", "skip-row", "skip-image"):
        part = "5 of 5 boxes end before they begin, as x, y, width, height would"
        check_error(lambda mode=on_error: gtsdb.read(root, on_error=mode), "BOX_FORMAT", "gt.txt:1", part, "x2 = x + w")


def test_rows__of_which_few_are_inverted_are_single_faults(write_gtsdb: Any, check_error: Any) -> None:
    root = write_gtsdb([*CORNERS, *as_sizes(CORNERS)[:2]])
    check_error(lambda: gtsdb.read(root), "BOX_INVALID", "gt.txt:6")
    assert len(gtsdb.read(root, on_error="skip-row").boxes) == 5


def test_json__of_sizes_where_corners_belong(write_tt100k: Any, check_error: Any) -> None:
    check_error(lambda: tt100k.read(write_tt100k(as_sizes(CORNERS))), "BOX_FORMAT", "5 of 5 boxes")


def test_json__of_shares_where_pixels_belong(write_tt100k: Any, check_error: Any) -> None:
    root = write_tt100k(as_shares(CORNERS))
    check_error(lambda: tt100k.read(root), "BOX_FORMAT", "look like shares", "x times the width")
    check_error(lambda: tt100k.read(root, on_error="skip-row"), "BOX_FORMAT", "look like shares")


def test_shapes__of_shares_where_pixels_belong(write: Any, tmp_path: Path, check_error: Any) -> None:
    write("a.png", (40, 30))
    shapes = [
        {"label": "car", "points": [[x1, y1], [x2, y2]], "shape_type": "rectangle"}
        for x1, y1, x2, y2 in as_shares(CORNERS)
    ]
    write("a.json", json.dumps({"imagePath": "a.png", "shapes": shapes}))
    check_error(lambda: labelme.read(tmp_path), "BOX_FORMAT", "a.json#/shapes/0", "look like shares")


def test_json__of_few_or_whole_small_numbers_is_taken(write_tt100k: Any) -> None:
    assert len(tt100k.read(write_tt100k(as_shares(CORNERS[:2]))).boxes) == 2
    assert len(tt100k.read(write_tt100k([(0, 0, 1, 1)] * 3)).boxes) == 3


def test_sizes__that_are_corners(write: Any, tmp_path: Path, check_error: Any) -> None:
    write("rtsd-frames/a.jpg", (40, 30))
    rows = "".join(f"a.jpg,{','.join(map(str, box))},1_1,7\n" for box in CORNERS)
    path = write("full-gt.csv", "filename,x_from,y_from,width,height,sign_class,sign_id\n" + rows)
    check_error(lambda: rtsd.read(tmp_path), "BOX_FORMAT", "full-gt.csv:2", "none would if the numbers were x1, y1")
    path.write_text(path.read_text().replace("20,10,30,25", "20,10,9,15"))
    assert len(rtsd.read(tmp_path).boxes) == 5


def test_coco__sizes_that_are_corners(write: Any, tmp_path: Path, check_error: Any) -> None:
    write("JPEGImages/a.jpg", (40, 30))
    image = {"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}
    boxes = [{"id": i, "image_id": 1, "category_id": 0, "bbox": box} for i, box in enumerate(CORNERS)]
    document = {"images": [image], "annotations": boxes, "categories": [{"id": 0, "name": "I-1"}]}
    path = write("train.json", json.dumps(document))
    part = "none would if the numbers were x1, y1"
    check_error(lambda: dfg.read(tmp_path), "BOX_FORMAT", "train.json", part)
    check_error(lambda: read_coco(path, images=tmp_path / "JPEGImages"), "BOX_FORMAT", "train.json", part)
