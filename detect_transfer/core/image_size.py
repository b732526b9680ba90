"""The size of a plain JPEG or PNG from its first bytes, several times as fast as opening it.

Only files beyond doubt are answered: whatever could turn the image (EXIF, XMP), is rare or looks damaged gives None,
and the caller asks Pillow.
"""

from __future__ import annotations

import struct
import zlib

HEAD_BYTES = 4096
_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_PNG_KINDS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}  # colour type -> bit depths
_PNG_HARMLESS = {b"PLTE", b"bKGD", b"cHRM", b"gAMA", b"pHYs", b"sBIT", b"sRGB", b"tIME", b"tRNS"}
_SOI, _SOS, _APP1 = b"\xff\xd8", 0xDA, 0xE1
_SOF = {0xC0, 0xC1, 0xC2}
_JPEG_HARMLESS = {0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)} - {_APP1}


def plain_size_wh(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) in pixels of a plain JPEG or PNG, None where it takes a decoder to say.

    Args:
        data: The first `HEAD_BYTES` of the file, or all of a shorter one.
    """
    if data.startswith(_SOI):
        return _jpeg(data)
    return _png(data) if data.startswith(_PNG) else None


def _png(data: bytes) -> tuple[int, int] | None:
    if len(data) < 33:
        return None
    width, height, depth, colour, compression, method, interlace = struct.unpack_from(">IIBBBBB", data, 16)
    usual = depth in _PNG_KINDS.get(colour, ()) and not compression and not method and interlace < 2
    if not (usual and 0 < width < 2**31 and 0 < height < 2**31):
        return None
    position = 8
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        if kind == b"IDAT":
            return width, height
        end = position + 8 + length
        if (kind not in _PNG_HARMLESS and position > 8) or end + 4 > len(data):
            return None
        if zlib.crc32(data[position + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return None
        position = end + 4
    return None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    position, size_wh = 2, None
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == _SOS:
            return size_wh
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if marker in _SOF:
            if size_wh is not None or length < 8 or position + 10 > len(data):
                return None
            depth, height, width, layers = struct.unpack_from(">BHHB", data, position + 4)
            if depth != 8 or layers not in (1, 3, 4) or not width or not height:
                return None
            size_wh = width, height
        elif marker not in _JPEG_HARMLESS or length < 2:
            return None
        position += 2 + length
    return None
