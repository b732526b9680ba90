from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.pedestrians import crowdhuman

PERSON = {
    "tag": "person",
    "fbox": [2, 3, 10, 20],
    "vbox": [2, 3, 8, 10],
    "hbox": [4, 3, 3, 4],
    "extra": {"box_id": 0, "occ": 1},
    "head_attr": {"ignore": 0, "occ": 0, "unsure": 0},
}


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("Images/1,ab.jpg", (40, 30))
    record(write, PERSON)
    return tmp_path


def record(write: Any, *boxes: Any, **further: Any) -> Path:
    return write("annotation_train.odgt", json.dumps({"ID": "1,ab", "gtboxes": list(boxes), **further}))


def test_person__has_its_visible_box_and_the_rest_in_attributes(root: Path) -> None:
    box = crowdhuman.read(root).boxes.row(0, named=True)
    assert [box[c] for c in ("vis_x1", "vis_y1", "vis_x2", "vis_y2")] == [2, 3, 10, 13]
    assert json.loads(box["attributes"]) == {key: PERSON[key] for key in ("hbox", "extra", "head_attr")}
    assert box["source"] == "annotation_train.odgt:1#/gtboxes/0"


@pytest.mark.parametrize(
    ("target", "name", "xyxy"),
    [
        ("visible", "person_visible", (2, 3, 10, 13)),
        ("head", "head", (4, 3, 7, 7)),
        ("person", "person", (2, 3, 12, 23)),
    ],
)
def test_target__is_a_choice(target: str, name: str, xyxy: tuple[float, ...], root: Path) -> None:
    table = crowdhuman.read(root, target=target)
    assert table.class_names == [name]
    assert table.boxes.select("x1", "y1", "x2", "y2").rows() == [xyxy]
    assert table.boxes["vis_x1"].is_null().all() == (target != "person")


def test_ignore_flag__of_a_head_is_that_of_the_head(root: Path, write: Any) -> None:
    record(write, {**PERSON, "extra": {"ignore": 1}}, {**PERSON, "head_attr": {"ignore": 1}})
    assert crowdhuman.read(root).boxes["ignore"].to_list() == [True, False]
    assert crowdhuman.read(root, target="visible").boxes["ignore"].to_list() == [True, False]
    assert crowdhuman.read(root, target="head").boxes["ignore"].to_list() == [False, True]
    assert crowdhuman.read(root).boxes["ignore_reason"].to_list() == ["ignore flag", None]


def test_head__that_is_not_drawn_is_counted(root: Path, write: Any) -> None:
    record(write, {"tag": "person", "fbox": [2, 3, 10, 20]}, PERSON)
    table = crowdhuman.read(root, target="head")
    assert len(table.boxes) == 1
    assert [(line.kind, line.reason, line.count) for line in table.reading] == [("box", "a person without hbox", 1)]


FAULTS = [
    pytest.param({**PERSON, "fbox": [1, 2, 3]}, "JSON_NUMBER", "/gtboxes/0/fbox", id="three-numbers"),
    pytest.param({**PERSON, "fbox": [1, 2, -3, 4]}, "BOX_INVALID", "/gtboxes/0/fbox", id="negative-width"),
    pytest.param({**PERSON, "vbox": [1, 2, 3, -4]}, "BOX_INVALID", "/gtboxes/0/vbox", id="negative-visible"),
    pytest.param({**PERSON, "fbox": "1"}, "JSON_TYPE", "/gtboxes/0/fbox", id="string"),
    pytest.param({**PERSON, "extra": {"ignore": "1"}}, "JSON_NUMBER", "/gtboxes/0/extra/ignore", id="flag"),
    pytest.param({**PERSON, "extra": []}, "JSON_TYPE", "/gtboxes/0/extra", id="extra"),
    pytest.param({"fbox": [1, 2, 3, 4]}, "JSON_KEY", "/gtboxes/0/tag", id="no-tag"),
    pytest.param({"tag": "person", "vbox": [1, 2, 3, 4]}, "JSON_KEY", "/gtboxes/0/fbox", id="no-full-box"),
    pytest.param(7, "JSON_TYPE", "/gtboxes/0", id="no-object"),
]


@pytest.mark.parametrize(("box", "code", "pointer"), FAULTS)
def test_box__fault_names_line_and_pointer(
    box: Any, code: str, pointer: str, root: Path, write: Any, check_error: Any
) -> None:
    path = record(write, box)
    check_error(lambda: crowdhuman.read(root), code, f"{path}:1#{pointer} ")


def test_box__at_fault_is_left_out_when_asked(root: Path, write: Any) -> None:
    record(write, PERSON, {**PERSON, "fbox": [1, 2, -3, 4]})
    table = crowdhuman.read(root, on_error="skip-row")
    assert len(table.boxes) == 1
    assert [(line.kind, line.count) for line in table.reading] == [("box", 1)]


def test_record__that_is_cut_short(root: Path, write: Any, check_error: Any) -> None:
    whole = json.dumps({"ID": "1,ab", "gtboxes": [PERSON]})
    path = write("annotation_train.odgt", whole + "\n" + whole[:50])
    check_error(lambda: crowdhuman.read(root), "JSON_SYNTAX", f"{path}:2 ")
    check_error(lambda: crowdhuman.read(root, on_error="skip-row"), "JSON_SYNTAX", f"{path}:2 ")
    table = crowdhuman.read(root, on_error="skip-image")
    assert len(table.boxes) == 1
    assert [(line.kind, line.count) for line in table.reading] == [("image", 1)]


def test_record__twice(root: Path, write: Any, check_error: Any) -> None:
    path = write("annotation_val.odgt", json.dumps({"ID": "1,ab", "gtboxes": []}))
    check_error(lambda: crowdhuman.read(root), "ID_DUPLICATE", f"{path}:1#/ID", "annotation_train.odgt:1")


def test_image__missing_and_options(root: Path, check_error: Any) -> None:
    (root / "Images/1,ab.jpg").unlink()
    check_error(lambda: crowdhuman.read(root), "IMAGE_MISSING", "annotation_train.odgt:1", "Images/1,ab.jpg")
    check_error(lambda: crowdhuman.read(root, target="face"), "OPTION_VALUE", "person, visible, head")
    check_error(lambda: crowdhuman.read(root / "Images"), "FILE_MISSING", ".odgt")


def test_real__every_box_of_four_records(shared: Path) -> None:
    path = shared / "annotations_only" / "crowdhuman" / "annotation_sample.odgt"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    table = crowdhuman.read(path, missing_images="keep")
    assert table.images["file_name"].to_list() == sorted(f"Images/{one['ID']}.jpg" for one in records)
    assert table.images["width"].is_null().all()
    boxes = [box for one in records for box in one["gtboxes"]]
    assert table.boxes.select("x1", "y1").rows() == [tuple(box["fbox"][:2]) for box in boxes]
    assert len(boxes) == 24
    assert table.boxes["iscrowd"].to_list() == [box["tag"] == "mask" for box in boxes]
    heads = crowdhuman.read(path, target="head", missing_images="keep")
    assert heads.boxes["ignore"].sum() == 2  # a mask and a head with the flag
