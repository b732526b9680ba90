from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.traffic_signs import bdd100k

BOX = {"x1": 10.5, "y1": 5, "x2": 25.5, "y2": 20}


def label(**changes: Any) -> dict[str, Any]:
    attributes = {"occluded": False, "truncated": False, "trafficLightColor": "none"}
    return {"id": "7", "category": "car", "attributes": attributes, "box2d": dict(BOX), **changes}


def frame(name: str, *labels: Any, **changes: Any) -> dict[str, Any]:
    facts = {"weather": "clear", "timeofday": "night", "scene": "highway"}
    return {"name": name, "attributes": facts, "timestamp": 10000, "labels": list(labels), **changes}


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("images/100k/train/a.jpg", (64, 48))
    write("images/100k/train/b.jpg", (64, 48))
    write("det_train.json", json.dumps([frame("a.jpg", label()), frame("b.jpg")]))
    return tmp_path


BAD = [
    pytest.param([label(category=None)], "JSON_KEY", "/0/labels/0/category", "needed", id="no-class"),
    pytest.param([label(box2d={**BOX, "x2": 9})], "BOX_INVALID", "/0/labels/0/box2d/x2", ">= x1", id="swapped"),
    pytest.param([label(box2d={**BOX, "y1": "5"})], "JSON_NUMBER", "/0/labels/0/box2d/y1", "finite", id="text"),
    pytest.param([label(box2d=[1, 2, 3, 4])], "JSON_TYPE", "/0/labels/0/box2d", "an object", id="list"),
    pytest.param([label(attributes=3)], "JSON_TYPE", "/0/labels/0/attributes", "an object", id="attributes"),
    pytest.param([label(attributes={"occluded": 2})], "JSON_TYPE", "attributes/occluded", "true or", id="flag"),
    pytest.param([3], "JSON_TYPE", "/0/labels/0", "an object", id="label-3"),
]


@pytest.mark.parametrize(("labels", "code", "pointer", "part"), BAD)
def test_fault__names_file_and_pointer(
    labels: Any, code: str, pointer: str, part: str, root: Path, write: Any, check_error: Any
) -> None:
    path = write("det_train.json", json.dumps([frame("a.jpg", *labels), frame("b.jpg")]))
    check_error(lambda: bdd100k.read(root), code, f"{path}#/0/labels/0", pointer, part)
    assert bdd100k.read(root, on_error="skip-image").images["file_name"].to_list() == ["images/100k/train/b.jpg"]


def test_frame__that_is_there_twice_has_no_name_or_no_image(root: Path, write: Any, check_error: Any) -> None:
    path = write("det_train.json", json.dumps([frame("a.jpg"), frame("a.jpg")]))
    check_error(lambda: bdd100k.read(root), "ID_DUPLICATE", f"{path}#/1 ", "det_train.json#/0")
    write("det_train.json", json.dumps([frame("c.jpg")]))
    check_error(lambda: bdd100k.read(root), "IMAGE_MISSING", f"{path}#/0 ", "missing_images=keep")
    write("det_train.json", json.dumps([{"labels": []}]))
    check_error(lambda: bdd100k.read(root), "JSON_KEY", f"{path}#/0/name ")
    write("det_train.json", "3")
    check_error(lambda: bdd100k.read(root), "JSON_TYPE", f"{path}#", "an object")


def test_frame__of_another_size(root: Path, write: Any, check_error: Any) -> None:
    path = write("det_train.json", json.dumps([frame("a.jpg", size={"width": 1280, "height": 720})]))
    check_error(lambda: bdd100k.read(root), "IMAGE_SIZE", f"{path}#/0 ", "says 1280 x 720")
    assert bdd100k.read(root, size_mismatch="keep").images["width"].to_list() == [64]
    (root / "images/100k/train/a.jpg").unlink()
    assert bdd100k.read(root, missing_images="keep").images["width"].to_list() == [1280]


def test_frames__in_the_object_of_scalabel_are_the_same(root: Path, write: Any) -> None:
    plain = bdd100k.read(root)
    write(
        "det_train.json",
        json.dumps(
            {"frames": [frame("a.jpg", label()), frame("b.jpg", videoName="v", url="u", frameIndex=3)], "config": {}}
        ),
    )
    whole = bdd100k.read(root)
    assert whole.boxes.drop("source").equals(plain.boxes.drop("source"))
    assert whole.images.select("group", "attributes").rows() == [(None, None), ("v", '{"url":"u","frameIndex":3}')]


def test_facts__have_their_columns(sample: Any) -> None:
    table = bdd100k.read(sample("bdd100k"))
    assert table.images.select("weather", "scene", "timeofday", "timestamp").row(1) == (
        *("partly cloudy", "city street", "night"),
        10000.0,
    )
    light = table.boxes.row(1, named=True)
    assert (light["occluded"], light["truncated"]) == (1.0, 1.0)
    assert json.loads(light["attributes"]) == {"id": "1", "trafficLightColor": "red"}
    assert table.boxes["ignore_reason"].to_list() == [None, None, "other vehicle", "crowd", None, "ignored"]
    assert json.loads(table.boxes["attributes"][2])["category"] == "other vehicle"
    assert table.boxes["iscrowd"].to_list() == table.boxes["ignore"].to_list()


def test_older_labels__keep_what_no_column_holds(sample: Any) -> None:
    table = bdd100k.read(sample("bdd100k_2018"))
    facts = json.loads(table.boxes["attributes"][1])
    assert facts == {
        "category": "bike",
        "manualShape": True,
        "manualAttributes": True,
        "id": 1,
        "trafficLightColor": "none",
    }
    (line,) = table.reading
    assert (line.kind, line.count, line.reason) == ("box", 2, "it has no box2d")
    assert line.examples[0] == "labels/bdd100k_labels_images_train.json#/0/labels/2"


def test_file_of_one_frame__holds_one(sample: Any, check_error: Any) -> None:
    root = sample("bdd100k_frames")
    path = root / "labels/100k/val/eeee3333-ffff4444.json"
    path.write_text('{"name": "eeee3333-ffff4444", "frames": [], "attributes": {}}')
    check_error(lambda: bdd100k.read(root), "JSON_VALUE", f"{path}#/frames ", "found 0 frames, expected one")


def test_labels__of_several_forms_need_a_choice(sample: Any, check_error: Any) -> None:
    root = sample("bdd100k_2018")
    (root / "labels/det_20").mkdir()
    (root / "labels/det_20/det_val.json").write_text(json.dumps([frame("b1c66a42-6f7d68ca.jpg")]))
    check_error(lambda: bdd100k.read(root), "BDD100K_LABELS", "found det_20 and lists_2018", "labels=")
    assert len(bdd100k.read(root, labels="det_20").images) == 1
    assert len(bdd100k.read(root, labels="lists_2018").boxes) == 3
    check_error(lambda: bdd100k.read(root, labels="frames"), "BDD100K_LABELS", "found none")


def test_images__are_found_without_the_official_folders(root: Path, write: Any) -> None:
    (root / "images").rename(root / "images")
    assert bdd100k.read(root).images["file_name"].to_list() == [
        "images/100k/train/a.jpg",
        "images/100k/train/b.jpg",
    ]


@pytest.mark.parametrize("option", ["labels", "missing_images", "size_mismatch", "on_error"])
def test_option__with_no_such_value(option: str, root: Path, check_error: Any) -> None:
    check_error(lambda: bdd100k.read(root, **{option: "no"}), "OPTION_VALUE", f"{option}=no")


def test_labels__of_the_first_release_of_2020(root: Path) -> None:
    (root / "det_train.json").rename(root / "det_v2_train_release.json")
    assert bdd100k.read(root).images["split"].to_list() == ["train", "train"]
