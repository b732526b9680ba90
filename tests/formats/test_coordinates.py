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


def write_cvat(root: Path, boxes: list[list[float]]) -> None:
    images = [
        f'<image id="{i}" name="{i}.png"><box label="car" xtl="{a}" ytl="{b}" xbr="{c}" ybr="{d}"/></image>'
        for i, (a, b, c, d) in enumerate(boxes)
    ]
    (root / "annotations.xml").write_text(f"<annotations><version>1.1</version>{''.join(images)}</annotations>")


def write_datumaro(root: Path, boxes: list[list[float]]) -> None:
    items = [
        {
            "id": str(i),
            "image": {"path": f"{i}.png"},
            "annotations": [{"id": 0, "type": "bbox", "label_id": 0, "bbox": box}],
        }
        for i, box in enumerate(boxes)
    ]
    (root / "annotations").mkdir()
    labels = {"label": {"labels": [{"name": "car"}]}}
    (root / "annotations" / "train.json").write_text(json.dumps({"categories": labels, "items": items}))


def write_darwin(root: Path, boxes: list[list[float]]) -> None:
    for i, box in enumerate(boxes):
        item = {"name": f"{i}.png", "path": "/", "slots": []}
        shape = {"name": "car", "bounding_box": dict(zip("xywh", box, strict=True))}
        (root / f"{i}.json").write_text(json.dumps({"version": "2.0", "item": item, "annotations": [shape]}))


def write_via(root: Path, boxes: list[list[float]]) -> None:
    keys = ("x", "y", "width", "height")
    document = {}
    for i, box in enumerate(boxes):
        region = {
            "shape_attributes": {"name": "rect", **dict(zip(keys, box, strict=True))},
            "region_attributes": {"type": "car"},
        }
        document[f"{i}.png"] = {"filename": f"{i}.png", "size": 1, "regions": [region], "file_attributes": {}}
    (root / "via.json").write_text(json.dumps(document))


def write_labelbox(root: Path, boxes: list[list[float]]) -> None:
    lines = []
    for i, box in enumerate(boxes):
        place = dict(zip(("left", "top", "width", "height"), box, strict=True))
        label = {"annotations": {"objects": [{"name": "car", "bounding_box": place}]}}
        project = {"p": {"labels": [label]}}
        lines.append(json.dumps({"data_row": {"external_id": f"{i}.png"}, "projects": project}))
    (root / "export.ndjson").write_text("\n".join(lines))


def write_sagemaker(root: Path, boxes: list[list[float]]) -> None:
    lines = []
    for i, box in enumerate(boxes):
        place = {"class_id": 0, **dict(zip(("left", "top", "width", "height"), box, strict=True))}
        size = {"width": WIDTH, "height": HEIGHT, "depth": 3}
        about = {"class-map": {"0": "car"}, "type": "groundtruth/object-detection"}
        work = {"image_size": [size], "annotations": [place]}
        lines.append(json.dumps({"source-ref": f"s3://b/{i}.png", "job": work, "job-metadata": about}))
    (root / "train.manifest").write_text("\n".join(lines))


def write_supervisely(root: Path, boxes: list[list[float]]) -> None:
    (root / "meta.json").write_text(json.dumps({"classes": [{"title": "car", "shape": "rectangle"}]}))
    for folder in ("ann", "img"):
        (root / "ds" / folder).mkdir(parents=True)
    for i, box in enumerate(boxes):
        shape = {
            "classTitle": "car",
            "geometryType": "rectangle",
            "points": {"exterior": [box[:2], box[2:]], "interior": []},
        }
        size = {"height": HEIGHT, "width": WIDTH}
        (root / "ds" / "ann" / f"{i}.png.json").write_text(json.dumps({"size": size, "tags": [], "objects": [shape]}))
        (root / f"{i}.png").rename(root / "ds" / "img" / f"{i}.png")


IN_PIXELS: dict[str, tuple[str, Callable[[Path, list[list[float]]], None]]] = {
    "createml": ("cxcywh", write_createml),
    "labelme": ("xyxy", write_labelme),
    "cvat": ("xyxy", write_cvat),
    "datumaro": ("xywh", write_datumaro),
    "darwin": ("xywh", write_darwin),
    "via": ("xywh", write_via),
    "labelbox": ("xywh", write_labelbox),
    "sagemaker": ("xywh", write_sagemaker),
    "supervisely": ("xyxy", write_supervisely),
}


def test_every_reader_with_the_option_units_alone__is_tested() -> None:
    having = {name for name, form in READERS.items() if "units" in form.options and "box_format" not in form.options}
    assert having == set(IN_PIXELS)


@pytest.mark.parametrize("n_boxes", [1, 3])
@pytest.mark.parametrize("name", IN_PIXELS)
def test_shares_of_the_image__are_read_by_an_option(name: str, n_boxes: int, tmp_path: Path) -> None:
    form, write = IN_PIXELS[name]
    for i in range(n_boxes):
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / f"{i}.png")
    write(tmp_path, [as_form(corners, f"{form} shares") for corners in CORNERS[:n_boxes]])
    with pytest.raises(InputError, match=r"BOX_FORMAT .*--option units=shares"):
        READERS[name].read(tmp_path)
    boxes = READERS[name].read(tmp_path, units="shares").boxes
    assert boxes.select(XYXY).to_numpy() == pytest.approx(np.array(CORNERS[:n_boxes]), abs=1e-9)
