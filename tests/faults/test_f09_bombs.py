"""F09: an image of any format whose header states absurd sizes is refused before it is decoded, by every way to it."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detect_transfer.core.errors import InputError
from detect_transfer.core.images import read_rgb, read_size_wh

SIDE = 60_000


def _saved(kind: str, **options: object) -> bytearray:
    stream, rng = io.BytesIO(), np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (40, 48, 3), dtype=np.uint8)).save(stream, kind, **options)
    return bytearray(stream.getvalue())


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(side: int = SIDE, *more: bytes) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    pixels = _chunk(b"IDAT", zlib.compress(b"\0" * 10_000))
    return b"".join((b"\x89PNG\r\n\x1a\n", header, *more, pixels, _chunk(b"IEND", b"")))


def _jpeg(**options: object) -> bytes:
    data = _saved("JPEG", **options)
    at = data.index(b"\xff\xc2" if options else b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", SIDE, SIDE)
    return bytes(data)


def _gif(*, canvas: bool) -> bytes:
    data = _saved("GIF")
    at = 6 if canvas else data.index(b",", 13 + 3 * 256) + 5
    data[at : at + 4] = struct.pack("<HH", SIDE, SIDE)
    return bytes(data)


def _bmp() -> bytes:
    data = _saved("BMP")
    data[18:26] = struct.pack("<ii", SIDE, SIDE)
    return bytes(data)


def _tiff(**options: object) -> bytes:
    data = _saved("TIFF", **options)
    (first,) = struct.unpack_from("<I", data, 4)
    for entry in range(first + 2, first + 2 + 12 * struct.unpack_from("<H", data, first)[0], 12):
        if struct.unpack_from("<H", data, entry)[0] in (256, 257):  # width and height
            struct.pack_into("<HII", data, entry + 2, 4, 1, SIDE)
    return bytes(data)


def _webp(*, lossless: bool) -> bytes:
    data, most = _saved("WEBP", lossless=lossless), 16_383
    if lossless:
        at = data.index(b"VP8L") + 9
        (bits,) = struct.unpack_from("<I", data, at)
        struct.pack_into("<I", data, at, bits & ~0xFFFFFFF | most | most << 14)
    else:
        struct.pack_into("<HH", data, data.index(b"\x9d\x01\x2a") + 3, most, most)
    return bytes(data)


def _jpeg_2000() -> bytes:
    data = _saved("JPEG2000")
    struct.pack_into(">II", data, data.index(b"ihdr") + 4, SIDE, SIDE)
    struct.pack_into(">II", data, data.index(b"\xff\x51") + 6, SIDE, SIDE)
    return bytes(data)


BOMBS = {
    "png": (".png", _png),
    "jpeg": (".jpg", _jpeg),
    "progressive": (".jpg", lambda: _jpeg(progressive=True)),
    "gif": (".gif", lambda: _gif(canvas=True)),
    "frame-of-gif": (".gif", lambda: _gif(canvas=False)),
    "bmp": (".bmp", _bmp),
    "ppm": (".ppm", lambda: b"P6 %d %d 255\n" % (SIDE, SIDE) + bytes(100)),
    "tiff": (".tif", _tiff),
    "lzw": (".tif", lambda: _tiff(compression="tiff_lzw")),
    "webp": (".webp", lambda: _webp(lossless=False)),
    "lossless": (".webp", lambda: _webp(lossless=True)),
    "jpeg-2000": (".jp2", _jpeg_2000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_absurd_size_in_a_header__is_refused_in_every_format(name: str, tmp_path: Path) -> None:
    suffix, make = BOMBS[name]
    path = tmp_path / f"a{suffix}"
    path.write_bytes(make())
    for read in (read_size_wh, read_rgb):
        with pytest.raises(InputError, match="IMAGE_TOO_LARGE"):
            read(path)


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_text_in_a_png_that_inflates_without_end__is_refused(kind: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(_png(40, _chunk(kind, b"k\0\0" + zlib.compress(bytes(200_000_000)))))
    with pytest.raises(InputError, match=r"IMAGE_TRUNCATED .*too large"):
        read_rgb(tmp_path / "a.png")


def test_bomb_in_a_data_set__is_wrong_input_of_every_command(yolo_set: Path, tmp_path: Path, command: Callable) -> None:
    path = yolo_set / "images" / "train" / "0.png"
    path.write_bytes(_png())
    for words in (
        ("check", yolo_set),
        ("convert", "yolo", yolo_set, "--out", tmp_path / "out"),
        ("predict", "embedded", path, "--out", tmp_path / "predicted"),
        ("train", f"data.path={yolo_set}", "model.weights=embedded", f"out={tmp_path / 'run'}"),
    ):
        ended = command(*words)
        assert (ended.code, "IMAGE_TOO_LARGE" in ended.out + ended.err) == (2, True), (words, ended)
