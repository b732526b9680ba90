"""Datumaro, CreateML, V7 Darwin and Cityscapes: faults with their places, variants of the files, folders of images."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from paths import DATASETS

from detect_transfer.formats import get_format
from detect_transfer.formats.pedestrians import cityscapes
from detect_transfer.formats.tools import createml, darwin, datumaro

BBOX = {"id": 0, "type": "bbox", "label_id": 0, "bbox": [1, 2, 3, 4]}


def datumaro_file(*annotations: dict[str, Any]) -> str:
    item = {"id": "a", "annotations": list(annotations), "image": {"path": "a.png", "size": [30, 40]}}
    return json.dumps({"categories": {"label": {"labels": [{"name": "car"}]}}, "items": [item]})


@pytest.mark.parametrize(
    ("annotation", "code", "place"),
    [
        pytest.param({**BBOX, "label_id": 1}, "CLASS_INDEX", "/label_id", id="class"),
        pytest.param({**BBOX, "bbox": [1, 2, 3]}, "JSON_NUMBER", "/bbox", id="three-numbers"),
        pytest.param({**BBOX, "bbox": [1, 2, -3, 4]}, "BOX_INVALID", "", id="inverted"),
        pytest.param({**BBOX, "type": "spiral"}, "SHAPE_KIND", "/type", id="kind"),
        pytest.param({**BBOX, "type": "polygon", "points": [1, 2, 3]}, "SHAPE_POINTS", "/points", id="odd-points"),
    ],
)
def test_datumaro__fault_has_its_pointer(
    annotation: dict[str, Any], code: str, place: str, tmp_path: Path, write: Any, check_error: Any
) -> None:
    write("images/default/a.png", (40, 30))
    write("annotations/default.json", datumaro_file(BBOX, annotation))
    pointer = f"annotations/default.json#/items/0/annotations/1{place}"
    check_error(lambda: datumaro.read(tmp_path), code, pointer)
    assert len(datumaro.read(tmp_path, on_error="skip-row").boxes) == 1


def test_datumaro__captions_are_left_out_and_counted(tmp_path: Path, write: Any) -> None:
    write("a.png", (40, 30))
    write("default.json", datumaro_file(BBOX, {"type": "caption", "caption": "x"}))
    table = datumaro.read(tmp_path)
    assert table.images["split"].to_list() == [None]
    assert [(line.action, line.count) for line in table.reading] == [("dropped", 1)]


def test_datumaro__a_cuboid_of_the_image_has_an_extent(tmp_path: Path, write: Any) -> None:
    write("a.png", (40, 30))
    points = [[1, 2], [5, 2], [5, 6], [1, 6], [3, 4], [9, 4], [9, 8], [3, 8]]
    write("default.json", datumaro_file({"type": "cuboid_2d", "label_id": 0, "points": points}))
    assert datumaro.read(tmp_path).boxes.select("x1", "y1", "x2", "y2").rows() == [(1, 2, 9, 8)]


def test_createml__anchor_and_unnamed_images(tmp_path: Path, write: Any, check_error: Any) -> None:
    box = {"label": "car", "coordinates": {"x": 10, "y": 10, "width": 4, "height": 6}}
    write("x.json", json.dumps([{"image": "C:\\data\\a.png", "annotations": [box]}]))
    write("pics/a.png", (40, 30))
    table = createml.read(tmp_path)
    assert table.boxes.select("x1", "y1", "x2", "y2").rows() == [(8, 7, 12, 13)]
    assert [(line.action, line.count) for line in table.reading] == [("noted", 1)]
    assert createml.read(tmp_path, anchor="top-left").boxes["x1"].to_list() == [10]
    write("pics/b.png", (40, 30))
    check_error(lambda: createml.read(tmp_path), "ANNOTATION_MISSING", "b.png", "allow_missing=true")
    assert len(createml.read(tmp_path, allow_missing=True).images) == 2


def test_darwin__videos_are_refused(tmp_path: Path, write: Any, check_error: Any) -> None:
    slot = {"type": "video", "slot_name": "0", "width": 40, "height": 30}
    write("a.json", json.dumps({"item": {"name": "a.mp4", "path": "/", "slots": [slot]}, "annotations": []}))
    check_error(lambda: darwin.read(tmp_path), "DARWIN_VIDEO", "a.json#/item/slots", "export its frames")


def test_darwin__shapes_without_outline_are_left_out_or_refused(tmp_path: Path, write: Any, check_error: Any) -> None:
    document: dict[str, Any] = {
        "item": {"name": "a.png", "path": "/"},
        "annotations": [{"name": "x", "mask": {"a": 1}}],
    }
    write("a.png", (40, 30))
    write("a.json", json.dumps(document))
    assert [(line.action, line.count) for line in darwin.read(tmp_path).reading] == [("dropped", 1)]
    document["annotations"] = [{"name": "x"}]
    write("a.json", json.dumps(document))
    check_error(lambda: darwin.read(tmp_path), "JSON_KEY", "a.json#/annotations/0/bounding_box")


def test_darwin__cuboid_is_the_box_around_its_faces(tmp_path: Path, write: Any) -> None:
    faces = {"front": {"x": 10, "y": 12, "w": 8, "h": 9}, "back": {"x": 14, "y": 5, "w": 8, "h": 9}}
    write("a.png", (40, 30))
    write(
        "a.json", json.dumps({"item": {"name": "a.png", "path": "/"}, "annotations": [{"name": "x", "cuboid": faces}]})
    )
    table = darwin.read(tmp_path)
    assert table.boxes.select("x1", "y1", "x2", "y2").rows() == [(10, 5, 22, 21)]
    assert "cuboid" in table.boxes["attributes"][0]


def test_cityscapes__surfaces_are_read_when_asked_and_fine_is_not_mixed_with_coarse(
    sample: Callable[[str], Path], check_error: Any
) -> None:
    root = sample("cityscapes")
    table = cityscapes.read(root, surfaces="keep")
    assert table.class_names == ["person", "car", "traffic sign", "road", "sky"]
    assert len(table.boxes) == 5
    fine = root / "gtFine/val/munster/munster_000000_000019_gtFine_polygons.json"
    coarse = root / "gtCoarse/val/munster/munster_000000_000019_gtCoarse_polygons.json"
    coarse.parent.mkdir(parents=True)
    shutil.copy(fine, coarse)
    check_error(lambda: cityscapes.read(root), "FORM_SEVERAL", "fine and coarse", "images=")


@pytest.mark.parametrize(
    ("folder", "format"),
    [
        ("bdd100k", "bdd100k"),
        ("cityscapes", "cityscapes"),
        ("createml", "createml"),
        ("cvat_images", "cvat"),
        ("darwin", "darwin"),
        ("datumaro", "datumaro"),
        ("label_studio", "label_studio"),
        ("openimages", "openimages"),
        ("sagemaker", "sagemaker"),
        ("via_project", "via"),
    ],
)
def test_images__may_lie_apart_from_the_annotations(folder: str, format: str, tmp_path: Path) -> None:
    together = DATASETS / folder / "sample"
    for path in together.rglob("*"):
        if path.is_file():
            is_image = path.suffix.lower() in (".png", ".jpg", ".jpeg", ".bmp")
            target = tmp_path / ("pics" if is_image else "annotations") / path.relative_to(together)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    options = {"class_key": "class"} if folder == "via_project" else {}
    read = get_format(format).read
    apart = read(tmp_path / "annotations", images=tmp_path / "pics", **options)
    whole = read(together, **options)
    assert apart.image_root == tmp_path / "pics"
    assert apart.images.equals(whole.images)
    assert apart.boxes.select("x1", "y1", "x2", "y2").equals(whole.boxes.select("x1", "y1", "x2", "y2"))
