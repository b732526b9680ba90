"""F31: sizes that a COCO file does not state."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({}, "(2) image rows: no width and height stated", id="absent"),
        pytest.param({"width": 0, "height": 0}, "IMAGE_SIZE", id="zero"),
        pytest.param({"width": 48, "height": 64}, "error   IMAGE_SIZE", id="another"),
    ],
)
def test_size__that_is_absent_is_filled_in_and_noted(
    command: Callable[..., Any], yolo_set: Path, tmp_path: Path, change: dict[str, int], said: str
) -> None:
    images = [{"id": number, "file_name": f"{number}.png", **change} for number in (0, 1)]
    boxes = [{"id": 1, "image_id": 0, "category_id": 1, "bbox": [5, 5, 20, 20], "area": 400, "iscrowd": 0}]
    document = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "car"}]}
    (tmp_path / "mine.json").write_text(json.dumps(document))
    options = ("--format", "coco", "--option", f"images={yolo_set / 'images' / 'train'}")
    ended = command("check", tmp_path / "mine.json", *options)
    assert said in ended.out + ended.err
