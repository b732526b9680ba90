"""The quick look at a header says what Pillow says, or nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from detect_transfer.core import images
from detect_transfer.core.errors import DetectTransferError
from detect_transfer.core.image_size import plain_size_wh
from detect_transfer.core.images import read_size_wh


def image(mode: str, size_wh: tuple[int, int] = (37, 23)) -> Image.Image:
    noise = np.random.default_rng(1).integers(0, 255, (size_wh[1], size_wh[0], 3), dtype=np.uint8)
    return Image.fromarray(noise).convert(mode)


def by_pillow(path: Path, monkeypatch: Any) -> tuple[int, int] | str:
    with monkeypatch.context() as context:
        context.setattr(images, "plain_size_wh", lambda data: None)
        try:
            return read_size_wh(path)
        except DetectTransferError as error:
            return error.code


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [*((m, "png") for m in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")), *((m, "jpg") for m in ("L", "RGB", "CMYK"))],
)
@pytest.mark.parametrize("options", [{}, {"progressive": True, "comment": b"by hand"}, {"dpi": (72, 72)}])
def test_plain__is_answered(mode: str, suffix: str, options: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    image("L" if mode == "I;16" else mode).convert(mode).save(path, **options)
    assert plain_size_wh(path.read_bytes()) == (37, 23)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif__is_left_to_pillow(suffix: str, orientation: int, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    image("RGB").save(path, exif=exif)
    assert plain_size_wh(path.read_bytes()) is None
    assert read_size_wh(path) == ((23, 37) if orientation > 4 else (37, 23))


@pytest.mark.parametrize("suffix", ["bmp", "gif", "ppm", "tif", "webp"])
def test_other_formats__are_left_to_pillow(suffix: str, tmp_path: Path) -> None:
    image("RGB").save(tmp_path / f"a.{suffix}")
    assert plain_size_wh((tmp_path / f"a.{suffix}").read_bytes()) is None


def test_missing__and_a_folder_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DetectTransferError, match="IMAGE_MISSING"):
        read_size_wh(tmp_path / "a.png")
    with pytest.raises(DetectTransferError, match="FILE_KIND"):
        read_size_wh(tmp_path)


def test_size__is_read_with_one_opening(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "a.png"
    exif = Image.Exif()
    exif[0x0112] = 3
    image("RGB").save(path, exif=exif)
    opened: list[Path] = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda name, *a, **k: opened.append(Path(name)) or real(name, *a, **k))
    assert read_size_wh(path) == (37, 23)
    assert opened == [path]


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_damaged__is_never_answered_otherwise(suffix: str, tmp_path: Path, monkeypatch: Any, data: Any) -> None:
    path = tmp_path / f"a.{suffix}"
    image("RGB").save(path)
    content = bytearray(path.read_bytes())
    for at in data.draw(st.lists(st.integers(0, 700), max_size=3)):
        content[at % len(content)] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    quick = plain_size_wh(path.read_bytes())
    code = by_pillow(path, monkeypatch)
    # Pillow looks into the tables before it knows the size; a fault of these is found when the pixels are read
    assert quick is None or code in (quick, "IMAGE_TYPE", "IMAGE_TRUNCATED")
