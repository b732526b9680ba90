"""Lists that own no folder: an image that only another list names is no image without objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats import READERS

LISTS: dict[str, tuple[str, dict[str, str]]] = {
    "roboflow_csv": (
        "{}_labels.csv",
        {"head": "filename,width,height,class,xmin,ymin,xmax,ymax\n", "row": "{}.png,40,30,car,1,2,11,12\n"},
    ),
    "keras_csv": ("{}.csv", {"head": "", "row": "{}.png,1,2,11,12,car\n"}),
    "csv": ("{}.csv", {"head": "image,x1,y1,x2,y2,label\n", "row": "{}.png,1,2,11,12,car\n"}),
}


@pytest.mark.parametrize("name", LISTS)
def test_list_beside_another__leaves_the_images_of_that_alone(name: str, write: Any, tmp_path: Path) -> None:
    file_name, text = LISTS[name]
    for split, image in (("train", "a"), ("test", "b")):
        write(f"{image}.png", (40, 30))
        write(file_name.format(split), text["head"] + text["row"].format(image))
    table = READERS[name].read(tmp_path / file_name.format("train"))
    assert table.images["file_name"].to_list() == ["a.png"]
    whole = READERS[name].read(tmp_path)
    assert dict(whole.images.select("file_name", "split").rows()) == {"a.png": "train", "b.png": "test"}
    assert len(whole.boxes) == 2


def test_annotations_of_roboflow__own_their_folder_alone(write: Any, tmp_path: Path) -> None:
    file_name, text = "_annotations.csv", LISTS["roboflow_csv"][1]
    write("train/a.png", (40, 30))
    write("train/b.png", (40, 30))
    write(f"train/{file_name}", text["head"] + text["row"].format("a"))
    assert len(READERS["roboflow_csv"].read(tmp_path).images) == 2
    write("train/test.csv", text["head"] + text["row"].format("b"))
    assert READERS["roboflow_csv"].read(tmp_path).images["file_name"].to_list() == ["train/a.png"]
