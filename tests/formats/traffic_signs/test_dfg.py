from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.traffic_signs import dfg

TRAIN = "DFG-tsd-annot-json/train.json"


def change(root: Path, key: str, index: int, **values: Any) -> Path:
    path = root / TRAIN
    whole = json.loads(path.read_text())
    whole[key][index].update(values)
    path.write_text(json.dumps(whole))
    return path


def test_classes__count_from_one_in_native_order(sample: Any) -> None:
    root = sample("dfg")
    table = dfg.read(root)
    assert table.categories.rows() == [(1, "I-1", "I"), (2, "II-30-50", "II"), (3, "III-35", "III")]
    assert table.boxes["category_id"].to_list() == [2, 1, 3, 3]
    assert table.boxes["ignore_reason"].to_list() == [None, None, "ignore flag", None]


def test_image_ids__of_both_files_are_distinguished(sample: Any) -> None:
    table = dfg.read(sample("dfg"))
    assert table.images["image_id"].n_unique() == 3
    assert table.boxes["source"].to_list()[-1] == "DFG-tsd-annot-json/test.json#/annotations/0"


@pytest.mark.parametrize(
    ("key", "values", "code", "pointer"),
    [
        ("annotations", {"bbox": [1, 2, -3, 4]}, "BOX_INVALID", "#/annotations/0/bbox"),
        ("annotations", {"category_id": 9}, "ID_DANGLING", "#/annotations/0/category_id"),
        ("annotations", {"image_id": 9}, "ID_DANGLING", "#/annotations/0/image_id"),
        ("annotations", {"ignore": "yes"}, "COCO_TYPE", "#/annotations/0/ignore"),
        ("images", {"file_name": "../0.jpg"}, "PATH_OUTSIDE", "#/images/0/file_name"),
        ("categories", {"name": ""}, "COCO_NAME", "#/categories/0/name"),
    ],
)
def test_fault__names_file_and_pointer(
    key: str, values: dict[str, Any], code: str, pointer: str, sample: Any, check_error: Any
) -> None:
    root = sample("dfg")
    path = change(root, key, 0, **values)
    check_error(lambda: dfg.read(root), code, f"{path}{pointer}")


def test_faults__are_skipped_when_asked(sample: Any) -> None:
    root = sample("dfg")
    change(root, "annotations", 0, bbox=[1, 2, -3, 4])
    assert len(dfg.read(root, on_error="skip-row").boxes) == 3
    names = dfg.read(root, on_error="skip-image").images["file_name"].to_list()
    assert names == ["0000002.jpg", "0000003.jpg"]


def test_images__may_be_absent_or_of_another_size_when_asked(sample: Any, check_error: Any) -> None:
    root = sample("dfg")
    change(root, "images", 0, width=1920)
    check_error(lambda: dfg.read(root), "IMAGE_SIZE", "says 1920 x 48")
    assert dfg.read(root, size_mismatch="keep").images["width"].to_list() == [64, 64, 64]
    (root / "JPEGImages/0000001.jpg").unlink()
    check_error(lambda: dfg.read(root), "IMAGE_MISSING", "0000001.jpg", "missing_images=keep")
    assert dfg.read(root, missing_images="keep").images["width"].to_list() == [1920, 64, 64]
    assert len(dfg.read(root, missing_images="skip").images) == 2


def test_files__may_lie_in_the_root_itself(sample: Any) -> None:
    root = sample("dfg")
    before = dfg.read(root).boxes.drop("source")
    for name in ("train.json", "test.json"):
        (root / "DFG-tsd-annot-json" / name).rename(root / name)
    (root / "DFG-tsd-annot-json").rmdir()
    assert dfg.read(root).boxes.drop("source").equals(before)


def test_folder__without_files(tmp_path: Path, check_error: Any) -> None:
    check_error(lambda: dfg.read(tmp_path), "FILE_MISSING", "DFG-tsd-annot-json")
    check_error(lambda: dfg.read(tmp_path / "no"), "FOLDER_MISSING", "no")


@pytest.mark.parametrize("option", ["missing_images", "size_mismatch", "on_error"])
def test_option__with_no_such_value(option: str, sample: Any, check_error: Any) -> None:
    root = sample("dfg")
    check_error(lambda: dfg.read(root, **{option: "unchecked"}), "OPTION_VALUE", f"{option}=unchecked")
