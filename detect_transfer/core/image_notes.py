"""What is odd about the file of an image that can be decoded all the same."""

from __future__ import annotations

import io
import struct
from pathlib import PurePath
from typing import NamedTuple

from PIL import Image

NOTES = {
    "IMAGE_TRAILING": "images with bytes behind their end, which are left alone",
    "IMAGE_SUFFIX": "images of another format than their name says, read as what they are",
    "IMAGE_FRAMES": "images of several frames, of which the first is taken",
    "IMAGE_DEEP": "images of one channel with more than 8 bits, which keep their high byte alone without data.intake",
    "IMAGE_TURNED": "images that their EXIF orientation turns; boxes count from the upright image",
}
_PNG_END = b"\0\0\0\0IEND\xaeB\x60\x82"
_KIND_OF_SUFFIX = {
    **{".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".gif": "GIF", ".bmp": "BMP", ".webp": "WEBP"},
    **{".tif": "TIFF", ".tiff": "TIFF"},
}
_ORIENTATION = 0x0112
_HEAD = 1 << 16


def image_notes(name: str, data: bytes) -> tuple[str, ...]:
    """Return which keys of `NOTES` hold for an image.

    Args:
        name: Of the file.
        data: All of its bytes, which can be decoded.
    """
    kind = _kind(data)
    stated = _KIND_OF_SUFFIX.get(PurePath(name).suffix.lower())
    holds = {
        "IMAGE_TRAILING": _has_trailing(kind, data),
        "IMAGE_SUFFIX": kind is not None and stated is not None and kind != stated,
        "IMAGE_FRAMES": _may_have_frames(kind, data) and _pillow(data).n_frames > 1,
        "IMAGE_DEEP": _may_be_deep(kind, data) and _pillow(data).mode.startswith(("I", "F")),
        "IMAGE_TURNED": _may_be_turned(kind, data) and _pillow(data).orientation > 1,
    }
    return tuple(code for code, is_so in holds.items() if is_so)


def _kind(data: bytes) -> str | None:
    starts = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n": "PNG", b"GIF8": "GIF", b"BM": "BMP"}
    starts |= {b"II*\0": "TIFF", b"MM\0*": "TIFF"}
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return next((kind for start, kind in starts.items() if data.startswith(start)), None)


def _has_trailing(kind: str | None, data: bytes) -> bool:
    if kind == "WEBP":
        return len(data) > 8 + int.from_bytes(data[4:8], "little")
    if kind == "BMP":
        return 0 < int.from_bytes(data[2:6], "little") < len(data)
    ends = {"JPEG": b"\xff\xd9", "PNG": _PNG_END, "GIF": b";"}
    return kind in ends and not data.endswith(ends[kind])


def _may_have_frames(kind: str | None, data: bytes) -> bool:
    return kind in ("GIF", "TIFF") or (kind in ("PNG", "WEBP") and (b"acTL" in data[:_HEAD] or b"ANIM" in data[:64]))


def _may_be_deep(kind: str | None, data: bytes) -> bool:
    return kind in (None, "TIFF") or (kind == "PNG" and data[24:25] == b"\x10")  # the bits of a sample


def _may_be_turned(kind: str | None, data: bytes) -> bool:
    if kind == "JPEG":
        return b"Exif\0" in data[:_HEAD]
    ends = data[:_HEAD] + data[-_HEAD:]
    return kind == "TIFF" or (kind in ("PNG", "WEBP") and (b"eXIf" in ends or b"EXIF" in ends))


class _Header(NamedTuple):
    n_frames: int = 1
    orientation: int = 1
    mode: str = ""


def _pillow(data: bytes) -> _Header:
    """Return what the headers say; the defaults where they are damaged."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            frames, turned = int(getattr(image, "n_frames", 1)), int(image.getexif().get(_ORIENTATION, 1))
            return _Header(frames, turned, image.mode)
    except (OSError, SyntaxError, ValueError, TypeError, EOFError, struct.error):
        return _Header()
