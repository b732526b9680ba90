"""F02: a JPEG whose scan is cut or damaged is an error that names it, wherever images are decoded."""

import base64
import io
import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from detect_transfer.core.errors import InputError
from detect_transfer.core.images import read_rgb

EOI = b"\xff\xd9"
ARITHMETIC = (  # 24 x 16 pixels of noise, by cjpeg -arithmetic
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0oOjM9PDkzODdASFxOQERXRTc4UG1RV19iZ2hnPk1xeXBk"
    "eFxlZ2P/2wBDARESEhgVGC8aGi9jQjhCY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2P/yQARCAAQABgD"
    "ASIAAhEBAxEB/8wACgAQEAUBEBEF/9oADAMBAAIRAxEAPwDAFIfCqfUWGfowzdYklJpwJAzKMFgHAXMrvyqxYkvhgRn284R3BFfU+vFyGwOR7+Un"
    "rReHIGubWWeeju8q/eU/bD2/UcQwaXz91RMHnys753l4018wXIWDsc3BI1hdJpPnIYyFtwuX4lhzwoWcTDaRcP0+/9k="
)


def scan_of(data: bytes) -> int:
    """Return where the first scan begins."""
    start = data.index(b"\xff\xda")
    return start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")


def cut(data: bytes, share: float) -> bytes:
    """Return a JPEG without the last part of its scan, but with the marker of its end."""
    start = scan_of(data)
    return data[: start + int((len(data) - start) * share)] + EOI


def jpeg(**options) -> bytes:
    stream = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((97, 81))
    image.convert(options.pop("mode", "RGB")).save(stream, "JPEG", **options)
    return stream.getvalue()


@pytest.mark.parametrize("share", [0.01, 1 / 3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"mode": "L"}, {"mode": "CMYK"}])
def test_cut_scan_with_an_end_marker__is_truncated(tmp_path: Path, share: float, options: dict) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(cut(jpeg(**options), share))
    with pytest.raises(InputError, match="IMAGE_TRUNCATED "):
        read_rgb(path)


def test_flipped_bits_that_the_decoder_notices__are_an_error(tmp_path: Path, scene_jpeg: bytes) -> None:
    rng = np.random.default_rng(2)
    start, path, refused = scan_of(scene_jpeg), tmp_path / "a.jpg", 0
    for position in rng.integers(start, len(scene_jpeg) - 2, 100):
        data = bytearray(scene_jpeg)
        data[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        with suppress(InputError):
            read_rgb(path)
            refused -= 1
        refused += 1
    assert refused >= 10  # Pillow notices 2: most flips leave a scan that is whole, of other pixels


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"progressive": True},
        {"mode": "L"},
        {"mode": "CMYK"},
        {"subsampling": 0},
        {"subsampling": 1},
        {"keep_rgb": True},
        {"restart_marker_blocks": 3},
    ],
)
@pytest.mark.parametrize("orientation", [1, 3, 5, 6])
def test_whole_jpeg__has_the_pixels_of_pillow(tmp_path: Path, options: dict, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(**options, **({"exif": exif} if orientation > 1 else {})))
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    rgb = read_rgb(path)
    assert (rgb == expected).all()
    assert rgb.flags.writeable
    assert rgb.flags.c_contiguous


def test_arithmetic_coding__is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(base64.b64decode(ARITHMETIC))
    with Image.open(path) as image:
        assert (read_rgb(path) == np.asarray(image)).all()


@pytest.mark.parametrize("tail", [b"\0" * 4, b"abc"])
def test_bytes_behind_the_end__do_no_harm(tmp_path: Path, scene_jpeg: bytes, tail: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(scene_jpeg + tail)
    assert read_rgb(path).shape == (80, 96, 3)


def damage_one(folder: Path, split: str) -> Path:
    path = sorted((folder / "images" / split).iterdir())[0]
    path.write_bytes(cut(path.read_bytes(), 1 / 3))
    return path


def test_commands__name_the_image(data_folder: Path, tmp_path: Path, command: Callable) -> None:
    native = tmp_path / "native"
    shutil.copytree(data_folder / "images" / "val", native / "images")
    annotations = json.loads((data_folder / "annotations" / "instances_val.json").read_text())
    for image in annotations["images"]:
        image["file_name"] = Path(image["file_name"]).name
    (native / "instances.json").write_text(json.dumps(annotations))
    damaged = sorted((native / "images").iterdir())[0]
    damaged.write_bytes(cut(damaged.read_bytes(), 1 / 3))
    out, place = tmp_path / "out", f"IMAGE_TRUNCATED {damaged}"
    for words in (
        ["check", native],
        ["convert", "coco", native, "--out", out],
        ["predict", "embedded", native / "images", "--out", tmp_path / "others"],  # which are predicted
    ):
        ended = command(*words)
        shown = ended.out.replace("\n", "") + ended.err  # the console folds long lines
        assert (ended.code, out.exists()) == (2, False), ended
        assert "IMAGE_TRUNCATED" in shown
        assert str(damaged) in shown
    ended = command("convert", "coco", native, "--out", out, "--on-error", "skip-image")
    assert ended.code == 0, ended.err
    assert place in (out / "ledger.json").read_text()


def test_training__names_the_image(data_folder: Path, tmp_path: Path, command: Callable) -> None:
    damaged = sorted((data_folder / "images" / "train").iterdir())[0]
    damaged.write_bytes(cut(damaged.read_bytes(), 1 / 3))
    config = ["data.format=coco", "model.weights=embedded", "train.epochs=1", "train.imgsz=64"]
    words = [f"data.path={data_folder}", *config, f"out={tmp_path / 'run'}"]
    ended = command("train", *words)
    assert (ended.code, f"IMAGE_TRUNCATED {damaged}" in ended.err) == (2, True), ended
