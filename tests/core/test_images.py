"""The one decoder: documented pixels, and errors that name the file and the fault."""

import io
import logging
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT
from PIL import Image

from detect_transfer.core import intake
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import read_labels, read_rgb, read_size_wh


def save(path: Path, array: np.ndarray, **options) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation__is_applied_and_the_size_follows(tmp_path: Path, orientation: int) -> None:
    image = Image.fromarray(np.arange(40 * 80 * 3, dtype=np.uint32).astype(np.uint8).reshape(40, 80, 3))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.png"
    image.save(path, exif=exif)
    rgb = read_rgb(path)
    assert read_size_wh(path) == (rgb.shape[1], rgb.shape[0])
    assert rgb.shape == ((80, 40, 3) if orientation >= 5 else (40, 80, 3))


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        pytest.param(np.full((4, 5), 1000, np.uint16), 3, id="16-bit-keeps-the-high-byte"),
        pytest.param(np.full((4, 5), 77, np.uint8), 77, id="grey"),
        pytest.param(np.dstack([np.full((4, 5, 3), 9, np.uint8), np.zeros((4, 5, 1), np.uint8)]), 9, id="transparent"),
        pytest.param(np.full((4, 5), True), 255, id="one-bit"),
    ],
)
def test_modes__have_one_documented_conversion(tmp_path: Path, array: np.ndarray, expected: int) -> None:
    rgb = read_rgb(save(tmp_path / "a.png", array))
    assert rgb.shape == (4, 5, 3)
    assert rgb.dtype == np.uint8
    assert (rgb == expected).all()


def test_high_byte_that_is_nearly_black__is_said_once(tmp_path: Path, monkeypatch, caplog) -> None:
    monkeypatch.setattr(intake, "_said_dark", [])
    with caplog.at_level(logging.WARNING):
        read_rgb(save(tmp_path / "bright.png", np.full((4, 5), 1 << 14, np.uint16)))
        assert not caplog.records
        for name in ("dark.png", "darker.png"):
            assert read_rgb(save(tmp_path / name, np.full((4, 5), (1 << 14) - 1, np.uint16))).max() == 63
    (record,) = caplog.records
    assert "dark.png has more than 8 bits" in record.getMessage()
    assert "no value is above 63 of 255; train with data.intake" in record.getMessage()


def test_grey_with_alpha__and_palette(tmp_path: Path) -> None:
    Image.new("LA", (5, 4), (50, 0)).save(tmp_path / "la.png")
    assert (read_rgb(tmp_path / "la.png") == 50).all()
    Image.new("RGB", (5, 4), (10, 20, 30)).quantize(4).save(tmp_path / "p.png")
    assert (read_rgb(tmp_path / "p.png") == (10, 20, 30)).all()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".ppm", ".webp", ".tif"])
@pytest.mark.parametrize("share", [0.6, 0.95])
def test_truncated_image__is_an_error_and_the_file_stays(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    path = save(tmp_path / f"a{suffix}", noise)
    data = path.read_bytes()[: int(path.stat().st_size * share)]
    path.write_bytes(data)
    with pytest.raises(InputError, match=rf"IMAGE_(TRUNCATED|TYPE) .*a\{suffix}"):
        read_rgb(path)
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    ("data", "code"), [(b"", "IMAGE_EMPTY"), (b"hello, I am text", "IMAGE_TYPE"), (b"\x89PNG\r\n\x1a\n", "IMAGE_")]
)
def test_no_image__is_reported(tmp_path: Path, data: bytes, code: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    for read in (read_rgb, read_size_wh):
        with pytest.raises(InputError, match=code):
            read(path)


def test_missing_image__is_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="IMAGE_MISSING"):
        read_rgb(tmp_path / "no.png")


def test_jpeg_with_trailing_bytes__is_read_and_left_alone(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", np.full((16, 16, 3), 128, np.uint8))
    data = path.read_bytes() + b"\0\0\0\0"
    path.write_bytes(data)
    assert read_rgb(path).shape == (16, 16, 3)
    assert path.read_bytes() == data


def test_png_in_a_jpg__is_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2), (1, 2, 3)).save(buffer, "PNG")
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    assert (read_rgb(tmp_path / "a.jpg") == (1, 2, 3)).all()


@pytest.mark.parametrize("mode", ["L", "P", "I;16", "1"])
def test_labels__are_the_bare_values(tmp_path: Path, mode: str) -> None:
    image = Image.new(mode, (3, 2))
    image.putpixel((2, 0), 1)
    if mode == "P":
        image.putpalette([9, 9, 9, 200, 100, 50])
    image.save(tmp_path / "a.png")
    assert read_labels(tmp_path / "a.png").tolist() == [[0, 0, 1], [0, 0, 0]]


def test_labels__of_several_channels_or_cut_off(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.zeros((2, 3, 3), np.uint8))
    with pytest.raises(InputError, match=r"IMAGE_TYPE.*mode RGB"):
        read_labels(path)
    path = save(tmp_path / "b.png", np.arange(90_000, dtype=np.uint8).reshape(300, 300))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="IMAGE_TRUNCATED"):
        read_labels(path)


QUIET = """
import sys
from pathlib import Path
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import read_rgb, read_size_wh
path, whole = Path(sys.argv[1]), Path(sys.argv[1]).read_bytes()
for length in range(0, len(whole), 5):
    path.write_bytes(whole[:length])
    for read in (read_size_wh, read_rgb):
        try:
            read(path)
        except InputError:
            pass
"""


@pytest.mark.parametrize("suffix", [".tiff", ".webp"])
def test_damaged_image__is_an_error_and_no_warning_of_pillow(tmp_path: Path, suffix: str) -> None:
    """In a process of its own: pytest chooses what becomes of warnings."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (9, 7)).save(tmp_path / f"a{suffix}", exif=exif)
    done = subprocess.run(
        [sys.executable, "-c", QUIET, str(tmp_path / f"a{suffix}")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_damaged_orientation__is_an_error_or_left_out(tmp_path: Path) -> None:
    exif, path, n_read = Image.Exif(), tmp_path / "a.webp", 0
    exif[0x0112], exif[0x010F] = 6, "x" * 30
    Image.new("RGB", (9, 7), (200, 10, 10)).save(path, exif=exif)
    whole = path.read_bytes()
    for position in range(whole.index(b"EXIF"), len(whole)):
        for byte in (0, 1, 255):
            path.write_bytes(whole[:position] + bytes([byte]) + whole[position + 1 :])
            with suppress(InputError):
                read_rgb(path)
                n_read += 1
    assert n_read > 100


@pytest.mark.parametrize("size_wh", [(1, 1), (1, 64), (64, 1), (10, 8000)])
def test_image__of_any_shape_is_read(tmp_path: Path, size_wh: tuple[int, int]) -> None:
    Image.new("RGB", size_wh).save(tmp_path / "a.png")
    assert read_size_wh(tmp_path / "a.png") == size_wh
    assert read_rgb(tmp_path / "a.png").shape == (size_wh[1], size_wh[0], 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite__are_an_error(tmp_path: Path, value: float) -> None:
    path = save(tmp_path / "a.tiff", np.array([[0.5, value]], np.float32))
    with pytest.raises(InputError, match=r"IMAGE_TRUNCATED .*a\.tiff - .*not finite"):
        read_rgb(path)
