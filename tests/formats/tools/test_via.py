from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.core.annotations import XYXY
from detect_transfer.formats.tools import via

HEADER = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
RECT = {"name": "rect", "x": 1, "y": 2, "width": 8, "height": 6}


def quoted(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return '"' + text.replace('"', '""') + '"'


def csv_of(*rows: tuple[Any, Any]) -> str:
    lines = [f"a.png,9,{quoted({})},1,0,{quoted(shape)},{quoted(region)}" for shape, region in rows]
    return "\n".join([HEADER, *lines])


def json_of(*regions: tuple[Any, Any]) -> str:
    stated = [{"shape_attributes": shape, "region_attributes": region} for shape, region in regions]
    return json.dumps({"a.png9": {"filename": "a.png", "size": 9, "file_attributes": {}, "regions": stated}})


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("a.png", (40, 30))
    return tmp_path


def test_region__keeps_what_was_said_of_it(sample: Any) -> None:
    table = via.read(sample("via_csv"), class_key="kind")
    first, second = (json.loads(text) for text in table.boxes["attributes"].drop_nulls()[:2])
    assert first == {"pose": "walking"}
    assert second == {"drawn": {"shape": "polygon", "all_points_x": [20, 28, 24], "all_points_y": [4, 6, 18.5]}}
    assert table.boxes["source"][0] == "via_region_data.csv:2"
    assert table.images["file_attributes"].to_list() == ['{"weather":"rain"}', None, None]
    table = via.read(sample("via_json"))
    assert table.boxes["source"][0] == "train/via_region_data.json#/a.jpg652/regions/0"


def test_class_key__is_asked_for_where_there_are_several(root: Path, write: Any, check_error: Any) -> None:
    write("v.csv", csv_of((RECT, {"kind": "car", "colour": "red"})))
    check_error(lambda: via.read(root), "VIA_CLASS", "2 attributes", "colour, kind")
    assert via.read(root, class_key="colour").class_names == ["red"]
    check_error(lambda: via.read(root, class_key="size"), "OBJECT_NAME", "v.csv:2/size", "no class")
    write("v.csv", csv_of((RECT, {})))
    check_error(lambda: via.read(root), "VIA_CLASS", "give the regions a class")
    write("v.csv", csv_of(({}, {})))
    assert len(via.read(root).images) == 1


def test_other_shapes__are_left_out_when_asked(sample: Any) -> None:
    table = via.read(sample("via_csv"), class_key="kind", other_shapes="skip")
    assert len(table.boxes) == 2
    assert [(line.kind, line.count) for line in table.reading if line.action == "dropped"] == [("box", 4)]


REGIONS = [
    pytest.param({**RECT, "x": "1"}, {"kind": "car"}, "JSON_NUMBER", "/x", id="string"),
    pytest.param({**RECT, "x": None}, {"kind": "car"}, "JSON_KEY", "/x", id="null"),
    pytest.param({**RECT, "width": -1}, {"kind": "car"}, "BOX_INVALID", "the right one", id="negative"),
    pytest.param({**RECT, "name": "blob"}, {"kind": "car"}, "JSON_VALUE", "/name", id="kind"),
    pytest.param(
        {"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1]},
        {"kind": "car"},
        "SHAPE_POINTS",
        "",
        id="lists",
    ),
    pytest.param(
        {"name": "polygon", "all_points_x": [], "all_points_y": []}, {"kind": "car"}, "SHAPE_POINTS", "", id="no-points"
    ),
    pytest.param(
        {"name": "polygon", "all_points_x": [1, "2"], "all_points_y": [1, 2]},
        {"kind": "car"},
        "JSON_NUMBER",
        "",
        id="point-string",
    ),
    pytest.param(RECT, {"kind": ""}, "OBJECT_NAME", "/kind", id="no-class"),
    pytest.param(RECT, {"kind": {"car": False}}, "OBJECT_NAME", "/kind", id="none-ticked"),
    pytest.param(RECT, {"kind": 7}, "OBJECT_NAME", "kind=7", id="number"),
]


@pytest.mark.parametrize(("shape", "region", "code", "part"), REGIONS)
@pytest.mark.parametrize(
    ("make", "name", "place"), [(csv_of, "v.csv", ":3"), (json_of, "v.json", "#/a.png9/regions/1")]
)
def test_region__fault_names_its_place(
    make: Any,
    name: str,
    place: str,
    shape: Any,
    region: Any,
    code: str,
    part: str,
    root: Path,
    write: Any,
    check_error: Any,
) -> None:
    path = write(name, make((RECT, {"kind": "car"}), (shape, region)))
    check_error(lambda: via.read(root), code, f"{path}{place}", part)
    table = via.read(root, on_error="skip-row")
    assert len(table.boxes) == 1
    assert [(line.kind, line.count) for line in table.reading] == [("box", 1)]


def test_csv__two_paths_that_mean_one_image_are_refused(root: Path, write: Any, check_error: Any) -> None:
    text = csv_of((RECT, {"kind": "car"}), (RECT, {"kind": "car"}))
    write("v.csv", text.replace("a.png", "x/a.png").replace("x/a.png", "y/a.png", 1))
    check_error(lambda: via.read(root), "ID_DUPLICATE", "v.csv:3", "is the image of 'y/a.png' too")


@pytest.mark.parametrize("cell", ["{", "[]", "{},{}", "7"])
def test_csv__cell_that_is_no_object(cell: str, root: Path, write: Any, check_error: Any) -> None:
    path = write("sub/v.csv", csv_of((RECT, {"kind": "car"}), (cell, {"kind": "car"})))
    check_error(lambda: via.read(root), "JSON_SYNTAX", f"{path}:3 ", "region_shape_attributes")
    assert len(via.read(root, on_error="skip-row").boxes) == 1
    write("b.png", (40, 30))
    other = csv_of((RECT, {"kind": "car"})).splitlines()[1].replace("a.png", "b.png")
    write("sub/v.csv", csv_of((RECT, {"kind": "car"}), (cell, {"kind": "car"})) + "\n" + other)
    table = via.read(root, on_error="skip-image")
    assert table.images["file_name"].to_list() == ["b.png"]
    assert [(line.kind, line.count) for line in table.reading if line.action == "dropped"] == [("image", 1), ("box", 2)]


def test_files__of_other_kinds(root: Path, write: Any, check_error: Any) -> None:
    write("v.json", '{"images": [], "annotations": []}')
    check_error(lambda: via.read(root), "JSON_TYPE", "v.json#/images")
    write("v.json", "{")
    check_error(lambda: via.read(root), "JSON_SYNTAX", "v.json:1")
    (root / "v.json").unlink()
    write("v.csv", "a,b\n1,2\n")
    check_error(lambda: via.read(root), "CSV_HEADER", "filename")


def test_image__missing_or_twice(root: Path, write: Any, check_error: Any) -> None:
    write("v.csv", csv_of((RECT, {"kind": "car"})))
    write("w.json", json_of((RECT, {"kind": "car"})))
    check_error(lambda: via.read(root), "ID_DUPLICATE", "w.json#/a.png9", "v.csv:2")
    (root / "a.png").unlink()
    check_error(lambda: via.read(root / "v.csv"), "IMAGE_MISSING", "v.csv:2", "image=a.png")
    table = via.read(root / "v.csv", missing_images="keep")
    assert table.images["width"].to_list() == [None]


def test_class_name__is_that_of_regions_without_attributes(root: Path, write: Any, check_error: Any) -> None:
    write("v.csv", csv_of((RECT, {}), (RECT, {"colour": "red"})))
    table = via.read(root, class_name="object")
    assert (table.class_names, len(table.boxes)) == (["object"], 2)
    assert table.boxes["attributes"].to_list() == [None, '{"colour":"red"}']
    write("v.csv", csv_of((RECT, {})))
    check_error(lambda: via.read(root), "VIA_CLASS", "class_name")


PROJECT = {
    "project": {"data_format_version": "3.1.1"},
    "attribute": {"1": {"aname": "class", "type": 4, "options": {"0": "stop"}}},
    "file": {"1": {"fname": "a.png", "type": 2}},
    "metadata": {"r": {"vid": "1", "xy": [2, 1, 2, 3, 4], "av": {"1": "0"}}},
    "view": {"1": {"fid_list": ["1"]}},
}


@pytest.mark.parametrize(
    ("xy", "expected", "kind"),
    [
        ([2, 1, 2, 3, 4], (1, 2, 4, 6), None),
        ([3, 10, 10, 5], (5, 5, 15, 15), "circle"),
        ([7, 1, 2, 9, 2, 5, 8], (1, 2, 9, 8), "polygon"),
        ([8, 5, 1, 2, 6, 5, 9, 12, 4], (2, 1, 12, 9), None),  # top, left, bottom, right
        ([9, 15, 10, 13, 14, 13, 6], (5, 5, 15, 15), "circle"),  # three points on the right half
    ],
)
def test_project__shapes_have_their_extents(
    xy: list[float], expected: tuple[float, ...], kind: str | None, tmp_path: Path, write: Any
) -> None:
    write("a.png", (40, 30))
    write("v.json", json.dumps({**PROJECT, "metadata": {"r": {**PROJECT["metadata"]["r"], "xy": xy}}}))
    boxes = via.read(tmp_path).boxes
    assert boxes.select(XYXY).row(0) == pytest.approx(expected)
    drawn = json.loads(boxes["attributes"][0] or "{}").get("drawn", {})
    assert drawn.get("shape") == kind


@pytest.mark.parametrize(
    ("change", "code", "place"),
    [
        pytest.param(
            {"metadata": {"r": {"vid": "1", "xy": [9, 1, 1, 2, 2, 3, 3]}}}, "SHAPE_KIND", "/metadata/r/xy", id="line"
        ),
        pytest.param(
            {"metadata": {"r": {"vid": "9", "xy": [2, 1, 2, 3, 4]}}}, "JSON_VALUE", "/metadata/r/vid", id="view"
        ),
        pytest.param({"view": {"1": {"fid_list": ["7"]}}}, "JSON_VALUE", "/metadata/r/vid", id="file"),
        pytest.param({"file": {"1": {"fname": "a.mp4", "type": 4}}}, "VIA_VIDEO", "/file/1/type", id="video"),
        pytest.param({"metadata": {"r": {"vid": "1", "xy": [2, 1, 2, 3]}}}, "SHAPE_KIND", "/metadata/r/xy", id="three"),
        pytest.param({"attribute": {}}, "JSON_VALUE", "/metadata/r/av", id="attribute"),
    ],
)
def test_project__fault_has_its_pointer(
    change: dict[str, Any], code: str, place: str, tmp_path: Path, write: Any, check_error: Any
) -> None:
    write("a.png", (40, 30))
    write("v.json", json.dumps({**PROJECT, **change}))
    check_error(lambda: via.read(tmp_path), code, f"v.json#{place}")
