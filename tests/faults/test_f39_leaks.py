"""F39: one image in two splits, under another name."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_image_in_two_splits__is_refused_by_check_convert_and_train(
    command: Callable[..., Any], yolo_set: Path, tmp_path: Path
) -> None:
    shutil.copy(yolo_set / "images" / "train" / "0.png", yolo_set / "images" / "val" / "2.png")
    pair = "train/images/train/0.png = val/images/val/2.png"
    checked = command("check", yolo_set)
    assert checked.code == 2
    assert pair in checked.out
    for words in (("convert", "yolo", yolo_set, "--out", tmp_path / "out"), ("train", f"data.path={yolo_set}")):
        further = (f"out={tmp_path / 'run'}", "model.weights=embedded") if words[0] == "train" else ()
        ended = command(*words, *further)
        assert ended.code == 2
        assert "SPLIT_LEAK" in ended.err
        assert pair in ended.err
