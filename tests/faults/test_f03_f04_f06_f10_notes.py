"""F03, F04, F06, F10: what is odd about an image that is read all the same is counted."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from detect_transfer.core.image_notes import NOTES, image_notes


def _trail(path: Path, image: Image.Image) -> Path:
    image.save(path.with_suffix(".jpg"))
    path.unlink()
    path.with_suffix(".jpg").write_bytes(path.with_suffix(".jpg").read_bytes() + b"\0\0\0\0")
    return path.with_suffix(".jpg")


def _rename(path: Path, image: Image.Image) -> Path:
    return path.rename(path.with_suffix(".jpg"))


def _turn(path: Path, image: Image.Image) -> Path:
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(path.with_suffix(".jpg"), exif=exif)
    path.unlink()
    return path.with_suffix(".jpg")


def _add_frames(path: Path, image: Image.Image) -> Path:
    image.save(path.with_suffix(".gif"), save_all=True, append_images=[image.rotate(90), image.rotate(180)])
    path.unlink()
    return path.with_suffix(".gif")


def _deepen(path: Path, image: Image.Image) -> Path:
    Image.fromarray(
        np.linspace(7000, 7400, image.width * image.height).reshape(image.size[::-1]).astype("uint16")
    ).save(path)
    return path


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param(_trail, "IMAGE_TRAILING", id="trailing-bytes"),
        pytest.param(_rename, "IMAGE_SUFFIX", id="png-named-jpg"),
        pytest.param(_turn, "IMAGE_TURNED", id="turned-by-exif"),
        pytest.param(_add_frames, "IMAGE_FRAMES", id="several-frames"),
        pytest.param(_deepen, "IMAGE_DEEP", id="sixteen-bits"),
    ],
)
def test_odd_image__is_counted_by_check_and_ledger_and_left_as_it_is(
    command: Callable[..., Any],
    yolo_set: Path,
    tmp_path: Path,
    change: Callable[[Path, Image.Image], Path],
    code: str,
) -> None:
    path = yolo_set / "images" / "train" / "0.png"
    with Image.open(path) as image:
        image.load()
    odd = change(path, image)
    digest = hashlib.sha256(odd.read_bytes()).hexdigest()
    checked = command("check", yolo_set)
    assert checked.code == 0
    assert f"note    {code} (1) {NOTES[code]}" in checked.out
    assert command("convert", "yolo", yolo_set, "--out", tmp_path / "out").code == 0
    steps = json.loads((tmp_path / "out" / "ledger.json").read_text())["steps"]
    lines = [line for step in steps if step["step"] == "image files" for line in step["lines"]]
    assert [(line["reason"], line["count"]) for line in lines] == [(f"{code}: {NOTES[code]}", 1)]
    assert hashlib.sha256(odd.read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("suffix", [".bmp", ".gif", ".jpg", ".png", ".tiff", ".webp"])
def test_plain_image__has_no_note(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"plain{suffix}"
    Image.new("RGB", (20, 10), "red").save(path)
    data = path.read_bytes()
    assert image_notes(path.name, data) == ()
    if suffix != ".tiff":  # which says nowhere where it ends
        assert image_notes(path.name, data + b"\0\0") == ("IMAGE_TRAILING",)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tiff"])
def test_frames__are_counted_in_every_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"frames{suffix}"
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert image_notes(path.name, path.read_bytes()) == ("IMAGE_FRAMES",)
