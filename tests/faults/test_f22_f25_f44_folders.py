"""F22, F25, F44: odd names of files, very many boxes, and files of other tools in a folder of YOLO."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

NAMES = [
    "a b",
    "\u00e9",
    "e\u0301",
    "日本",
    "a\nb",
    "a\tb",
    "-a",
    "100%",
    "a'b",
    'a"b',
    "[x]",
    "a*?",
    "$(a)",
    "<b>",
    "#a",
]
NAMES += ["a..b", " a", "a ", "CON", "\u202eabc", "😀", "a,b", "~", "a:b", "x" * 240]


def test_names__of_any_kind_are_read_and_converted(yolo_set: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    image, label = yolo_set / "images/train/0.png", yolo_set / "labels/train/0.txt"
    for number, name in enumerate(NAMES):
        pixels = np.random.default_rng(100 + number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        cv2.imwrite(str(image.parent / "new.png"), cv2.resize(pixels, (64, 48)))
        (image.parent / "new.png").rename(image.parent / f"{name}.png")
        (label.parent / f"{name}.txt").write_bytes(label.read_bytes())
    image.unlink()
    label.unlink()
    assert command("check", yolo_set).code == 0
    ended = command("convert", "yolo", yolo_set, "--out", tmp_path / "out", "--to", "yolo")
    assert ended.code == 0, ended
    assert len(list((tmp_path / "out" / "images" / "train").rglob("*.png"))) == len(NAMES) + 1
    assert command("check", tmp_path / "out").code == 0


def test_many_boxes__in_one_image_are_read(yolo_set: Path, command: Callable[..., Any]) -> None:
    rows = (f"0 {0.2 + 0.6 * (i % 1000) / 1000} {0.2 + 0.6 * (i // 1000) / 200} 0.1 0.1\n" for i in range(200_000))
    (yolo_set / "labels/train/0.txt").write_text("".join(rows))
    ended = command("check", yolo_set)
    assert (ended.code, "200,006 boxes" in ended.out) == (0, True), ended


class _Payload:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_files_of_other_tools__are_not_opened(yolo_set: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    for name in ("labels/train.cache", "images/train/0.npy"):
        (yolo_set / name).write_bytes(pickle.dumps(_Payload(tmp_path / "ran")))
    ended = command("check", yolo_set)
    assert (ended.code, "4 images, 8 boxes" in ended.out) == (0, True), ended
    assert not (tmp_path / "ran").exists()
