"""KITTI: faults with their lines, levels, splits and drives, and eight real images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.pedestrians import kitti

ROW = "Car 0.50 1 -0.40 10.5 5.2 31.8 20.9 1.75 0.60 0.80 2.50 1.60 14.10 -0.22"


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("image_2/000000.png", (40, 30))
    return tmp_path


ROWS = [
    pytest.param(ROW.rsplit(maxsplit=1)[0], "ROW_COLUMNS", "found 14 fields, expected 15 to 16", id="14-fields"),
    pytest.param(f"{ROW} 0.9", "KITTI_SCORE", "these are detections", id="score"),
    pytest.param(ROW.replace("10.5", "nan"), "ROW_NUMBER", "left=nan", id="number"),
    pytest.param(ROW.replace("0.50", "1.50"), "ROW_NUMBER", "truncated=1.5 - expected a share", id="truncated"),
    pytest.param(ROW.replace(" 1 ", " 4 "), "ROW_NUMBER", "occluded=4 - expected a level", id="occluded"),
    pytest.param(ROW.replace(" 1 ", " 0.5 "), "ROW_NUMBER", "occluded=0.5 - expected an integer", id="level"),
    pytest.param(ROW.replace("31.8", "3.8"), "BOX_INVALID", "right must be >= left", id="swapped"),
]


@pytest.mark.parametrize(("row", "code", "part"), ROWS)
def test_row__fault_names_the_line(row: str, code: str, part: str, root: Path, write: Any, check_error: Any) -> None:
    path = write("label_2/000000.txt", f"{ROW}\n\n{row}\n")
    check_error(lambda: kitti.read(root), code, f"{path}:3 ", part)


@pytest.mark.parametrize(("on_error", "n_images", "n_boxes"), [("skip-row", 2, 2), ("skip-image", 1, 1)])
def test_row__at_fault_leaves_as_asked(on_error: str, n_images: int, n_boxes: int, root: Path, write: Any) -> None:
    write("image_2/000001.png", (40, 30))
    write("label_2/000000.txt", f"{ROW}\n{ROW.replace('31.8', '3.8')}\n")
    write("label_2/000001.txt", ROW)
    table = kitti.read(root, on_error=on_error)
    assert (len(table.images), len(table.boxes)) == (n_images, n_boxes)


def test_score__of_one_everywhere_is_of_a_tool(root: Path, write: Any, check_error: Any) -> None:
    write("label_2/000000.txt", f"{ROW}\n{ROW}\n")
    before = kitti.read(root).boxes
    write("label_2/000000.txt", f"{ROW} 1.0\n{ROW} 1\n")
    table = kitti.read(root)
    assert table.boxes.equals(before)
    assert [(line.action, line.count) for line in table.reading] == [("noted", 2)]
    write("label_2/000000.txt", f"{ROW} 1.0\n{ROW} 0.9\n")
    check_error(lambda: kitti.read(root), "KITTI_SCORE")


def test_files__missing(root: Path, write: Any, check_error: Any) -> None:
    check_error(lambda: kitti.read(root), "KITTI_LAYOUT", "image_2")
    write("label_2/000001.txt", ROW)
    check_error(lambda: kitti.read(root), "ANNOTATION_MISSING", "000000.png", "allow_missing=true")
    check_error(lambda: kitti.read(root), "IMAGE_MISSING", "000001.txt", "image=000001.png")
    table = kitti.read(root, allow_missing=True, missing_images="keep")
    assert table.images.select("file_name", "width").rows() == [("000000.png", 40), ("000001.png", None)]


def test_levels__become_shares_and_stay_in_attributes(root: Path, write: Any) -> None:
    rows = [ROW.replace(" 1 ", f" {level} ") for level in (0, 1, 2, 3)]
    write("label_2/000000.txt", "\n".join(rows))
    boxes = kitti.read(root).boxes
    assert boxes["occluded"].to_list() == [0.0, 0.25, 0.75, None]
    kept = [json.loads(text) for text in boxes["attributes"]]
    assert [one["occlusion_level"] for one in kept] == [0, 1, 2, 3]
    assert (kept[0]["dim_height"], kept[0]["location_z"], kept[0]["rotation_y"]) == (1.75, 14.1, -0.22)
    assert boxes["truncated"].to_list() == [0.5] * 4


def test_names__are_classes_of_ones_own(root: Path, write: Any, check_error: Any) -> None:
    write("label_2/000000.txt", f"{ROW.replace('Car', 'person')}\n{ROW.replace('Car', 'road_sign')}\n")
    assert kitti.read(root).class_names == ["person", "road_sign"]
    check_error(lambda: kitti.read(root, names=["person"]), "CLASS_UNKNOWN", "type=road_sign", "names=person")
    table = kitti.read(root, names=["road_sign", "person"])
    assert table.class_names == ["road_sign", "person"]
    assert table.boxes["category_id"].to_list() == [2, 1]
    for names in ("person", ["person", "person"], ["DontCare"]):
        check_error(lambda given=names: kitti.read(root, names=given), "OPTION_VALUE", "names=")


def test_sample__regions_and_drives(sample: Any) -> None:
    table = kitti.read(sample("kitti"))
    region = table.boxes.filter(table.boxes["category_id"].is_null())
    assert region.select("ignore_reason", "truncated", "occluded", "attributes").rows() == [("DontCare", *[None] * 3)]
    assert table.images["group"].to_list() == [
        *("2011_09_26_drive_0009_sync", "2011_09_26_drive_0005_sync", "2011_09_26_drive_0011_sync")
    ]


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [("train_rand.txt", "2,9,1", "from 1 to 3"), ("train_mapping.txt", "2011 drive\n", "found 2 fields")],
)
def test_mapping__that_is_damaged_is_reported(
    name: str, content: str, part: str, sample: Any, check_error: Any
) -> None:
    root = sample("kitti")
    (root / "devkit_object" / "mapping" / name).write_text(content)
    check_error(lambda: kitti.read(root), "KITTI_MAPPING", name, part)


def test_lists__that_name_no_image_or_one_twice_are_reported(sample: Any, check_error: Any) -> None:
    root = sample("kitti")
    (root / "ImageSets" / "val.txt").write_text("000001\n000009\n")
    check_error(lambda: kitti.read(root), "SPLIT_TWICE", "val.txt:1")
    check_error(lambda: kitti.read(root), "IMAGE_MISSING", "val.txt:2")


def test_real_images__every_row(shared: Path) -> None:
    root = shared / "kitti"
    table = kitti.read(root)
    rows = [line.split() for path in sorted(root.rglob("*.txt")) for line in path.read_text().splitlines()]
    assert len(table.images) == 8
    named = table.boxes.join(table.categories, on="category_id", how="left", maintain_order="left")
    found = named.select("name", "x1", "y1", "x2", "y2").rows()
    expected = [(None if r[0] == "DontCare" else r[0], *map(float, r[4:8])) for r in rows]
    assert found == expected
    assert table.boxes["iscrowd"].sum() == table.boxes["ignore"].sum() == sum(r[0] == "DontCare" for r in rows) > 0


def test_name_with_blanks__is_one_class(root: Path, write: Any) -> None:
    write("label_2/000000.txt", f"{ROW.replace('Car', 'traffic light')}\n{ROW}\n{ROW.replace('Car', 'a b  c')}\n")
    table = kitti.read(root)
    names = dict(table.categories.select("category_id", "name").iter_rows())
    assert [names[i] for i in table.boxes["category_id"]] == ["traffic light", "Car", "a b c"]
    assert table.boxes["x1"].to_list() == [10.5] * 3


def test_folders_of_splits__of_datumaro(write: Any, tmp_path: Path) -> None:
    for split in ("train", "val"):
        write(f"{split}/image_2/a.png", (40, 30))
        write(f"{split}/label_2/a.txt", "Car 0 0 -1 1 2 11 12 0 0 0 0 0 0 0\n")
    table = kitti.read(tmp_path)
    assert table.images.select("file_name", "split").rows() == [
        ("train/image_2/a.png", "train"),
        ("val/image_2/a.png", "val"),
    ]
    assert table.boxes.select("x1", "y2", "source").rows() == [
        (1.0, 12.0, "train/label_2/a.txt:1"),
        (1.0, 12.0, "val/label_2/a.txt:1"),
    ]
