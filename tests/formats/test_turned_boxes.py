"""Turned boxes: exports that state the box as it was before, and an angle, give the box around the turned one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.core.annotations import XYXY
from detect_transfer.formats import READERS

COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 200, "height": 100}],
    "annotations": [
        {
            **{"id": 1, "image_id": 1, "category_id": 1, "bbox": [60, 40, 80, 20], "segmentation": []},
            "attributes": {"occluded": False, "rotation": 90.0},
        }
    ],
    "categories": [{"id": 1, "name": "car"}],
}
VOC = """<annotation><source><database>Unknown</database></source><object><name>car</name>
<bndbox><xmin>60</xmin><ymin>40</ymin><xmax>140</xmax><ymax>60</ymax></bndbox>
<attributes><attribute><name>rotation</name><value>90.0</value></attribute></attributes></object></annotation>"""
CVAT = """<annotations><version>1.1</version><image id="0" name="a.png" width="200" height="100">
<box label="car" occluded="0" xtl="60" ytl="40" xbr="140" ybr="60" rotation="90.0"/></image></annotations>"""
FILES = {"coco": ("instances_default.json", json.dumps(COCO)), "voc": ("a.xml", VOC), "cvat": ("annotations.xml", CVAT)}


@pytest.mark.parametrize("name", FILES)
def test_turned_box__is_the_box_around_it(name: str, write: Any, tmp_path: Path) -> None:
    write("a.png", (200, 100))
    write(*FILES[name])
    (box,) = READERS[name].read(tmp_path).boxes.to_dicts()
    assert [box[corner] for corner in XYXY] == pytest.approx([90, 10, 110, 90])
    assert json.loads(box["attributes"])["drawn"]["rotation"] == 90
