from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.traffic_signs import mtsd


def sign(**changes: Any) -> dict[str, Any]:
    box = {"xmin": 10.5, "ymin": 5, "xmax": 26, "ymax": 20}
    return {"key": "k", "label": "regulatory--stop--g1", "bbox": box, "properties": {"occluded": False}, **changes}


def page(*signs: Any, **changes: Any) -> str:
    return json.dumps({"width": 64, "height": 48, "ispano": False, "objects": list(signs), **changes})


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("annotations/a.json", page(sign()))
    write("images/a.jpg", (64, 48))
    write("annotations/b.json", page())
    write("images/b.jpg", (64, 48))
    return tmp_path


SWAPPED = {"xmin": 60, "ymin": 5, "xmax": 2, "ymax": 9}
BAD = [
    pytest.param(page(sign(label=3)), "JSON_TYPE", "#/objects/0/label", "a string", id="label-3"),
    pytest.param(page(sign(label="")), "ROW_EMPTY", "#/objects/0/label", "needs a label", id="no-label"),
    pytest.param(page(sign(bbox=None)), "JSON_KEY", "#/objects/0/bbox", "needed", id="no-box"),
    pytest.param(page(sign(bbox=SWAPPED)), "BOX_INVALID", "#/objects/0/bbox/xmax", ">= xmin", id="swapped"),
    pytest.param(
        page(sign(properties={"occluded": "no"})), "JSON_TYPE", "#/objects/0/properties/occluded", "true or", id="flag"
    ),
    pytest.param(page(3), "JSON_TYPE", "#/objects/0", "an object", id="object-3"),
    pytest.param(page(objects=None), "JSON_KEY", "#/objects", "needed", id="no-objects"),
    pytest.param(page(width=0), "IMAGE_SIZE", "#/width", "a side", id="width-0"),
    pytest.param(page(height=2**40), "IMAGE_SIZE", "#/height", "a side", id="height-huge"),
    pytest.param(page(width=64.0), "JSON_NUMBER", "#/width", "an integer", id="width-float"),
    pytest.param(page(width=63), "IMAGE_SIZE", "", "says 63 x 48, 'images/a.jpg' has 64 x 48", id="size-other"),
    pytest.param(page(width=48, height=64), "IMAGE_SIZE", "", "EXIF", id="size-turned"),
    pytest.param("[]", "JSON_TYPE", "#", "an object", id="list"),
    pytest.param("{", "JSON_SYNTAX", ":1 ", "cut short", id="cut"),
]


@pytest.mark.parametrize(("text", "code", "pointer", "part"), BAD)
def test_fault__names_file_and_pointer(
    text: str, code: str, pointer: str, part: str, root: Path, write: Any, check_error: Any
) -> None:
    path = write("annotations/a.json", text)
    check_error(lambda: mtsd.read(root), code, f"{path}{pointer}", part)
    left = mtsd.read(root, on_error="skip-image")
    assert left.images["file_name"].to_list() == ["images/b.jpg"]
    assert left.reading[0].kind == "image"


def test_properties__have_their_columns_or_are_attributes(sample: Any) -> None:
    table = mtsd.read(sample("mtsd"))
    first, second, third, fourth = table.boxes.iter_rows(named=True)
    assert (first["occluded"], first["truncated"]) == (1.0, 0.0)
    assert (second["occluded"], second["truncated"]) == (0.0, 1.0)
    assert (third["ignore_reason"], fourth["ignore_reason"]) == ("ambiguous", "dummy")
    facts = json.loads(fourth["attributes"])
    assert (facts["key"], facts["included"], facts["barrier"]) == ("k4", True, False)
    assert table.categories["supercategory"].to_list() == [None, "regulatory", "warning"]


@pytest.mark.parametrize(
    ("ignore", "reasons"),
    [
        ("none", [None] * 4),
        ("exterior, dummy", [None, "exterior", None, "dummy"]),
        ("included", [None] * 3 + ["included"]),
    ],
)
def test_ignore__names_properties(ignore: str, reasons: list[str | None], sample: Any) -> None:
    assert mtsd.read(sample("mtsd"), ignore=ignore).boxes["ignore_reason"].to_list() == reasons


def test_left_out__is_reported(sample: Any) -> None:
    counts = {(line.kind, line.reason): line.count for line in mtsd.read(sample("mtsd")).reading}
    assert counts == {
        ("image", "panorama"): 1,
        ("box", "of a panorama"): 1,
        ("image", "listed in splits/test.txt, without annotation"): 1,
    }


def test_seam__makes_two_truncated_boxes(sample: Any) -> None:
    left, right, whole = mtsd.read(sample("mtsd_partial"), panoramas="keep").boxes.head(3).iter_rows(named=True)
    assert (left["truncated"], right["truncated"], whole["truncated"]) == (1.0, 1.0, 0.0)
    assert [json.loads(one["attributes"])["cross_boundary"] for one in (left, right)] == ["left", "right"]
    assert left["source"] == right["source"]


def test_partial__images_are_covered_by_a_region_without_class(sample: Any) -> None:
    table = mtsd.read(sample("mtsd_partial"), panoramas="keep")
    images = table.images.select("file_name", "partially_annotated", "panorama").rows()
    assert images == [("images/part.jpg", True, False), ("images/train/pano.jpg", False, True)]
    assert table.boxes.filter(table.boxes["category_id"].is_null())["ignore_reason"].to_list() == [
        "partially annotated"
    ]


def test_partial__is_known_by_the_folder_alone(root: Path, write: Any) -> None:
    folder = root.parent / "mtsd_v2_partially_annotated"
    root.rename(folder)
    assert mtsd.read(folder).boxes["iscrowd"].to_list() == [False, True, True]


@pytest.mark.parametrize(
    ("lists", "code", "place"),
    [
        ({"train": "a\n", "val": "\na\n"}, "SPLIT_TWICE", "splits/val.txt:2 key=a"),
        ({"train": "a\nc\n"}, "ANNOTATION_MISSING", "splits/train.txt:2 key=c"),
    ],
)
def test_list__that_cannot_be(
    lists: dict[str, str], code: str, place: str, root: Path, write: Any, check_error: Any
) -> None:
    for name, text in lists.items():
        write(f"splits/{name}.txt", text)
    check_error(lambda: mtsd.read(root), code, place)


def test_key__of_two_sets_or_of_two_images(root: Path, write: Any, check_error: Any) -> None:
    write("images/train/a.jpg", (64, 48))
    check_error(lambda: mtsd.read(root), "IMAGE_TWICE", "annotations/a.json", "images/a.jpg, images/train/a.jpg")
    (root / "images/train/a.jpg").unlink()
    write("mtsd_v2_fully_annotated/annotations/a.json", page())
    check_error(lambda: mtsd.read(root), "ID_DUPLICATE", "mtsd_v2_fully_annotated/annotations/a.json")


def test_images__may_be_absent_or_of_another_size_when_asked(root: Path, write: Any, check_error: Any) -> None:
    write("annotations/a.json", page(sign(), width=63))
    assert mtsd.read(root, size_mismatch="keep").images["width"].to_list() == [64, 64]
    (root / "images/a.jpg").unlink()
    check_error(lambda: mtsd.read(root), "IMAGE_MISSING", "annotations/a.json", "missing_images=keep")
    assert mtsd.read(root, missing_images="keep").images.select("file_name", "width").row(0) == ("a.jpg", 63)
    assert len(mtsd.read(root, missing_images="skip").images) == 1


def test_folder__without_annotations(tmp_path: Path, check_error: Any) -> None:
    check_error(lambda: mtsd.read(tmp_path), "MTSD_MISSING", "annotations/<key>.json")
    check_error(lambda: mtsd.read(tmp_path / "no"), "FOLDER_MISSING", "no")


@pytest.mark.parametrize("option", ["panoramas", "ignore", "missing_images", "size_mismatch", "on_error"])
def test_option__with_no_such_value(option: str, root: Path, check_error: Any) -> None:
    check_error(lambda: mtsd.read(root, **{option: "no"}), "OPTION_VALUE", f"{option}=no")


def test_real__object(shared: Path) -> None:
    table = mtsd.read(shared / "annotations_only" / "mtsd", missing_images="keep")
    assert table.images.select("file_name", "width", "height").rows() == [("one_object.jpg", 3264, 2448)]
    assert table.boxes.select("x1", "y1", "x2", "y2").rows() == [
        (1529.203125, 1829.42578125, 1602.515625, 1904.1328125)
    ]
    assert table.class_names == ["warning--traffic-merges-right--g1"]
