from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.tools import supervisely

OBJECT = {
    "classTitle": "car",
    "geometryType": "rectangle",
    "tags": [{"name": "pose", "value": "left"}],
    "points": {"exterior": [[9, 8], [1, 2]], "interior": []},
    "custom": 3,
}


def annotation(*objects: Any, **further: Any) -> str:
    return json.dumps(
        {"description": "", "tags": [], "size": {"height": 30, "width": 40}, "objects": objects} | further
    )


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("meta.json", json.dumps({"classes": [{"title": "car"}, {"title": "bus"}], "tags": []}))
    write("ds/img/a.png", (40, 30))
    write("ds/ann/a.png.json", annotation(OBJECT))
    return tmp_path


@pytest.mark.parametrize(("inclusive_max", "xyxy"), [(True, (1, 2, 10, 9)), (False, (1, 2, 9, 8))])
def test_convention__is_a_choice(inclusive_max: bool, xyxy: tuple[float, ...], root: Path) -> None:
    table = supervisely.read(root, inclusive_max=inclusive_max)
    assert table.boxes.select("x1", "y1", "x2", "y2").rows() == [xyxy]
    assert table.class_names == ["car", "bus"]
    assert json.loads(table.boxes["attributes"][0]) == {"custom": 3, "tags": [["pose", "left"]]}


def test_graph__is_the_box_around_its_nodes(root: Path, write: Any) -> None:
    nodes = {"x": {"loc": [5, 6]}, "y": {"loc": [2, 9]}}
    write("ds/ann/a.png.json", annotation({"classTitle": "car", "geometryType": "graph", "nodes": nodes}))
    assert supervisely.read(root).boxes.select("x1", "y1", "x2", "y2").rows() == [(2, 6, 6, 10)]
    table = supervisely.read(root, other_shapes="skip")
    assert len(table.boxes) == 0
    assert [(line.kind, line.count) for line in table.reading] == [("box", 1)]


def test_cuboid__is_the_box_around_its_corners(root: Path, write: Any) -> None:
    corners = [[10, 10], [19, 10], [19, 20], [10, 20], [14, 5], [24, 5], [24, 15]]
    shape = {"classTitle": "car", "geometryType": "cuboid", "points": corners, "faces": [[0, 1, 2, 3]]}
    write("ds/ann/a.png.json", annotation(shape))
    assert supervisely.read(root).boxes.select("x1", "y1", "x2", "y2").rows() == [(10, 5, 25, 21)]


FAULTS = [
    pytest.param({**OBJECT, "classTitle": "cra"}, "CLASS_UNKNOWN", "did you mean 'car'?", id="class"),
    pytest.param({**OBJECT, "geometryType": "blob"}, "SHAPE_KIND", "geometryType=blob", id="kind"),
    pytest.param({**OBJECT, "points": {"exterior": [[1, 2]]}}, "SHAPE_POINTS", "two corners", id="one-corner"),
    pytest.param({**OBJECT, "points": {"exterior": [[1, None], [2, 3]]}}, "JSON_NUMBER", "/exterior", id="number"),
    pytest.param({**OBJECT, "geometryType": "graph", "nodes": {}}, "SHAPE_EMPTY", "/nodes", id="no-nodes"),
    pytest.param(
        {**OBJECT, "geometryType": "bitmap", "bitmap": {"data": "eJw=", "origin": [0, 0]}}, "MASK_BROKEN", "", id="cut"
    ),
    pytest.param(
        {**OBJECT, "geometryType": "bitmap", "bitmap": {"data": "AAAA", "origin": [0, 0]}}, "MASK_BROKEN", "", id="zip"
    ),
    pytest.param({**OBJECT, "geometryType": "bitmap"}, "JSON_KEY", "/bitmap", id="no-bitmap"),
]


@pytest.mark.parametrize(("one", "code", "part"), FAULTS)
def test_object__fault_names_the_pointer(
    one: Any, code: str, part: str, root: Path, write: Any, check_error: Any
) -> None:
    path = write("ds/ann/a.png.json", annotation(OBJECT, one))
    check_error(lambda: supervisely.read(root), code, f"{path}#/objects/1", part)
    assert len(supervisely.read(root, on_error="skip-row").boxes) == 1


def test_files__missing_or_at_odds(root: Path, write: Any, check_error: Any) -> None:
    path = write("ds/img/b.png", (40, 30))
    check_error(lambda: supervisely.read(root), "ANNOTATION_MISSING", str(path))
    path.unlink()
    path = write("ds/ann/c.png.json", annotation())
    check_error(lambda: supervisely.read(root), "IMAGE_MISSING", str(path), "ds/img/c.png")
    assert len(supervisely.read(root, missing_images="skip").images) == 1
    path = write("ds/ann/c.png.json", annotation(size={"height": 30}))
    check_error(lambda: supervisely.read(root), "JSON_KEY", f"{path}#/size/width")
    write("meta.json", '{"classes": [{"title": "car"}, {"title": "car"}]}')
    check_error(lambda: supervisely.read(root), "ID_DUPLICATE", "meta.json#/classes", "title=car")
    (root / "meta.json").unlink()
    check_error(lambda: supervisely.read(root), "FILE_MISSING", "meta.json")


def test_images__all_unreadable_annotations_are_reported_at_once(root: Path, write: Any, error_of: Any) -> None:
    for name in ("b", "c"):
        write(f"ds/img/{name}.png", (40, 30))
        write(f"ds/ann/{name}.png.json", "{")
    assert len(str(error_of(lambda: supervisely.read(root))).splitlines()) == 2
    table = supervisely.read(root, on_error="skip-image")
    assert table.images["file_name"].to_list() == ["ds/img/a.png"]
    assert [(line.kind, line.count) for line in table.reading] == [("image", 2)]
