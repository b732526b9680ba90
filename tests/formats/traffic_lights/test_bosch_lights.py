"""Bosch lights: faults with their places, older paths, raw images, and the real test set."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.traffic_lights import bosch_lights

BOX = "{label: Red, occluded: false, x_max: 16.5, x_min: 10.25, y_max: 22.0, y_min: 8.75}"


def record(*boxes: str, path: str = "./rgb/train/bag/1.png") -> str:
    listed = "".join(f"\n  - {box}" for box in boxes) or " []"
    return f"- boxes:{listed}\n  path: {path}\n"


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("rgb/train/bag/1.png", (40, 30))
    return tmp_path


BOXES = [
    pytest.param(BOX.replace("label: Red, ", ""), "JSON_KEY", "/0/boxes/1/label label=(missing)", id="no-label"),
    pytest.param(BOX.replace("false", "maybe"), "YAML_VALUE", "occluded=maybe", id="occluded"),
    *[
        pytest.param(BOX.replace("16.5", bad), "ROW_NUMBER", f"/0/boxes/1 x_max={bad}", id=f"number-{i}")
        for i, bad in enumerate((".nan", ".inf", "1e999", "1_0", "0x10", "ten"))
    ],
    pytest.param(BOX.replace("16.5", "[1]"), "JSON_TYPE", "/0/boxes/1/x_max", id="list"),
    pytest.param("Red", "JSON_TYPE", "/0/boxes/1 ", id="no-box"),
]


@pytest.mark.parametrize(("box", "code", "part"), BOXES)
def test_box__fault_names_the_place(box: str, code: str, part: str, root: Path, write: Any, check_error: Any) -> None:
    path = write("train.yaml", record(BOX, box))
    check_error(lambda: bosch_lights.read(root), code, f"{path}#", part)


FILES = [
    pytest.param("", "YAML_SYNTAX", "0 documents", id="empty"),
    pytest.param("- boxes: [", "YAML_SYNTAX", "train.yaml:", id="cut"),
    pytest.param("boxes: []", "JSON_TYPE", "a list of objects", id="no-list"),
    pytest.param("- boxes: []", "JSON_KEY", "train.yaml#/0/path", id="no-path"),
    pytest.param("- path: ./rgb/train/bag/1.png", "JSON_KEY", "train.yaml#/0/boxes", id="no-boxes"),
    pytest.param(record() + record(), "IMAGE_TWICE", "train.yaml#/1/path", id="twice"),
    pytest.param(record(path="."), "YAML_VALUE", "expected the path", id="no-name"),
    pytest.param(record(path="./rgb/train/bag/2.png"), "IMAGE_MISSING", "rgb/train/bag/2.png", id="no-image"),
    pytest.param(record(path="../9.png"), "PATH_OUTSIDE", "train.yaml#/0/path file_name=../9.png", id="path"),
    pytest.param("- &a {boxes: [], path: x.png}\n- *a", "YAML_PLAIN", "train.yaml:1", id="alias"),
    pytest.param("- !!python/object:os.system x", "YAML_PLAIN", "train.yaml:1", id="tag"),
    pytest.param("[" * 100_000, "YAML_PLAIN", "deep nesting", id="deep"),
    pytest.param("- {path: a.png, path: b.png, boxes: []}", "YAML_KEY_TWICE", "key=path", id="key-twice"),
]


@pytest.mark.parametrize(("content", "code", "part"), FILES)
def test_file__faults(content: str, code: str, part: str, root: Path, write: Any, check_error: Any) -> None:
    write("train.yaml", content)
    check_error(lambda: bosch_lights.read(root), code, part)


@pytest.mark.parametrize(("on_error", "n_images", "n_boxes"), [("skip-row", 2, 2), ("skip-image", 1, 1)])
def test_box__at_fault_leaves_as_asked(on_error: str, n_images: int, n_boxes: int, root: Path, write: Any) -> None:
    write("rgb/train/bag/2.png", (40, 30))
    broken = BOX.replace("16.5", ".nan")
    write("train.yaml", record(BOX, broken) + record(BOX, path="./rgb/train/bag/2.png"))
    table = bosch_lights.read(root, on_error=on_error)
    assert (len(table.images), len(table.boxes)) == (n_images, n_boxes)
    assert table.reading[0].reason == "skipped: ROW_NUMBER"


def test_record__of_a_image_that_another_has_is_left_out_whole(root: Path, write: Any) -> None:
    write("train.yaml", record(BOX) + record(BOX, BOX))
    table = bosch_lights.read(root, on_error="skip-image")
    assert table.boxes["source"].to_list() == ["train.yaml#/0/boxes/0"]
    assert {line.kind: line.count for line in table.reading} == {"image": 1, "box": 2}


def test_swapped_corners__are_put_right_and_counted(root: Path, write: Any) -> None:
    write("train.yaml", record(BOX.replace("22.0", "1.0")))
    table = bosch_lights.read(root)
    assert table.boxes.select("y1", "y2").rows() == [(1.0, 8.75)]
    assert [(line.action, line.count, line.examples) for line in table.reading] == [
        ("noted", 1, ("train.yaml#/0/boxes/0",))
    ]


def test_raw_images__have_eight_rows_above(root: Path, write: Any) -> None:
    write("riib/train/bag/1.pgm", (40, 38))
    write("train.yaml", record(BOX))
    table = bosch_lights.read(root / "train.yaml", images="riib")
    assert table.images.select("file_name", "height", "group").rows() == [("riib/train/bag/1.pgm", 38, "bag")]
    assert table.boxes.select("y1", "y2").rows() == [(16.75, 30.0)]


def test_files__missing(root: Path, check_error: Any) -> None:
    check_error(lambda: bosch_lights.read(root), "BOSCH_MISSING", "neither train.yaml")
    check_error(lambda: bosch_lights.read(root / "no"), "FOLDER_MISSING", "test.yaml")
    check_error(lambda: bosch_lights.read(root, images="bgr"), "OPTION_VALUE", "images=bgr")


def test_real_test_set__every_box(shared: Path) -> None:
    root = shared / "annotations_only" / "bosch_lights"
    table = bosch_lights.read(root, missing_images="keep")
    text = (root / "test.yaml").read_text()
    assert (len(table.images), len(table.boxes)) == (8334, 13486)
    assert len(table.images.join(table.boxes, on="image_id", how="anti")) == 1187
    assert table.boxes["occluded"].sum() == text.count("occluded: true") == 2088
    named = table.boxes.join(table.categories, on="category_id")["name"].value_counts()
    assert dict(named.rows()) == {
        n: len(re.findall(rf"label: '?{n}\b", text)) for n in ("Green", "Red", "off", "Yellow")
    }
    assert table.reading == ()
    assert set(table.images.select("width", "height").rows()) == {(1280, 720)}, "of all images, though none is there"
