"""Coordinates of another form: every reader whose files may hold such boxes refuses them, with what reads them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from detect_transfer.core.annotations import XYXY
from detect_transfer.core.errors import InputError
from detect_transfer.formats import READERS

Numbers = Sequence[float]
WIDTH, HEIGHT = 200, 100
CORNERS = [(120, 40, 180, 90), (110, 45, 170, 80), (130, 50, 190, 95)]
AT_LEFT = [(10, 40, 110, 90), (5, 45, 105, 80), (20, 50, 150, 95)]  # would leave the image, were x the centre


def as_form(corners: Numbers, form: str) -> list[float]:
    """Return four numbers of a form such as `xywh` or `cxcywh shares`."""
    form, _, units = form.partition(" ")
    x1, y1, x2, y2 = corners
    numbers = {
        "xyxy": [x1, y1, x2, y2],
        "xywh": [x1, y1, x2 - x1, y2 - y1],
        "cxcywh": [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1],
    }[form]
    sizes = (WIDTH, HEIGHT, WIDTH, HEIGHT) if units else (1, 1, 1, 1)
    return [number / size for number, size in zip(numbers, sizes, strict=True)]


def write_coco(root: Path, boxes: list[list[float]]) -> None:
    document = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT} for i in range(len(boxes))],
        "annotations": [{"id": i, "image_id": i, "category_id": 1, "bbox": box} for i, box in enumerate(boxes)],
        "categories": [{"id": 1, "name": "car"}],
    }
    (root / "instances_train.json").write_text(json.dumps(document))


def write_rows(name: str, row: str) -> Callable[[Path, list[list[float]]], None]:
    """Return what writes a text of rows; the first line of `row` is the head, in the last {} stand the numbers."""

    def _write(root: Path, boxes: list[list[float]]) -> None:
        head, _, line = row.rpartition("\n")
        rows = "".join(f"{line.format(i, *map(repr, map(float, box)))}\n" for i, box in enumerate(boxes))
        (root / name).write_text(f"{head}\n{rows}" if head else rows)

    return _write


def write_yolo(root: Path, boxes: list[list[float]]) -> None:
    (root / "data.yaml").write_text("train: .\nnames: [car]\n")
    for i, box in enumerate(boxes):
        (root / f"{i}.txt").write_text(f"0 {' '.join(map(repr, map(float, box)))}\n")


def write_voc(root: Path, boxes: list[list[float]]) -> None:
    tags = ("xmin", "ymin", "xmax", "ymax")
    for i, box in enumerate(boxes):
        corners = "".join(f"<{tag}>{float(n)!r}</{tag}>" for tag, n in zip(tags, box, strict=True))
        text = f"<annotation><object><name>car</name><bndbox>{corners}</bndbox></object></annotation>"
        (root / f"{i}.xml").write_text(text)


WRITERS: dict[str, tuple[str, Callable[[Path, list[list[float]]], None]]] = {
    "coco": ("xywh", write_coco),
    "csv": ("xyxy", write_rows("train.csv", "image,x1,y1,x2,y2,label\n{}.png,{},{},{},{},car")),
    "keras_csv": ("xyxy", write_rows("train.csv", "{}.png,{},{},{},{},car")),
    "roboflow_csv": (
        "xyxy",
        write_rows(
            "_annotations.csv", "filename,width,height,class,xmin,ymin,xmax,ymax\n{}.png,200,100,car,{},{},{},{}"
        ),
    ),
    "hf_imagefolder": (
        "xywh",
        write_rows(
            "metadata.jsonl",
            '{{"file_name": "{}.png", "objects": {{"bbox": [[{}, {}, {}, {}]], "category": ["car"]}}}}',
        ),
    ),
    "openimages": (
        "xyxy shares",
        write_rows("train-annotations-bbox.csv", "ImageID,XMin,YMin,XMax,YMax,LabelName\n{},{},{},{},{},car"),
    ),
    "yolo": ("cxcywh shares", write_yolo),
    "voc": ("xyxy", write_voc),
}


def test_every_reader_with_the_options__is_tested() -> None:
    having = {name for name, form in READERS.items() if {"box_format", "units"} <= form.options.keys()}
    assert having - {"darknet"} == set(WRITERS)  # labels of Darknet are those of YOLO


@pytest.mark.parametrize("given", ["xyxy", "xywh", "cxcywh", "xyxy shares", "xywh shares", "cxcywh shares"])
@pytest.mark.parametrize("name", WRITERS)
def test_numbers__are_read_right_or_refused_with_the_option_that_does(name: str, given: str, tmp_path: Path) -> None:
    own, write = WRITERS[name]
    given_corners = AT_LEFT if own.startswith("cxcywh") and given.startswith("xywh") else CORNERS
    for i in range(len(CORNERS)):
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / f"{i}.png")
    write(tmp_path, [as_form(corners, given) for corners in given_corners])
    form, _, units = given.partition(" ")
    options: dict[str, Any] = {"box_format": form, "units": units or "pixels"}
    boxes = READERS[name].read(tmp_path, **options).boxes
    assert boxes.select(XYXY).to_numpy() == pytest.approx(np.array(given_corners), abs=1e-9)
    if own == given:
        assert READERS[name].read(tmp_path).boxes.select(XYXY).equals(boxes.select(XYXY))
        return
    with pytest.raises(InputError) as caught:
        READERS[name].read(tmp_path)
    assert caught.value.code == "BOX_FORMAT"
    own_form, _, own_units = own.partition(" ")
    wrong = [f"units={units or 'pixels'}"] if own_units != units else []
    wrong += ["box_format="] if own_form != form else []
    assert any(option in str(caught.value) for option in wrong), caught.value


def write_createml(root: Path, boxes: list[list[float]]) -> None:
    keys = ("x", "y", "width", "height")
    document = [
        {"image": f"{i}.png", "annotations": [{"label": "car", "coordinates": dict(zip(keys, box, strict=True))}]}
        for i, box in enumerate(boxes)
    ]
    (root / "_annotations.createml.json").write_text(json.dumps(document))


def write_labelme(root: Path, boxes: list[list[float]]) -> None:
    for i, box in enumerate(boxes):
        shape = {"label": "car", "points": [box[:2], box[2:]], "shape_type": "rectangle"}
        (root / f"{i}.json").write_text(json.dumps({"shapes": [shape], "imagePath": f"{i}.png"}))


@pytest.mark.parametrize(
    ("name", "form", "write"), [("createml", "cxcywh", write_createml), ("labelme", "xyxy", write_labelme)]
)
def test_shares_of_the_image__are_read_by_an_option(
    name: str, form: str, write: Callable[[Path, list[list[float]]], None], tmp_path: Path
) -> None:
    for i in range(len(CORNERS)):
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / f"{i}.png")
    write(tmp_path, [as_form(corners, f"{form} shares") for corners in CORNERS])
    with pytest.raises(InputError, match=r"BOX_FORMAT .*--option units=shares"):
        READERS[name].read(tmp_path)
    boxes = READERS[name].read(tmp_path, units="shares").boxes
    assert boxes.select(XYXY).to_numpy() == pytest.approx(np.array(CORNERS), abs=1e-9)
