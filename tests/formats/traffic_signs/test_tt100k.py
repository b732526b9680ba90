from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.traffic_signs import tt100k

Change = Callable[[Any], None]


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("train/1.jpg", (64, 48))
    write("test/2.jpg", (64, 48))
    return tmp_path


def document() -> dict[str, Any]:
    box = {"xmin": 10, "ymin": 5.5, "xmax": 26, "ymax": 20}
    return {
        "types": ["pn", "i13"],
        "imgs": {
            "1": {"id": 1, "path": "train/1.jpg", "objects": [{"category": "pn", "bbox": dict(box)}]},
            "2": {"id": 2, "path": "test/2.jpg", "objects": [{"category": "i13", "bbox": dict(box)}]},
        },
    }


def sign(changes: dict[str, Any]) -> Change:
    return lambda whole: whole["imgs"]["1"]["objects"][0].update(changes)


BOX = {"xmin": 10, "ymin": 5.5, "xmax": 26, "ymax": 20}
BAD = [
    pytest.param(sign({"category": 3}), "JSON_TYPE", "/imgs/1/objects/0/category", "a string", id="class-3"),
    pytest.param(sign({"bbox": [1, 2, 3, 4]}), "JSON_TYPE", "/imgs/1/objects/0/bbox", "an object", id="list"),
    pytest.param(sign({"bbox": {**BOX, "xmax": "26"}}), "JSON_NUMBER", "/bbox/xmax", "finite number", id="text"),
    pytest.param(sign({"bbox": {**BOX, "xmax": 9.5}}), "BOX_INVALID", "/bbox/xmax", ">= xmin, which is 10", id="swap"),
    pytest.param(sign({"bbox": {**BOX, "ymax": 1}}), "BOX_INVALID", "/bbox/ymax", ">= ymin", id="swapped-y"),
    pytest.param(lambda w: w["imgs"]["1"].update(id=7), "TT100K_ID", "/imgs/1/id", "is 1", id="id"),
    pytest.param(lambda w: w["imgs"]["2"].update(path="train/1.jpg"), "ID_DUPLICATE", "/imgs/2/path", "1", id="twice"),
    pytest.param(lambda w: w["imgs"]["1"].update(objects={}), "JSON_TYPE", "/imgs/1/objects", "a list", id="objects"),
    pytest.param(lambda w: w["imgs"]["1"].pop("path"), "JSON_KEY", "/imgs/1/path", "needed", id="no-path"),
    pytest.param(lambda w: w.pop("types"), "JSON_KEY", "#/types", "needed", id="no-types"),
    pytest.param(lambda w: w.update(types=["pn", 3]), "JSON_TYPE", "#/types", "strings", id="types-3"),
    pytest.param(lambda w: w.update(types=["pn", "pn"]), "CLASS_TWICE", "#/types", "twice", id="types-twice"),
    pytest.param(lambda w: w["imgs"]["1"].update(path="../9.jpg"), "PATH_OUTSIDE", "/imgs/1", "../9.jpg", id="above"),
    pytest.param(lambda w: w["imgs"]["1"].update(path="train/9.jpg"), "IMAGE_MISSING", "/imgs/1", "keep", id="absent"),
]


@pytest.mark.parametrize(("change", "code", "pointer", "part"), BAD)
def test_fault__names_file_and_pointer(
    change: Change, code: str, pointer: str, part: str, root: Path, write: Any, check_error: Any
) -> None:
    whole = document()
    change(whole)
    path = write("annotations.json", json.dumps(whole))
    check_error(lambda: tt100k.read(root), code, f"{path}#/", pointer, part)


def test_faults__are_skipped_when_asked(root: Path, write: Any) -> None:
    whole = document()
    sign({"bbox": {}})(whole)
    write("annotations.json", json.dumps(whole))
    row = tt100k.read(root, on_error="skip-row")
    assert (len(row.images), len(row.boxes), row.reading[0].count) == (2, 1, 1)
    assert tt100k.read(root, on_error="skip-image").images["file_name"].to_list() == ["test/2.jpg"]


def test_rare__leaves_with_a_line_in_the_ledger_or_is_ignored(root: Path, write: Any) -> None:
    write("annotations.json", json.dumps(document()))
    dropped = tt100k.read(root, classes="protocol45")
    assert dropped.class_names == list(tt100k.PROTOCOL45)
    assert dropped.boxes["category_id"].to_list() == [tt100k.PROTOCOL45.index("pn") + 1]
    (line,) = dropped.reading
    assert (line.count, line.examples) == (1, ("annotations.json#/imgs/2/objects/0",))
    ignored = tt100k.read(root, classes="protocol45", rare="ignore").boxes.row(1, named=True)
    assert (ignored["category_id"], ignored["ignore"], ignored["ignore_reason"]) == (None, True, "rare type")
    assert json.loads(ignored["attributes"]) == {"category": "i13"}


def test_protocol45__has_its_45_types_once() -> None:
    assert len(set(tt100k.PROTOCOL45)) == len(tt100k.PROTOCOL45) == 45
    assert (tt100k.PROTOCOL45[0], tt100k.PROTOCOL45[20], tt100k.PROTOCOL45[-1]) == ("i2", "ph4.5", "wo")


def test_sign__keeps_its_outline_and_its_family(sample: Any) -> None:
    table = tt100k.read(sample("tt100k"))
    facts = json.loads(table.boxes["attributes"][0])
    assert facts == {"ellipse_org": [[10.5, 13.0], [18.25, 5.25]], "ellipse": [[18.25, 13.0], [15.5, 15.5], 0.5]}
    assert table.categories.select("name", "supercategory").rows() == [
        ("i1", "indication"),
        ("ph4.5", "prohibition"),
        ("pn", "prohibition"),
        ("w57", "warning"),
    ]


@pytest.mark.parametrize(
    ("text", "code", "part"), [("3\n", "ANNOTATION_MISSING", "id=3"), ("\n 2", "SPLIT_TWICE", "test")]
)
def test_list__that_says_otherwise(text: str, code: str, part: str, root: Path, write: Any, check_error: Any) -> None:
    write("annotations.json", json.dumps(document()))
    path = write("train/ids.txt", text)
    check_error(lambda: tt100k.read(root), code, f"{path}:{1 + text.count(chr(10), 0, 1)} ", part)


def test_folder__of_two_releases_or_none(root: Path, write: Any, check_error: Any) -> None:
    check_error(lambda: tt100k.read(root), "FILE_MISSING", "found none")
    write("annotations.json", json.dumps(document()))
    write("data/annotations_all.json", json.dumps(document()))
    check_error(lambda: tt100k.read(root), "FILE_MISSING", "found annotations.json, data/annotations_all.json")


def test_images__may_be_absent_when_asked(root: Path, write: Any) -> None:
    write("annotations.json", json.dumps(document()))
    (root / "test/2.jpg").unlink()
    images = tt100k.read(root, missing_images="keep").images
    assert images.select("file_name", "width", "split").rows() == [
        ("test/2.jpg", None, "test"),
        ("train/1.jpg", 64, "train"),
    ]


@pytest.mark.parametrize("option", ["classes", "rare", "missing_images", "on_error"])
def test_option__with_no_such_value(option: str, root: Path, check_error: Any) -> None:
    check_error(lambda: tt100k.read(root, **{option: "no"}), "OPTION_VALUE", f"{option}=no")
