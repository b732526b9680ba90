"""NightOwls and TJU, whose files are in COCO's form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats import READERS
from detect_transfer.formats.pedestrians import nightowls, tju

KEEP: dict[str, Any] = {"missing_images": "keep"}
IMAGE = {"id": 7, "file_name": "a.png", "width": 64, "height": 48}
BOX = {"id": 1, "image_id": 7, "category_id": 1, "bbox": [1, 2, 10, 20], "area": 200}


def coco(annotations: list[Any], names: tuple[str, ...] = ("Pedestrian", "Ignore"), **image: Any) -> str:
    categories = [{"id": i, "name": name} for i, name in enumerate(names, start=1)]
    return json.dumps({"images": [{**IMAGE, **image}], "annotations": annotations, "categories": categories})


def test_owls__track_recording_and_hidden_share(sample: Any) -> None:
    table = nightowls.read(sample("nightowls"))
    assert table.images["group"].to_list() == ["12", "12", "31"]
    assert table.images["native_image_id"].to_list() == [7000001, 7000002, 8000001]
    assert table.images["daytime"].unique().to_list() == ["night"]
    assert table.boxes["track_id"].to_list() == ["60", "61", None, "5", None]
    assert table.boxes["occluded"].to_list() == [0.0, 0.5, 0.0, 0.5, 0.0]
    assert table.class_names == ["pedestrian", "bicycledriver", "motorbikedriver"]


def test_owls__options(sample: Any, check_error: Any) -> None:
    root = sample("nightowls")
    boxes = nightowls.read(root, occluded=0.75, difficult="ignore").boxes
    assert boxes["occluded"].to_list() == [0.0, 0.75, 0.0, 0.75, 0.0]
    assert boxes["ignore_reason"].to_list() == [None, None, "ignore area", "difficult", "ignore flag"]
    check_error(lambda: nightowls.read(root, occluded=2), "OPTION_VALUE", "occluded=2", "0 to 1")
    check_error(lambda: nightowls.read(root, difficult="x"), "OPTION_VALUE", "difficult=x")


def test_owls__fault_has_its_pointer_and_may_be_skipped(tmp_path: Path, write: Any, check_error: Any) -> None:
    bad = {**BOX, "id": 2, "bbox": [1, 2, -10, 20]}
    path = write("nightowls_training.json", coco([BOX, bad]))
    check_error(lambda: nightowls.read(tmp_path, **KEEP), "BOX_INVALID", f"{path}#/annotations/1/bbox")
    table = nightowls.read(tmp_path, on_error="skip-row", **KEEP)
    assert (len(table.boxes), [line.count for line in table.reading]) == (1, [1])


def test_images__are_needed_unless_asked_otherwise(tmp_path: Path, write: Any, check_error: Any) -> None:
    write("nightowls_training.json", coco([BOX]))
    check_error(lambda: nightowls.read(tmp_path), "IMAGE_MISSING", "nightowls_training.json#/images/0", "a.png")
    write("any/a.png", (64, 40))
    check_error(lambda: nightowls.read(tmp_path), "IMAGE_SIZE", "says 64 x 48")
    assert nightowls.read(tmp_path, size_mismatch="keep").images["height"].to_list() == [40]


@pytest.mark.parametrize("key", ["image", "native_image_id", "stated_at", "name", "source", "native_width"])
def test_images__may_have_keys_of_any_name(tmp_path: Path, write: Any, key: str) -> None:
    write("nightowls_training.json", coco([BOX], **{key: "x"}))
    assert nightowls.read(tmp_path, **KEEP).images["file_name"].to_list() == ["a.png"]


def test_folder__without_such_files(tmp_path: Path, write: Any, check_error: Any) -> None:
    write("nightowls_extra.json", coco([BOX]))
    check_error(lambda: nightowls.read(tmp_path), "ANNOTATION_MISSING", "nightowls_<split>.json")


def test_tju__classes_have_one_spelling_and_the_ids_of_the_file(tmp_path: Path, write: Any) -> None:
    names = ("Van", "pedstrian", "Pedestrian", "Bus")
    boxes = [{**BOX, "id": i, "category_id": i} for i in (1, 2, 3, 4)]
    write("dhd_traffic_train.json", coco(boxes, names))
    table = tju.read(tmp_path, **KEEP)
    assert table.categories.select("category_id", "name").rows() == [(1, "van"), (2, "pedestrian"), (4, "bus")]
    assert table.boxes["category_id"].to_list() == [1, 2, 2, 4]


@pytest.mark.parametrize(("reader", "name"), [(tju, "dhd_traffic_val.json"), (nightowls, "nightowls_validation.json")])
def test_ids__are_those_of_the_file(reader: Any, name: str, tmp_path: Path, write: Any) -> None:
    images = [{**IMAGE, "id": 31, "file_name": "b.png"}, {**IMAGE, "id": 12, "file_name": "a.png"}]
    boxes = [{**BOX, "image_id": 12, "category_id": 7}, {**BOX, "id": 2, "image_id": 31, "category_id": 7}]
    categories = [{"id": 7, "name": "Pedestrian"}]
    write(name, json.dumps({"images": images, "annotations": boxes, "categories": categories}))
    table = reader.read(tmp_path, **KEEP)
    assert dict(table.images.select("file_name", "image_id").rows()) == {"a.png": 12, "b.png": 31}
    assert table.boxes.select("image_id", "category_id").rows() == [(12, 7), (31, 7)]


def test_formats__say_that_they_keep_the_ids() -> None:
    numbers = {name: READERS[name].numbers for name in ("tju", "nightowls", "citypersons")}
    assert set(numbers.values()) == {frozenset({"images", "classes"})}


def test_tju__subset_chooses_files(tmp_path: Path, write: Any, check_error: Any) -> None:
    write("dhd_campus_train.json", coco([BOX, {**BOX, "id": 2}]))
    write("ped_campus_train.json", coco([BOX]))
    check_error(lambda: tju.read(tmp_path, **KEEP), "IMAGE_TWICE", "a.png")
    assert len(tju.read(tmp_path, subset="ped_", **KEEP).boxes) == 1
    check_error(lambda: tju.read(tmp_path, subset="city", **KEEP), "ANNOTATION_MISSING", "'city'")


def test_tju__ped_tells_visible_boxes(sample: Any) -> None:
    boxes = tju.read(sample("tju_ped")).boxes
    assert boxes["occluded"].to_list() == pytest.approx([0.75, 0.2, 0.0])
    assert boxes["vis_y2"].to_list() == [16, 20, 20]
