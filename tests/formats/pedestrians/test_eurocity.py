from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.pedestrians import eurocity

NAME = "day/labels/train/roma/roma_00001.json"
KEEP: dict[str, Any] = {"missing_images": "keep"}


def box(identity: str | None = "pedestrian", **further: Any) -> dict[str, Any]:
    return {"identity": identity, "x0": 10, "y0": 20, "x1": 30, "y1": 60, "tags": [], "children": [], **further}


def frame(*boxes: Any, **further: Any) -> str:
    whole = {"identity": "frame", "imagewidth": 1920, "imageheight": 1024, "tags": [], "children": list(boxes)}
    return json.dumps({**whole, **further})


def test_facts__stand_in_columns_and_attributes(tmp_path: Path, write: Any) -> None:
    bicycle = box("bicycle", tags=["occluded>10", "occluded>80"])
    write(NAME, frame(box("rider", orient="-12.5", children=[bicycle]), tags=["rainy", "lensFlare"]))
    table = eurocity.read(tmp_path, **KEEP)
    assert table.images.select("file_name", "width", "split", "city", "time_of_day", "tags").rows() == [
        ("day/img/train/roma/roma_00001.png", 1920, "train", "roma", "day", "rainy, lensFlare")
    ]
    assert table.boxes["occluded"].to_list() == [0.0, 0.8]
    assert [json.loads(one) for one in table.boxes["attributes"]] == [
        {"orient": -12.5},
        {"tags": ["occluded>10", "occluded>80"], "of": "/children/0"},
    ]
    assert table.boxes["source"].to_list() == [f"{NAME}#/children/0", f"{NAME}#/children/0/children/0"]


def test_root__may_be_the_folder_of_day_or_night(tmp_path: Path, write: Any) -> None:
    write(NAME, frame(box()))
    images = eurocity.read(tmp_path / "day", **KEEP).images
    assert images.select("file_name", "time_of_day").rows() == [("img/train/roma/roma_00001.png", "day")]


@pytest.mark.parametrize(
    ("tags", "reason"),
    [([], None), (["behind-glass"], "behind-glass"), (["occluded>40", "sitting-lying"], "sitting-lying")],
)
def test_tags__say_why_a_person_is_ignored(tmp_path: Path, write: Any, tags: list[str], reason: str | None) -> None:
    write(NAME, frame(box(tags=tags)))
    boxes = eurocity.read(tmp_path, **KEEP).boxes
    assert boxes.select("ignore", "ignore_reason", "iscrowd").rows() == [(reason is not None, reason, False)]


@pytest.mark.parametrize(
    ("identity", "reason"), [("pedestrian", "sitting-lying"), ("person-group-far-away", "depiction")]
)
def test_tags__of_several_the_one_that_the_benchmark_looks_at(
    tmp_path: Path, write: Any, identity: str, reason: str
) -> None:
    write(
        NAME,
        frame(box(identity, tags=["depiction", "sitting-lying"]), box(identity, tags=["sitting-lying", "depiction"])),
    )
    assert eurocity.read(tmp_path, **KEEP).boxes["ignore_reason"].to_list() == [reason, reason]


def test_unknown__identity_is_a_class_an_error_or_a_region(tmp_path: Path, write: Any, check_error: Any) -> None:
    write(NAME, frame(box("pedestrain"), box(None)))
    check_error(
        lambda: eurocity.read(tmp_path, unknown="error", **KEEP),
        "CLASS_UNKNOWN",
        "/children/0/identity",
        "'pedestrian'?",
    )
    assert eurocity.read(tmp_path, **KEEP).boxes["ignore_reason"].to_list() == [None, "no class is stated"]
    boxes = eurocity.read(tmp_path, unknown="ignore", **KEEP).boxes
    assert boxes.select("category_id", "ignore_reason").rows() == [
        (None, "unknown class"),
        (None, "no class is stated"),
    ]
    assert json.loads(boxes["attributes"][0]) == {"identity": "pedestrain"}


FAULTS = [
    pytest.param(frame(box(x0="a")), "JSON_NUMBER", "#/children/0/x0", "x0=a", id="text"),
    pytest.param(frame(box(x1=5)), "BOX_INVALID", "#/children/0 ", "x1 must be >= x0", id="swapped"),
    pytest.param(frame({"identity": "rider"}), "JSON_KEY", "#/children/0/x0", "needed", id="no-corner"),
    pytest.param(frame(box(tags="occluded>10")), "JSON_TYPE", "#/children/0/tags", "expected a list", id="tags"),
    pytest.param(frame(box(), imagewidth=0), "IMAGE_SIZE", "#/imagewidth", "imagewidth=0", id="size"),
    pytest.param(frame(box(), imagewidth=2**40), "IMAGE_SIZE", "#/imagewidth", "2,147,483,647", id="size-huge"),
    pytest.param('{"@converter": 1, "children": []}', "JSON_VALUE", "#/children", "frame", id="wrapped-nothing"),
    pytest.param("[]", "JSON_TYPE", "json# ", "expected an object", id="list"),
    pytest.param("{", "JSON_SYNTAX", ".json:1 ", "cut short", id="cut"),
]


@pytest.mark.parametrize(("content", "code", "pointer", "part"), FAULTS)
def test_fault__has_its_pointer(
    content: str, code: str, pointer: str, part: str, tmp_path: Path, write: Any, check_error: Any
) -> None:
    write(NAME, content)
    check_error(lambda: eurocity.read(tmp_path, **KEEP), code, pointer, part)


def test_nested__boxes_end_somewhere(tmp_path: Path, write: Any, check_error: Any) -> None:
    deep = box()
    for _ in range(60):
        deep = box(children=[deep])
    write(NAME, frame(deep))
    check_error(lambda: eurocity.read(tmp_path, **KEEP), "JSON_VALUE", "/children ", "nested more than 20 times")


def test_on_error__leaves_out_the_box_or_the_image(tmp_path: Path, write: Any) -> None:
    write(NAME, frame(box(), box(x1=5)))
    write(NAME.replace("00001", "00002"), frame(box()))
    rows = eurocity.read(tmp_path, on_error="skip-row", **KEEP)
    assert (len(rows.images), len(rows.boxes), [line.count for line in rows.reading]) == (2, 2, [1])
    images = eurocity.read(tmp_path, on_error="skip-image", **KEEP)
    assert images.images["file_name"].to_list() == ["day/img/train/roma/roma_00002.png"]


def test_folder__without_labels(tmp_path: Path, write: Any, check_error: Any) -> None:
    write("day/roma_00001.json", frame())
    check_error(lambda: eurocity.read(tmp_path), "EUROCITY_MISSING", str(tmp_path), "day/labels")
