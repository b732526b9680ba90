"""The frames of sequences of NorPix (.seq): raw, JPEG or PNG, of 8 bits a channel.

Source: StreamPix user manual, sequence file format; P. Dollar's toolbox 3.50, which reads it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

from detect_transfer.core.arrays import RgbArray
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import MAX_PIXELS
from detect_transfer.core.opening import open_regular
from detect_transfer.core.video_opening import open_video, quiet_opencv, truncated

_HEADER_BYTES = 1024
_MAGIC = struct.pack("<I", 0xFEED) + "Norpix seq".encode("utf-16-le")
_RAW, _JPEG, _PNG = (100, 200), (102, 201), (1, 2)
_STAMP_BYTES = 8  # the time of a frame, after its pixels; some writers add as many empty ones


@dataclass(frozen=True)
class _Header:
    """The header of a sequence: sizes in pixels and bytes, the code of the pixel format, and the number of frames."""

    width: int
    height: int
    bits: int
    image_bytes: int
    kind: int
    n_frames: int
    stride: int


def sequence_size_wh(path: Path) -> tuple[int, int]:
    """Return (width, height) in pixels of the frames of a sequence.

    Raises:
        InputError: As for `sequence_frames`.
        ResourceError: As for `sequence_frames`.
    """
    with open_video(path) as stream:
        header = _read_header(path, stream)
    return header.width, header.height


def sequence_fps(path: Path) -> float:
    """Return the frames a second that a sequence states; 0 where its header is cut."""
    with open_regular(path) as stream:
        data = stream.read(_HEADER_BYTES)
    return float(struct.unpack_from("<d", data, 584)[0]) if len(data) == _HEADER_BYTES else 0.0


def sequence_frames(path: Path) -> Iterator[RgbArray]:
    """Give the frames of a sequence in order as (H, W, 3) uint8 RGB.

    Raises:
        InputError: The file is missing, is no sequence, holds no frame, or ends before its last frame.
        ResourceError: The file cannot be read for a reason of the machine.
    """
    with open_video(path) as stream:
        header = _read_header(path, stream)
        spans = _raw_frames(header) if header.kind in _RAW else _packed_frames(path, header, stream)
        done = 0
        for start, size in spans:
            stream.seek(start)
            data = stream.read(size)
            if len(data) < size:
                raise truncated(path, f"frame {done} of {header.n_frames} is cut off")
            yield _decode(path, header, data, done)
            done += 1
        if done == 0 or done < header.n_frames:
            raise truncated(path, f"frame {done} of {header.n_frames} is not there")


def _read_header(path: Path, stream: BinaryIO) -> _Header:
    data = stream.read(_HEADER_BYTES)
    if len(data) < _HEADER_BYTES:
        raise truncated(path, f"it has {len(data)} bytes, its header alone takes {_HEADER_BYTES}")
    if not data.startswith(_MAGIC):
        raise InputError(
            "VIDEO_TYPE", "it does not begin as a NorPix sequence does", where=path, remedy="give the .seq file itself"
        )
    width, height, bits, real_bits, image_bytes, kind, n_frames, _, stride = struct.unpack_from("<9I", data, 548)
    readable = kind in (*_RAW, *_JPEG, *_PNG) and real_bits == 8 and bits in (8, 24)
    size_fits = 0 < width * height <= MAX_PIXELS
    raw_fits = kind not in _RAW or (
        image_bytes == width * height * bits // 8 and stride >= image_bytes and n_frames > 0
    )
    if not (readable and size_fits and raw_fits):
        raise InputError(
            "VIDEO_TYPE",
            f"a sequence of format {kind}, {width} x {height} pixels of {bits} bits; raw, JPEG or PNG of 8 bits a "
            "channel was expected",
            where=path,
            remedy="export it as such with StreamPix, or give its frames as images",
        )
    return _Header(width, height, bits, image_bytes, kind, n_frames, stride)


def _raw_frames(header: _Header) -> Iterator[tuple[int, int]]:
    for number in range(header.n_frames):
        yield _HEADER_BYTES + number * header.stride, header.image_bytes


def _packed_frames(path: Path, header: _Header, stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """Give start and length of each compressed frame: its length with these four bytes, its data, its time."""
    start, extra, number = _HEADER_BYTES, _STAMP_BYTES, 0
    while number < header.n_frames or header.n_frames == 0:
        stream.seek(start)
        data = stream.read(4)
        if number == 1 and data == bytes(4):  # the writer pads the time of a frame
            extra, start = 2 * _STAMP_BYTES, start + _STAMP_BYTES
            stream.seek(start)
            data = stream.read(4)
        if len(data) < 4:
            return
        length = int.from_bytes(data, "little")
        if length <= 4:
            raise truncated(path, f"frame {number} has a length of {length} bytes")
        yield start + 4, length - 4
        start, number = start + length + extra, number + 1


def _decode(path: Path, header: _Header, data: bytes, number: int) -> RgbArray:
    pixels = np.frombuffer(data, np.uint8)
    if header.kind in _RAW:
        bgr = pixels.reshape(header.height, header.width, header.bits // 8)
        return np.ascontiguousarray(np.broadcast_to(bgr[..., ::-1], (header.height, header.width, 3)))
    with quiet_opencv():
        decoded = cv2.imdecode(pixels, cv2.IMREAD_COLOR)
    if decoded is None or decoded.shape[:2] != (header.height, header.width):
        raise truncated(path, f"frame {number} cannot be decoded, or has another size than the header says")
    return np.ascontiguousarray(decoded[..., ::-1])
