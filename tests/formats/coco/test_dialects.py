"""COCO as tools write it: masks alone, turned boxes, crowds for objects, Roboflow folders, paths of other machines."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.core.annotations import XYXY
from detect_transfer.core.ledger import Ledger
from detect_transfer.data.round_trip import round_trip
from detect_transfer.formats.coco.reader import read as read_coco
from detect_transfer.formats.coco.writer import write_coco
from detect_transfer.formats.writing.losses import lost_fields
from detect_transfer.formats.yolo.writer import CARRIED

BOX = {"bbox": [10, 20, 30, 40]}
POLYGON = [[10, 20, 40, 20, 40, 60, 10, 60]]
COUNTS = [1020, *[40, 60] * 29, 40, 16040]  # 30 columns of 40 pixels in an image 100 high


@pytest.fixture
def read(write: Any, tmp_path: Path) -> Any:
    """Write one COCO file of one image and one class, and read it."""

    def _read(*annotations: dict[str, Any], **options: Any) -> Any:
        image = {"id": 1, "file_name": "a.png", "width": 200, "height": 100, **options.pop("image", {})}
        category = {"id": 1, "name": "car", **options.pop("category", {})}
        items = [{"id": i, "image_id": 1, "category_id": 1, **each} for i, each in enumerate(annotations, start=1)]
        document = {"images": [image], "annotations": items, "categories": [category]}
        return read_coco(write("instances_train.json", json.dumps(document)), **options)

    return _read


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param({"segmentation": POLYGON}, id="polygon"),
        pytest.param({"segmentation": POLYGON, "bbox": []}, id="empty-bbox"),
        pytest.param({"segmentation": POLYGON, "bbox": None}, id="null-bbox"),
        pytest.param({"segmentation": [[10, 20, 20, 20, 20, 30], [30, 50, 40, 50, 40, 60]]}, id="two-polygons"),
        pytest.param({"segmentation": {"size": [100, 200], "counts": COUNTS}}, id="runs"),
        pytest.param({"bbox": [10, 20, 40, 60], "read": "xyxy"}, id="corners"),
        pytest.param({"segmentation": POLYGON, "read": "cxcywh"}, id="polygon-in-a-file-of-centres"),
    ],
)
def test_box__is_that_of_the_shape(shape: dict[str, Any], read: Any) -> None:
    form = shape.get("read")
    table = read({key: value for key, value in shape.items() if key != "read"}, box_format=form)
    assert table.boxes.select(XYXY).rows() == [(10, 20, 40, 60)]


def test_box__of_compressed_runs(read: Any) -> None:
    mask = pytest.importorskip("pycocotools.mask")
    import numpy as np

    pixels = np.zeros((100, 200), dtype=np.uint8, order="F")
    pixels[20:60, 10:40] = 1
    counts = mask.encode(pixels)["counts"].decode()
    table = read({"segmentation": {"size": [100, 200], "counts": counts}, "iscrowd": 0})
    assert table.boxes.select(XYXY).rows() == [(10, 20, 40, 60)]
    pixels[:, :] = 0
    pixels[99, 3] = pixels[0, 4] = 1  # one run over the end of a column
    counts = mask.encode(pixels)["counts"].decode()
    assert read({"segmentation": {"size": [100, 200], "counts": counts}}).boxes.select(XYXY).row(0) == (3, 0, 5, 100)


@pytest.mark.parametrize(
    "segmentation",
    [
        *([[1, 2, 3, 4]], [[1, 2, 3, 4, 5]], [["a"] * 6], [[]], {"size": [10, 10], "counts": [5]}, {"counts": "1"}, 7),
        *({"size": [10, 10], "counts": "\x7f\x7f"}, {"size": [0, 10], "counts": []}, {"size": [4, 4], "counts": [16]}),
    ],
)
def test_box__of_a_damaged_shape_is_a_fault(segmentation: Any, read: Any, check_error: Any) -> None:
    check_error(lambda: read(BOX, {"segmentation": segmentation}), "COCO_KEY", "#/annotations/1/bbox")


def test_box__of_what_was_wiped_out_is_empty_and_counted(read: Any) -> None:
    table = read(BOX, {"bbox": [], "segmentation": []})
    assert table.boxes.select(XYXY).rows() == [(10, 20, 40, 60), (0, 0, 0, 0)]
    assert [line.count for line in table.reading if "empty box" in line.reason] == [1]


def test_person_without_a_box__is_a_fault(read: Any, check_error: Any) -> None:
    person = {"bbox": [], "segmentation": [], "keypoints": [15, 25, 2], "num_keypoints": 1}
    check_error(lambda: read(BOX, person), "COCO_TYPE", "#/annotations/1/bbox")


def test_image__without_a_file_name_is_that_of_its_address(write: Any, tmp_path: Path, check_error: Any) -> None:
    """As LVIS writes it."""
    address = "http://images.cocodataset.org/val2017/000000397133.jpg"
    image = {"id": 1, "coco_url": address, "width": 200, "height": 100}
    document = {"images": [image], "annotations": [], "categories": [{"id": 1, "name": "car"}]}
    path = write("lvis_v1_val.json", json.dumps(document))
    check_error(lambda: read_coco(path), "PATH_OUTSIDE", address)
    write("val2017/000000397133.jpg", (200, 100))
    table = read_coco(path)
    assert table.images["file_name"].to_list() == ["val2017/000000397133.jpg"]
    assert [(line.action, line.count) for line in table.reading] == [("noted", 1)]


def test_ids_and_numbers__that_are_texts_are_read_leniently(write: Any, check_error: Any) -> None:
    images = [{"id": name, "file_name": f"{name}.png", "width": 200, "height": 100} for name in ("5f3a", "7", "b c")]
    boxes = [{"id": f"x{i}", "image_id": name, "category_id": "dog"} for i, name in enumerate(("b c", "5f3a"))]
    boxes[0]["bbox"], boxes[1]["bbox"] = ["10", "20", "30.0", "40"], [1, 2, 3, 4]
    document = {"images": images, "annotations": boxes, "categories": [{"id": "dog", "name": "Dog"}]}
    path = write("a.json", json.dumps(document))
    check_error(lambda: read_coco(path), "COCO_TYPE", "lenient=true")
    table = read_coco(path, lenient=True)
    assert dict(table.images.select("file_name", "image_id").rows()) == {"5f3a.png": 8, "7.png": 7, "b c.png": 9}
    assert table.boxes.select("image_id", "annotation_id", *XYXY).rows() == [(9, 1, 10, 20, 40, 60), (8, 2, 1, 2, 4, 6)]
    assert table.boxes["category_id"].to_list() == table.categories["category_id"].to_list() * 2
    boxes[0]["bbox"] = ["ten", "20", "30", "40"]
    write("a.json", json.dumps(document))
    check_error(lambda: read_coco(path, lenient=True), "COCO_TYPE", "/annotations/0/bbox")


def test_turned_box__of_cvat_is_the_box_around_it(read: Any, tmp_path: Path) -> None:
    turned = {"bbox": [60, 40, 80, 20], "attributes": {"occluded": False, "rotation": 90.0}}
    table = read(turned, {**BOX, "attributes": {"rotation": 90.0}})  # the other is somebody's own attribute
    expected = [pytest.approx((90, 10, 110, 90)), (10, 20, 40, 60)]
    assert table.boxes.select(XYXY).rows() == expected
    write_coco(table, tmp_path / "again.json", ledger=Ledger())
    again = read_coco(tmp_path / "again.json").boxes  # is not turned once more
    assert again.select(XYXY).rows() == expected
    assert json.loads(again["attributes"][0])["drawn"]["rotation"] == 90


def test_crowds__of_masks_are_objects_by_wish(read: Any, caplog: Any) -> None:
    crowd = {**BOX, "iscrowd": 1, "segmentation": {"size": [100, 200], "counts": COUNTS}}
    with caplog.at_level(logging.WARNING):
        table = read(crowd)
    assert "crowds=objects" in caplog.text
    assert table.boxes.select("iscrowd", "ignore").row(0) == (True, True)
    table = read(crowd, crowds="objects")
    assert table.boxes.select("iscrowd", "ignore", "ignore_reason").row(0) == (False, False, None)


def test_null_flag__is_none(read: Any) -> None:
    assert read({**BOX, "iscrowd": None, "ignore": None}).boxes.select("iscrowd", "ignore").row(0) == (False, False)


PERSON = {"keypoints": ["nose", "left_eye"], "skeleton": [[1, 2]], "color": "#aa0000", "metadata": {"a": [1, None]}}
IMAGE = {"license": 3, "tags": ["x", 1], "metadata": {}, "annotated": True, "score": 0.5}


def test_what_classes_and_images_carry__survives(read: Any, tmp_path: Path) -> None:
    keypoints = {"keypoints": [15, 25, 2, 0, 0, 0], "num_keypoints": 1}
    table = read({**BOX, **keypoints}, category=PERSON, image=IMAGE)
    round_trip(table).raise_differences()
    path = tmp_path / "again.json"
    write_coco(table, path, ledger=Ledger())
    document = json.loads(path.read_text())
    assert {key: document["categories"][0][key] for key in PERSON} == PERSON
    assert {key: document["images"][0][key] for key in IMAGE} == IMAGE
    assert document["annotations"][0]["attributes"] == keypoints
    assert {"class keypoints", "class skeleton", "image tags"} <= lost_fields(table, CARRIED).keys()


def test_folder__of_roboflow(write: Any, tmp_path: Path, check_error: Any) -> None:
    for i, folder in enumerate(("train", "valid", "test")):
        write(f"{folder}/{folder}.jpg", (40, 30))
        document = {
            "images": [{"id": 0, "file_name": f"{folder}.jpg", "width": 40, "height": 30}],
            "annotations": [{"id": 0, "image_id": 0, "category_id": 1, "bbox": [i, 2, 3, 4]}],
            "categories": [{"id": 0, "name": "signs"}, {"id": 1, "name": "stop", "supercategory": "signs"}],
        }
        write(f"{folder}/_annotations.coco.json", json.dumps(document))
    table = read_coco(tmp_path).boxes.join(read_coco(tmp_path).images, on="image_id").sort("file_name")
    assert table.select("file_name", "split", "x1").rows() == [
        ("test/test.jpg", "test", 2),
        ("train/train.jpg", "train", 0),
        ("valid/valid.jpg", "val", 1),
    ]
    assert read_coco(tmp_path / "train").images["split"].to_list() == ["train"]
    write("other/a.json", "{}")
    write("other/b.json", "{}")
    check_error(lambda: read_coco(tmp_path / "other"), "COCO_MISSING", "_annotations.coco.json")


@pytest.mark.parametrize("name", ["/home/user/images/a.png", "C:\\data\\images\\a.png", "../x/a.png", "http://h/a.png"])
def test_path__of_another_machine(name: str, read: Any, write: Any, tmp_path: Path, check_error: Any) -> None:
    check_error(lambda: read(BOX, image={"file_name": name}), "PATH_OUTSIDE", "lenient=true")
    assert read(BOX, image={"file_name": name}, lenient=True).images["file_name"][0].endswith("a.png")
    write("images/a.png", (200, 100))
    table = read(BOX, image={"file_name": name})
    assert table.images["file_name"].to_list() == ["images/a.png"]
    assert [line.count for line in table.reading if "another machine" in line.reason] == [1]
    path = write("annotations/instances_val.json", (tmp_path / "instances_train.json").read_text())
    table = read_coco(path)
    assert (table.image_root, table.images["file_name"].to_list()) == (tmp_path, ["images/a.png"])


@pytest.mark.parametrize(
    ("annotations", "image"),
    [
        ("annotations/person_keypoints_val.json", "images/val/a.png"),
        ("annotations/person_keypoints_val.json", "val/a.png"),
        ("labels.json", "data/a.png"),
    ],
)
def test_layout__of_person_keypoints_and_fiftyone(annotations: str, image: str, write: Any, tmp_path: Path) -> None:
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
        "categories": [{"id": 1, "name": "person"}],
    }
    write(annotations, json.dumps(document))
    write(image, (40, 30))
    table = read_coco(tmp_path, missing_images="error")
    assert table.image_root == tmp_path / Path(image).parent
    assert table.images["split"].to_list() == ["val" if "val" in annotations else None]


def test_crowds__without_masks_are_warned_of_too(write: Any, tmp_path: Path, caplog: Any) -> None:
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 1}
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
        "annotations": [annotation],
        "categories": [{"id": 1, "name": "car"}],
    }
    write("a.json", json.dumps(document))
    read_coco(tmp_path)
    assert "crowds=objects" in caplog.text
