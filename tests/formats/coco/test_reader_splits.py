from __future__ import annotations

import copy
import json
from typing import Any

from detect_transfer.formats.coco.reader import read as read_coco
from detect_transfer.formats.coco.reader import read_splits

GOOD: dict[str, Any] = {
    "images": [
        {"id": 1, "file_name": "a.png", "width": 40, "height": 30},
        {"id": 2, "file_name": "b.png", "width": 40, "height": 30},
    ],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0},
        {"id": 2, "image_id": 2, "category_id": 2, "bbox": [5, 6, 7, 8], "area": 56, "iscrowd": 0},
    ],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
}


def with_files(first: str, second: str) -> dict[str, Any]:
    """Return GOOD for two other images."""
    document = copy.deepcopy(GOOD)
    document["images"][0]["file_name"], document["images"][1]["file_name"] = first, second
    return document


def test_splits__with_ids_of_their_own_are_numbered_anew(write: Any) -> None:
    other = with_files("c.png", "d.png")
    other["categories"] = [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}]
    write("annotations/instances_train2017.json", json.dumps(GOOD))
    root = write("annotations/instances_val2017.json", json.dumps(other)).parent.parent
    table = read_coco(root)
    assert table.images.select("image_id", "file_name", "split").rows() == [
        (1, "a.png", "train"),
        (2, "b.png", "train"),
        (3, "c.png", "val"),
        (4, "d.png", "val"),
    ]
    named = table.boxes.join(table.categories, on="category_id", maintain_order="left")
    assert named.select("image_id", "name").rows() == [(1, "cat"), (2, "dog"), (3, "dog"), (4, "cat")]
    assert table.boxes["annotation_id"].to_list() == [1, 2, 3, 4]


def test_splits__keep_ids_that_do_not_clash(write: Any) -> None:
    other = with_files("c.png", "d.png")
    other["images"][0]["id"], other["images"][1]["id"] = 7, 8
    other["annotations"] = [{"id": 70, "image_id": 7, "category_id": 2, "bbox": [0, 0, 1, 1]}]
    train, val = write("t.json", json.dumps(GOOD)), write("v.json", json.dumps(other))
    table = read_splits({"fit": train, "score": val})
    assert table.images["image_id"].to_list() == [1, 2, 7, 8]
    assert table.boxes["annotation_id"].to_list() == [1, 2, 70]
    assert table.splits == ["fit", "score"]


def test_splits__whose_further_keys_are_of_other_kinds_are_joined(write: Any) -> None:
    """A key that is a number in one file and a number or a text in another is JSON in the table."""
    train, val = copy.deepcopy(GOOD), with_files("c.png", "d.png")
    for document, cities in ((train, (12, 13)), (val, (14, "x"))):
        for image, city in zip(document["images"], cities, strict=True):
            image["city"] = city
    write("annotations/instances_train.json", json.dumps(train))
    root = write("annotations/instances_val.json", json.dumps(val)).parent.parent
    assert [json.loads(city) for city in read_coco(root).images["city"]] == [12, 13, 14, "x"]


def test_splits__with_one_image_in_both_are_refused(write: Any, check_error: Any) -> None:
    write("annotations/instances_train.json", json.dumps(GOOD))
    root = write("annotations/instances_val.json", json.dumps(GOOD)).parent.parent
    check_error(lambda: read_coco(root), "IMAGE_TWICE", "instances_val.json#/images/0/file_name file_name=a.png")


def test_images__lie_in_folders_of_their_split(write: Any) -> None:
    other = with_files("c.png", "d.png")
    write("annotations/instances_train2017.json", json.dumps(GOOD))
    root = write("annotations/instances_val2017.json", json.dumps(other)).parent.parent
    write("train2017/a.png", (40, 30))
    write("val2017/d.png", (40, 30))
    table = read_coco(root)
    assert table.image_root == root
    assert table.images["file_name"].to_list() == [
        "train2017/a.png",
        "train2017/b.png",
        "val2017/c.png",
        "val2017/d.png",
    ]


def test_images__lie_where_most_of_them_are(write: Any) -> None:
    """One image of train is called as one of val is from `images/` on."""
    write("annotations/instances_train.json", json.dumps(with_files("val/a.png", "b.png")))
    root = write("annotations/instances_val.json", json.dumps(with_files("a.png", "b.png"))).parent.parent
    for name in ("train/val/a.png", "train/b.png", "val/a.png", "val/b.png"):
        write(f"images/{name}", (40, 30))
    table = read_coco(root, missing_images="error")
    assert table.image_root == root / "images"
    assert table.images["file_name"].to_list() == ["train/val/a.png", "train/b.png", "val/a.png", "val/b.png"]


def test_images__asked_for_must_be_there_with_their_size(write: Any, check_error: Any) -> None:
    path = write("x.json", json.dumps(GOOD))
    folder = write("pics/a.png", (40, 30)).parent
    assert read_coco(path).image_root is None
    check_error(lambda: read_coco(path, images=folder), "IMAGE_MISSING", "pics/b.png")
    check_error(lambda: read_coco(path, images=folder / "no"), "FOLDER_MISSING", "no")
    write("pics/b.png", (30, 40))
    assert read_coco(path, images=folder).image_root == folder
    check_error(
        lambda: read_coco(path, images=folder, size_mismatch="error"), "IMAGE_SIZE", "pics/b.png", "30 x 40", "EXIF"
    )


def test_size__that_is_not_stated_comes_from_the_image(write: Any) -> None:
    document = copy.deepcopy(GOOD)
    document["images"] = [{"id": one["id"], "file_name": one["file_name"]} for one in document["images"]]
    write("images/a.png", (41, 31))
    table = read_coco(write("x.json", json.dumps(document)))
    assert table.images.select("width", "height").rows() == [(41, 31), (None, None)]


def test_images__that_are_missing_are_kept_or_skipped_by_wish(write: Any, check_error: Any) -> None:
    path = write("x.json", json.dumps(GOOD))
    check_error(lambda: read_coco(path, missing_images="error"), "IMAGES_NONE", "x.json", "images=")
    folder = write("pics/a.png", (40, 30)).parent
    assert len(read_coco(path, images=folder, missing_images="keep").images) == 2
    table = read_coco(path, images=folder, missing_images="skip")
    assert (table.images["file_name"].to_list(), len(table.boxes)) == (["a.png"], 1)
    assert [(line.kind, line.count, line.examples) for line in table.reading] == [
        ("image", 1, ("b.png",)),
        ("box", 1, ()),
    ]
    left = read_coco(path, images=folder, on_error="skip-image")
    assert left.images["file_name"].to_list() == ["a.png"]


def test_size__of_the_image_is_taken_by_wish(write: Any) -> None:
    path = write("x.json", json.dumps(GOOD))
    write("images/a.png", (41, 31))
    table = read_coco(path, missing_images="keep", size_mismatch="keep")
    assert table.images.select("width", "height").rows() == [(41, 31), (40, 30)]
    left = read_coco(path, missing_images="keep", size_mismatch="error", on_error="skip-image")
    assert left.images["file_name"].to_list() == ["b.png"]


def test_image_at_fault__of_one_split_leaves_that_of_another(write: Any) -> None:
    bad = copy.deepcopy(GOOD)
    bad["images"][0]["width"] = 0
    write("annotations/instances_train.json", json.dumps(bad))
    root = write("annotations/instances_val.json", json.dumps(GOOD)).parent.parent
    for name in ("train/a.png", "train/b.png", "val/a.png", "val/b.png"):
        write(name, (40, 30))
    table = read_coco(root, on_error="skip-image")
    assert table.images["file_name"].to_list() == ["train/b.png", "val/a.png", "val/b.png"]
    assert len(table.boxes) == 3
