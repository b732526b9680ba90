from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

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
MISSING = object()


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """Return GOOD with the value at each pointer (`annotations/0/bbox`) replaced, or removed where it is MISSING."""
    document = copy.deepcopy(GOOD)
    for pointer, value in changes.items():
        *path, last = pointer.split("/")
        node: Any = document
        for step in path:
            node = node[int(step)] if isinstance(node, list) else node[step]
        key = int(last) if isinstance(node, list) else last
        if value is MISSING:
            del node[key]
        else:
            node[key] = value
    return document


BOX = "annotations/1/bbox"
FAULTS = [
    pytest.param({"annotations": MISSING}, "COCO_KEY", "#/annotations ", id="no-annotations"),
    pytest.param({"images": None}, "COCO_TYPE", "#/images ", id="images-null"),
    pytest.param({"categories": {"1": "cat"}}, "COCO_TYPE", "#/categories ", id="categories-object"),
    pytest.param({"annotations/1": 7}, "COCO_TYPE", "#/annotations/1 ", id="annotation-is-number"),
    pytest.param({BOX: MISSING}, "COCO_KEY", "#/annotations/1/bbox ", id="no-bbox"),
    pytest.param({BOX: None}, "COCO_TYPE", "#/annotations/1/bbox ", id="bbox-null"),
    pytest.param({BOX: [1, 2, 3]}, "COCO_TYPE", "#/annotations/1/bbox ", id="bbox-of-three"),
    pytest.param({BOX: [1, 2, 3, "4"]}, "COCO_TYPE", "#/annotations/1/bbox ", id="bbox-with-string"),
    pytest.param({BOX: [1, 2, 3, None]}, "COCO_TYPE", "#/annotations/1/bbox ", id="bbox-with-null"),
    pytest.param({BOX: [1, 2, 3, True]}, "COCO_TYPE", "#/annotations/1/bbox ", id="bbox-with-bool"),
    pytest.param({BOX: "1 2 3 4"}, "COCO_TYPE", "#/annotations/1/bbox ", id="bbox-text"),
    pytest.param({BOX: [1, 2, -3, 4]}, "BOX_INVALID", "#/annotations/1/bbox ", id="negative-width"),
    pytest.param({BOX: [1e308, 2, 1e308, 4]}, "BOX_INVALID", "#/annotations/1", id="overflowing-width"),
    pytest.param({"annotations/1/id": 1}, "ID_DUPLICATE", "#/annotations/1/id id=1 - entry 0 ", id="twice-annotation"),
    pytest.param({"images/1/id": 1}, "ID_DUPLICATE", "#/images/1/id id=1 - entry 0 ", id="twice-image"),
    pytest.param({"categories/1/id": 1}, "ID_DUPLICATE", "#/categories/1/id id=1 - entry 0 ", id="twice-category"),
    pytest.param({"categories/1/name": "cat"}, "ID_DUPLICATE", "#/categories/1/name ", id="twice-name"),
    pytest.param({"images/1/file_name": "a.png"}, "ID_DUPLICATE", "#/images/1/file_name ", id="twice-file"),
    pytest.param({"annotations/1/image_id": 9}, "ID_DANGLING", "#/annotations/1/image_id image_id=9", id="lost-image"),
    pytest.param({"annotations/1/category_id": 9}, "ID_DANGLING", "#/annotations/1/category_id ", id="lost-category"),
    pytest.param({"annotations/0/id": "1"}, "COCO_TYPE", "#/annotations/0/id ", id="string-id"),
    pytest.param({"annotations/0/id": 1.5}, "COCO_TYPE", "#/annotations/0/id ", id="float-id"),
    pytest.param({"annotations/0/id": 2**63}, "COCO_TYPE", "#/annotations/0/id ", id="id-of-64-bits"),
    pytest.param({"annotations/0/id": True}, "COCO_TYPE", "#/annotations/0/id ", id="bool-id"),
    pytest.param({"annotations/0/image_id": None}, "COCO_TYPE", "#/annotations/0/image_id ", id="null-image-id"),
    pytest.param({"annotations/0/category_id": MISSING}, "COCO_KEY", "#/annotations/0/category_id ", id="no-category"),
    pytest.param({"annotations/0/iscrowd": 2}, "COCO_TYPE", "#/annotations/0/iscrowd ", id="iscrowd-2"),
    pytest.param({"annotations/0/area": "big"}, "COCO_TYPE", "#/annotations/0/area ", id="area-text"),
    pytest.param({"annotations/0/area": -1}, "COCO_TYPE", "#/annotations/0/area ", id="area-negative"),
    pytest.param({"annotations/0/occluded": 2}, "COCO_TYPE", "#/annotations/0/occluded ", id="occluded-2"),
    pytest.param({"annotations/0/attributes": [1]}, "COCO_TYPE", "#/annotations/0/attributes ", id="attributes-list"),
    pytest.param({"images/0/file_name": MISSING}, "COCO_KEY", "#/images/0/file_name ", id="no-file-name"),
    pytest.param({"images/0/file_name": 5}, "COCO_TYPE", "#/images/0/file_name ", id="file-name-number"),
    pytest.param({"images/0/width": 0}, "IMAGE_SIZE", "#/images/0/width width=0", id="width-0"),
    pytest.param({"images/0/height": -3}, "IMAGE_SIZE", "#/images/0/height ", id="height-negative"),
    pytest.param({"images/0/height": MISSING}, "IMAGE_SIZE", "#/images/0/height ", id="height-alone-missing"),
    pytest.param({"images/0/width": "40"}, "COCO_TYPE", "#/images/0/width ", id="width-text"),
    pytest.param({"images/0/width": 2**40}, "IMAGE_SIZE", "#/images/0/width width=", id="width-huge"),
    pytest.param({"categories/0/name": " "}, "COCO_NAME", "#/categories/0/name ", id="blank-class"),
    pytest.param({"categories/0/name": None}, "COCO_TYPE", "#/categories/0/name ", id="null-class"),
    *[
        pytest.param({"images/0/file_name": name}, "PATH_OUTSIDE", "#/images/0/file_name ", id=f"path-{i}")
        for i, name in enumerate(
            ("../a.png", "x/../../a.png", "/etc/a.png", "..\\a.png", "C:/a.png", "a\0.png", "", "http://host/a.png")
        )
    ],
]


@pytest.mark.parametrize(("changes", "code", "place"), FAULTS)
def test_fault__is_one_line_with_a_pointer(
    changes: dict[str, Any], code: str, place: str, write: Any, check_error: Any
) -> None:
    path = write("x.json", json.dumps(changed(changes)))
    check_error(lambda: read_coco(path), code, place)


def test_fault__every_one_is_reported_at_once(write: Any, error_of: Any) -> None:
    path = write("x.json", json.dumps(changed({BOX: None, "annotations/0/id": "1", "images/0/width": 0})))
    text = str(error_of(lambda: read_coco(path)))
    assert text.count("\n") == 2


def test_fault__equal_ones_are_one_line_with_their_number_and_first_places(write: Any, error_of: Any) -> None:
    document = copy.deepcopy(GOOD)
    document["annotations"] = [{"id": i, "image_id": 1, "category_id": 1, "bbox": None} for i in range(100)]
    path = write("x.json", json.dumps(document))
    lines = str(error_of(lambda: read_coco(path))).splitlines()
    assert len(lines) == 1
    assert "(100 such, then " in lines[0]
    assert all(f"#/annotations/{i}/bbox" in lines[0] for i in range(3))


def test_truncated__at_every_point_is_an_error(write: Any, check_error: Any) -> None:
    text = json.dumps(GOOD, indent=1)
    for cut in range(0, len(text), 11):
        path = write("x.json", text[:cut])
        check_error(lambda path=path: read_coco(path), "JSON_SYNTAX", f"{path}:")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("[" * 100_000, "JSON_SYNTAX", id="deep"),
        pytest.param('{"images": [NaN]}', "JSON_SYNTAX", id="nan"),
        pytest.param('{"images": [1e999]}', "JSON_SYNTAX", id="overflow"),
        pytest.param('{"images": [' + "9" * 5000 + "]}", "JSON_SYNTAX", id="long-integer"),
        pytest.param("[]", "COCO_TYPE", id="list"),
        pytest.param("null", "COCO_TYPE", id="null"),
        pytest.param("", "JSON_SYNTAX", id="empty"),
        pytest.param(json.dumps(GOOD)[:-1] + ', "annotations": []}', "JSON_KEY_TWICE", id="top-level-twice"),
        pytest.param(
            json.dumps(GOOD).replace('"bbox": [1', '"bbox": [9, 9, 9, 9], "bbox": [1'),
            "JSON_KEY_TWICE",
            id="bbox-twice",
        ),
    ],
)
def test_json__that_misleads_is_refused(text: str, code: str, write: Any, check_error: Any) -> None:
    check_error(lambda: read_coco(write("x.json", text)), code, "x.json")


def test_values__that_only_look_like_keys_are_read(write: Any) -> None:
    document = changed({"annotations/0/attributes": {"kind": "bbox", "also": "bbox"}, "annotations/0/note": "bbox"})
    table = read_coco(write("x.json", json.dumps(document)))
    assert json.loads(table.boxes["attributes"][0]) == {"kind": "bbox", "also": "bbox", "note": "bbox"}


def test_folder__missing_or_without_files(tmp_path: Path, check_error: Any) -> None:
    check_error(lambda: read_coco(tmp_path / "no"), "FOLDER_MISSING", "no")
    check_error(lambda: read_coco(tmp_path), "COCO_MISSING", str(tmp_path))
    check_error(lambda: read_splits({"train": tmp_path / "no.json"}), "FILE_MISSING", "no.json")


def test_ids__zero_and_negative_are_fine(write: Any) -> None:
    changes = {"annotations/0/id": 0, "images/0/id": -5, "annotations/0/image_id": -5, "categories/0/id": 0}
    table = read_coco(write("x.json", json.dumps(changed(changes | {"annotations/0/category_id": 0}))))
    assert table.boxes.select("annotation_id", "image_id", "category_id").row(0) == (0, -5, 0)


def test_empty__lists_make_an_empty_table(write: Any) -> None:
    table = read_coco(write("x.json", '{"images": [], "annotations": [], "categories": []}'))
    assert (len(table.images), len(table.boxes), len(table.categories)) == (0, 0, 0)


def test_own_keys__come_back(write: Any) -> None:
    extra = {
        **{
            "ignore": 1,
            "ignore_reason": "far away",
            "occluded": 0.25,
            "truncated": 1,
            "difficult": 1,
            "track_id": "t7",
        },
        **{"vis_bbox": [1, 2, 1.5, 2.5], "attributes": {"b": 1, "a": [2]}, "source": "native.txt:3"},
    }
    document = copy.deepcopy(GOOD)
    document["annotations"][0] |= extra
    document["images"][0] |= {"split": "val", "group": "pole 3", "weather": "rain", "hour": 7, "tags": ["x"]}
    table = read_coco(write("x.json", json.dumps(document)))
    row = table.boxes.row(0, named=True)
    assert row["ignore_reason"] == "far away"
    assert (row["occluded"], row["truncated"], row["difficult"], row["track_id"]) == (0.25, 1.0, True, "t7")
    assert (row["vis_x1"], row["vis_y1"], row["vis_x2"], row["vis_y2"]) == (1, 2, 2.5, 4.5)
    assert (row["attributes"], row["source"], row["area"]) == ('{"b":1,"a":[2]}', "native.txt:3", 12.0)
    image = table.images.row(0, named=True)
    assert [image[k] for k in ("split", "group", "weather", "hour", "tags")] == ["val", "pole 3", "rain", 7, b'["x"]']
    other = table.boxes.row(1, named=True)
    assert other["source"] == "x.json#/annotations/1"
    assert other["vis_x1"] is None
    assert not other["ignore"]


def test_crowd__is_ignored(write: Any) -> None:
    table = read_coco(write("x.json", json.dumps(changed({"annotations/0/iscrowd": 1, "annotations/1/ignore": True}))))
    assert table.boxes.select("iscrowd", "ignore", "ignore_reason").rows() == [
        (True, True, "crowd"),
        (False, True, "ignore flag"),
    ]


def region(annotation_id: int, category_id: int, **further: Any) -> dict[str, Any]:
    box = {"image_id": 1, "bbox": [0, 0, 9, 9], "area": 81, "iscrowd": 0, "ignore": 1, "all_classes": 5}
    return {"id": annotation_id, "category_id": category_id, **box, **further}


def test_all_classes__copies_become_one_row(write: Any) -> None:
    document = copy.deepcopy(GOOD)
    document["annotations"] += [region(5, 1), region(6, 2)]
    table = read_coco(write("x.json", json.dumps(document)))
    assert table.boxes.select("annotation_id", "category_id").rows() == [(1, 1), (2, 2), (5, None)]


@pytest.mark.parametrize("wrong", [{"bbox": [0, 0, 9, 8]}, {"image_id": 2}, {"all_classes": 77}])
def test_all_classes__odd_copies_are_refused(wrong: dict[str, Any], write: Any, check_error: Any) -> None:
    document = copy.deepcopy(GOOD)
    document["annotations"] += [region(5, 1), region(6, 2, **wrong)]
    check_error(lambda: read_coco(write("x.json", json.dumps(document))), "COCO_COPIES", "x.json#/annotations")


def test_foreign_keys__are_kept(write: Any) -> None:
    document = changed({"annotations/0/keypoints": [1, 2, 2], "annotations/0/track_id": 12, "images/0/image_id": "x"})
    document["images"][0] |= {"row": 5, "w": 6}
    document["annotations"][1]["segmentation"] = [[0, 0, 1, 1, 2, 2]]
    table = read_coco(write("x.json", json.dumps(document)))
    assert table.boxes["attributes"].to_list() == ['{"keypoints":[1,2,2]}', None]
    assert table.boxes["track_id"].to_list() == ["12", None]
    assert table.images["native_image_id"].to_list() == ["x", None]


def test_order_and_types__of_the_columns_do_not_depend_on_the_keys(write: Any) -> None:
    def schema(document: dict[str, Any]) -> Any:
        return read_coco(write("x.json", json.dumps(document))).boxes.schema

    bare = copy.deepcopy(GOOD)
    bare["annotations"] = [
        {k: one[k] for k in ("id", "image_id", "category_id", "bbox")} for one in bare["annotations"]
    ]
    full = changed({"annotations/0/vis_bbox": [1, 1, 1, 1], "annotations/0/track_id": "a", "annotations/0/ignore": 1})
    assert schema(bare) == schema(full)
    assert schema(bare)["area"] == pl.Float64


SKIPPED = [
    pytest.param({BOX: None}, "COCO_TYPE", id="bbox-null"),
    pytest.param({BOX: [1, 2, -3, 4]}, "BOX_INVALID", id="negative-width"),
    pytest.param({BOX: [1e308, 2, 1e308, 4]}, "BOX_INVALID", id="overflowing-width"),
    pytest.param({"annotations/1/id": 1}, "ID_DUPLICATE", id="twice-id"),
    pytest.param({"annotations/1/id": None, BOX: None}, "COCO_TYPE", id="two-faults-of-one-row"),
    pytest.param({"annotations/1/category_id": 9}, "ID_DANGLING", id="lost-category"),
    pytest.param({"annotations/1/iscrowd": 2}, "COCO_TYPE", id="iscrowd-2"),
    pytest.param({"annotations/1/occluded": 2}, "COCO_TYPE", id="occluded-2"),
    pytest.param({"annotations/1/attributes": [1]}, "COCO_TYPE", id="attributes-list"),
]


@pytest.mark.parametrize(("changes", "code"), SKIPPED)
def test_row_at_fault__leaves_by_wish_and_is_counted(changes: dict[str, Any], code: str, write: Any) -> None:
    path = write("x.json", json.dumps(changed(changes)))
    table = read_coco(path, on_error="skip-row")
    assert (len(table.images), table.boxes["annotation_id"].to_list()) == (2, [1])
    assert [(line.kind, line.reason, line.count) for line in table.reading] == [("box", f"skipped: {code}", 1)]
    assert "#/annotations/1/" in table.reading[0].examples[0]
    whole = read_coco(path, on_error="skip-image")
    assert whole.images["file_name"].to_list() == ["a.png"]
    assert [(line.kind, line.count) for line in whole.reading] == [("image", 1), ("box", 1)]


def test_image_at_fault__leaves_with_its_boxes(write: Any, error_of: Any) -> None:
    path = write("x.json", json.dumps(changed({"images/1/width": 0})))
    table = read_coco(path, on_error="skip-image")
    assert (table.images["file_name"].to_list(), len(table.boxes)) == (["a.png"], 1)
    assert [(line.kind, line.count) for line in table.reading] == [("image", 1), ("box", 1)]
    error_of(lambda: read_coco(path, on_error="skip-row"))


@pytest.mark.parametrize("pointer", ["images/1/id", "images/1/file_name", "annotations/1/image_id", "categories/1/id"])
def test_fault_of_the_data_set__is_never_skipped_with_a_image(pointer: str, write: Any, error_of: Any) -> None:
    path = write("x.json", json.dumps(changed({pointer: [1]})))
    error_of(lambda: read_coco(path, on_error="skip-image"))


def test_ids_as_text__are_refused_with_the_option_that_takes_them(write: Any, check_error: Any) -> None:
    path = write("a.json", json.dumps({"images": [{"id": "1"}], "annotations": [], "categories": []}))
    check_error(lambda: read_coco(path), "COCO_TYPE", "#/images/0/id", "read with lenient=true")


def test_lenient__takes_what_is_beyond_doubt(write: Any, error_of: Any) -> None:
    document = changed({"images/0/file_name": MISSING, "annotations/1/id": MISSING, "annotations/0/area": MISSING})
    document["images"][0] |= {"im_name": "a.png", "id": "01", "width": "40"}
    document["annotations"][0] |= {"image_id": 1.0, "iscrowd": True}
    path = write("x.json", json.dumps(document))
    error_of(lambda: read_coco(path))
    table = read_coco(path, lenient=True)
    assert table.images.select("image_id", "file_name", "width").row(0) == (1, "a.png", 40)
    assert table.boxes.select("annotation_id", "image_id").rows() == [(1, 1), (2, 2)]
    assert {line.reason: line.count for line in table.reading} == {
        "images: id written as a string": 1,
        "images: width written as a string": 1,
        "annotations: image_id written as a float": 1,
        "im_name taken for file_name": 1,
        "annotation without id numbered": 1,
    }
    assert {line.action for line in table.reading} == {"noted"}


@pytest.mark.parametrize("value", ["a", 1.5, "1.0", "", True, None, [1]])
def test_lenient__leaves_what_is_not_clear_an_error(value: Any, write: Any, check_error: Any) -> None:
    path = write("x.json", json.dumps(changed({"images/1/id": value})))
    check_error(lambda: read_coco(path, lenient=True), "COCO_TYPE", "#/images/1/id ")
