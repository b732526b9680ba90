"""Explaining the files that ultralytics writes today."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from detect_transfer.data.load import read_ground_truth
from detect_transfer.workflows.explain import explain_files

N_IMAGES = 6


@pytest.mark.parametrize(
    "ids",
    [pytest.param((1, 2, 3), id="from-1"), pytest.param((3, 20, 90), id="sparse"), pytest.param((0, 1, 2), id="0")],
)
def test_explain__predictions_of_ultralytics(tmp_path: Path, ids: tuple[int, ...]) -> None:
    """The validator counts classes from 1, makes numbers of file names, and finds everything here."""
    images, boxes, found = [], [], []
    for i in range(N_IMAGES):
        images.append({"id": 50 - i, "file_name": f"val/{i:06}.jpg", "width": 200, "height": 200})
        for k, category_id in enumerate(ids):
            bbox = [10 + 50 * k, 20 + 3 * i, 30, 40]
            box = {"id": len(boxes) + 1, "image_id": 50 - i, "category_id": category_id, "bbox": bbox, "iscrowd": 0}
            boxes.append({**box, "area": 1200})
            name = {"image_id": i, "file_name": f"{i:06}.jpg"}
            found.append({**name, "category_id": k + 1, "bbox": bbox, "score": 0.9 - 0.01 * len(found)})
    classes = [{"id": category_id, "name": f"class {category_id}"} for category_id in ids]
    truth, detections = tmp_path / "truth.json", tmp_path / "predictions.json"
    truth.write_text(json.dumps({"images": images, "annotations": boxes, "categories": classes}))
    detections.write_text(json.dumps(found))
    explanation = explain_files(read_ground_truth(truth), detections)
    assert explanation.coco["AP"] == pytest.approx(1.0)
    assert explanation.ultralytics["AP"] == pytest.approx(0.995)
