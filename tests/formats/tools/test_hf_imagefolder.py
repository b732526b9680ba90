from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.tools import hf_imagefolder

CORNERS = ("x1", "y1", "x2", "y2")


def row(name: str = "a.png", **objects: Any) -> str:
    return json.dumps({"file_name": name, "objects": {"bbox": [[10, 4, 20, 14]], "category": ["dog"]} | objects}) + "\n"


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("train/metadata.jsonl", row() + row("b.png"))
    write("train/a.png", (40, 20))
    write("train/b.png", (40, 20))
    return tmp_path


FORMS = [
    ("xywh", [10, 4, 20, 14], (10, 4, 30, 18)),
    ("xyxy", [10, 4, 20, 14], (10, 4, 20, 14)),
    ("cxcywh", [10, 8, 20, 14], (0, 1, 20, 15)),
    ("xywh shares", [0.25, 0.2, 0.5, 0.7], (10, 4, 30, 18)),
    ("xyxy shares", [0.25, 0.2, 0.5, 0.7], (10, 4, 20, 14)),
    ("cxcywh shares", [0.25, 0.4, 0.5, 0.7], (0, 1, 20, 15)),
]


@pytest.mark.parametrize(("form", "numbers", "expected"), FORMS)
def test_forms__of_boxes(form: str, numbers: list[float], expected: Any, root: Path, write: Any) -> None:
    write("train/metadata.jsonl", row(bbox=[numbers]) + row("b.png", bbox=[], category=[]))
    box_format, _, units = form.partition(" ")
    boxes = hf_imagefolder.read(root, box_format=box_format, units=units or None).boxes
    assert boxes.select(CORNERS).row(0) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("numbers", "form", "part"),
    [
        ([0.25, 0.2, 0.5, 0.7], None, "units=shares"),
        ([30, 10, 40, 20], None, "box_format=xyxy"),
        ([60, 10, 80, 20], "cxcywh_norm", "box_format=cxcywh and units=shares"),
    ],
)
def test_forms__that_fit_another_are_refused(
    numbers: list[float], form: Any, part: str, root: Path, write: Any, check_error: Any
) -> None:
    write("train/metadata.jsonl", row(bbox=[numbers]) + row("b.png", bbox=[], category=[]))
    check_error(lambda: hf_imagefolder.read(root, box_format=form), "OPTION_VALUE" if form else "BOX_FORMAT", part)


OBJECTS = [
    pytest.param({"bbox": [[1, 2, 3]]}, "JSON_NUMBER", "/objects/0/bbox", id="three-numbers"),
    pytest.param({"bbox": [[1, 2, 3, None]]}, "JSON_NUMBER", "/objects/0/bbox", id="null"),
    pytest.param({"bbox": [[1, 2, -3, 4]]}, "BOX_INVALID", "/objects/0", id="negative"),
    pytest.param({"category": [None]}, "JSON_VALUE", "/objects/0/category", id="no-class"),
    pytest.param({"category": [1.5]}, "JSON_VALUE", "/objects/0/category", id="float-class"),
    pytest.param({"category": [7]}, "CLASS_MIXED", "/objects/0", id="mixed-classes"),
    pytest.param({"iscrowd": [2]}, "JSON_TYPE", "/objects/0/iscrowd", id="crowd-2"),
]


@pytest.mark.parametrize(("objects", "code", "part"), OBJECTS)
def test_object_at_fault__is_pointed_at(
    objects: dict[str, Any], code: str, part: str, root: Path, write: Any, check_error: Any
) -> None:
    path = write("train/metadata.jsonl", row("b.png") + row(**objects))
    check_error(lambda: hf_imagefolder.read(root), code, f"{path}:2#", part)
    rows = hf_imagefolder.read(root, on_error="skip-row")
    assert (len(rows.images), len(rows.boxes), rows.reading[0].count) == (2, 1, 1)
    images = hf_imagefolder.read(root, on_error="skip-image")
    assert images.images["file_name"].to_list() == ["train/b.png"]


LINES = [
    pytest.param("{", "JSON_SYNTAX", ":2", id="cut"),
    pytest.param("[]", "JSON_TYPE", ":2#", id="list"),
    pytest.param("{}", "JSON_KEY", ":2#/file_name", id="no-name"),
    pytest.param(row("b.png"), "IMAGE_TWICE", ":2#/file_name", id="twice"),
    pytest.param(row("no.png"), "IMAGE_MISSING", ":2# image=train/no.png", id="missing"),
    pytest.param(row("../../z.png"), "PATH_OUTSIDE", ":2#", id="outside"),
    pytest.param(row(category=[]), "HF_LENGTHS", "1 bbox, 0 category", id="lengths"),
    pytest.param(row(category="dog"), "JSON_TYPE", "/objects/category", id="no-list"),
    pytest.param('{"file_name": "a.png", "objects": 5}', "JSON_TYPE", ":2#/objects", id="no-object"),
    pytest.param('{"file_name": "a.png", "width": 0, "height": 4}', "IMAGE_SIZE", ":2#/width", id="size-0"),
    pytest.param('{"file_name": "a.png", "width": 41, "height": 20}', "IMAGE_SIZE", "41 x 20", id="size-other"),
    pytest.param("", "ANNOTATION_MISSING", "train/a.png", id="no-row"),
]


@pytest.mark.parametrize(("line", "code", "part"), LINES)
def test_line__faults(line: str, code: str, part: str, root: Path, write: Any, check_error: Any) -> None:
    write("train/metadata.jsonl", row("b.png") + line)
    check_error(lambda: hf_imagefolder.read(root), code, part)


def test_classes__by_index(root: Path, write: Any, check_error: Any) -> None:
    write("train/metadata.jsonl", row(category=[2]) + row("b.png", category=[0]))
    assert hf_imagefolder.read(root).class_names == ["class_0", "class_1", "class_2"]
    table = hf_imagefolder.read(root, names=["a", "b", "c"])
    assert (table.class_names, table.boxes["category_id"].to_list()) == (["a", "b", "c"], [3, 1])
    check_error(lambda: hf_imagefolder.read(root, names=["a"]), "CLASS_INDEX", "from 0 to 0", "category=#2")
    write("README.md", "---\nfeatures: [{dtype: {class_label: {names: {'0': x, '1': y, '2': z}}}}]\n---\n")
    assert hf_imagefolder.read(root).class_names == ["x", "y", "z"]
    write("README.md", "---\n*a\n---\n")
    assert hf_imagefolder.read(root).class_names == ["class_0", "class_1", "class_2"]


@pytest.mark.parametrize("option", [{"names": "dog"}, {"names": ["dog", 5]}, {"box_format": "yxyx"}])
def test_option__of_another_kind_is_refused(option: dict[str, Any], root: Path, check_error: Any) -> None:
    check_error(lambda: hf_imagefolder.read(root, **option), "OPTION_VALUE", next(iter(option)))


def test_images__missing_by_wish(root: Path, check_error: Any) -> None:
    (root / "train/a.png").unlink()
    kept = hf_imagefolder.read(root, missing_images="keep")
    assert kept.images.select("file_name", "width").row(0) == ("train/a.png", None)
    check_error(lambda: hf_imagefolder.read(root, missing_images="keep", units="shares"), "IMAGE_MISSING", "shares")
    skipped = hf_imagefolder.read(root, missing_images="skip")
    assert [(line.kind, line.count) for line in skipped.reading] == [("image", 1), ("box", 1)]


def test_further_keys__are_kept(root: Path, write: Any) -> None:
    line = json.loads(row(area=[200], iscrowd=[1])) | {"weather": "rain"}
    write("train/metadata.jsonl", json.dumps(line) + "\n" + row("b.png"))
    table = hf_imagefolder.read(root)
    assert table.images["metadata"].to_list() == ['{"weather":"rain"}', None]
    one = table.boxes.row(0, named=True)
    assert (one["attributes"], one["ignore_reason"], one["iscrowd"]) == ('{"area":200}', "crowd", True)


def test_csv__holds_json(root: Path, write: Any, check_error: Any) -> None:
    (root / "train/metadata.jsonl").unlink()
    objects = json.dumps(json.loads(row())["objects"]).replace('"', '""')
    write("train/metadata.csv", f'file_name,objects\na.png,"{objects}"\nb.png,"[1"\n')
    check_error(lambda: hf_imagefolder.read(root), "JSON_SYNTAX", "metadata.csv:3")
    assert len(hf_imagefolder.read(root, on_error="skip-image").boxes) == 1


def test_folder__without_metadata(tmp_path: Path, check_error: Any) -> None:
    check_error(lambda: hf_imagefolder.read(tmp_path), "HF_METADATA", str(tmp_path))
