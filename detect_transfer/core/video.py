"""Videos as frames: what OpenCV opens (.mp4, .avi, ...) and the sequences of NorPix (.seq).

A frame is named `<video>#<number>`, counted from 0, wherever an image is named: `clips/video_0001.mp4#00012`. A video
is read from its first frame on, since seeking in compressed streams lands on other frames than counting does.

Source: StreamPix user manual, sequence file format; P. Dollar's toolbox 3.50, which reads it.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

from detect_transfer.core.arrays import RgbArray
from detect_transfer.core.errors import InputError, ResourceError
from detect_transfer.core.images import MAX_PIXELS
from detect_transfer.core.opening import open_regular

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # read when OpenCV first opens a video; our errors say it

VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".seq", ".webm")
_FRAME = re.compile(rf"(.+(?:{'|'.join(re.escape(s) for s in VIDEO_SUFFIXES)}))#([0-9]{{1,9}})", re.IGNORECASE)
_MOST_FPS = 1000.0
_SLACK = 0.02  # containers round the number of their frames; a stream that ends earlier than this is cut short

_HEADER_BYTES = 1024
_MAGIC = struct.pack("<I", 0xFEED) + "Norpix seq".encode("utf-16-le")
_RAW, _JPEG, _PNG = (100, 200), (102, 201), (1, 2)
_STAMP_BYTES = 8  # the time of a frame, after its pixels; some writers add as many empty ones


def frame_name(video: str, number: int) -> str:
    """Return the name of a frame, counted from 0, of a video by its relative path."""
    return f"{video}#{number:05d}"


def parse_frame_name(file_name: str) -> tuple[str, int] | None:
    """Return the relative path of the video and the number of the frame; None for the name of an image."""
    match = _FRAME.fullmatch(file_name)
    return (match[1], int(match[2])) if match else None


def read_video_size_wh(path: Path) -> tuple[int, int]:
    """Return (width, height) in pixels of the frames of a video, upright.

    Raises:
        InputError: As for `frames`.
        ResourceError: As for `frames`.
    """
    if path.suffix.lower() == ".seq":
        with _open(path) as stream:
            header = _read_header(path, stream)
            return header.width, header.height
    first = next(_decoded(path))
    return first.shape[1], first.shape[0]


def frames(path: Path) -> Iterator[RgbArray]:
    """Give the frames of a video in order as (H, W, 3) uint8 RGB, upright.

    Raises:
        InputError: The file is missing, is no video, holds no frame, or ends before its last frame.
        ResourceError: The file cannot be read for a reason of the machine.
    """
    return _sequence(path) if path.suffix.lower() == ".seq" else _decoded(path)


def frames_at(path: Path, numbers: Iterable[int]) -> Iterator[tuple[int, RgbArray]]:
    """Give the frames with these numbers, counted from 0, in rising order; the video is read once.

    Raises:
        InputError: As for `frames`, or the video has no frame of such a number.
        ResourceError: As for `frames`.
    """
    wanted = sorted(set(numbers))
    at, n_frames = 0, 0
    for number, frame in enumerate(frames(path)):
        if at == len(wanted):
            return
        n_frames = number + 1
        if number == wanted[at]:
            at += 1
            yield number, frame
    if at < len(wanted):
        raise InputError(
            "FRAME_MISSING",
            f"frame {wanted[at]} is annotated, the video has frames 0 to {n_frames - 1}",
            where=path,
            field="frame",
            value=wanted[at],
            remedy="put the right video there, or remove the annotations of the frame",
        )


def _decoded(path: Path) -> Iterator[RgbArray]:
    """Give the frames of a video that OpenCV decodes."""
    with _open(path):  # OpenCV does not say whether a file is missing or unreadable
        pass
    with quiet_opencv():
        capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
    what, remedy = "its bytes are of no video that is read here, or its index is cut off", "copy the video again"
    yield from _captured(
        capture, InputError("VIDEO_TYPE", what, where=path, remedy=f"{remedy}, or give an MP4, AVI, Matroska or NorPix")
    )


def _captured(capture: cv2.VideoCapture, not_opened: InputError) -> Iterator[RgbArray]:
    """Give the frames of what OpenCV opened, and close it."""
    try:
        if not capture.isOpened():
            raise not_opened
        stated_frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        done = 0
        while True:
            good, bgr = capture.read()
            if not good:
                break
            done += 1
            yield np.ascontiguousarray(bgr[..., ::-1])
        if done == 0 or done < stated_frames * (1 - _SLACK):
            raise _truncated(not_opened.where or "", f"frame {done} of {max(0, stated_frames)} cannot be decoded")
    finally:
        capture.release()


def camera_frames(number: int) -> Iterator[RgbArray]:
    """Give the frames of a camera as they come, (H, W, 3) uint8 RGB; they do not end.

    Raises:
        InputError: There is no such camera, or it gives nothing any more.
    """
    with quiet_opencv():
        capture = cv2.VideoCapture(number)
    what, remedy = "no such camera can be opened", "check its number (the first is 0) and its permissions"
    yield from _captured(capture, InputError("CAMERA_MISSING", what, where=f"camera {number}", remedy=remedy))


def frames_of_address(address: str) -> Iterator[RgbArray]:
    """Give the frames of a video or stream at an address, (H, W, 3) uint8 RGB.

    Raises:
        InputError: It cannot be opened, or breaks off.
    """
    with quiet_opencv():
        capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG)
    what, remedy = "no video or stream can be opened there", "check the address, or give that of an image"
    yield from _captured(capture, InputError("ADDRESS_UNREACHABLE", what, where=address, remedy=remedy))


def read_fps(path: Path) -> float | None:
    """Return the frames a second that a video states; None where it cannot be read or states none."""
    if not path.is_file():
        return None
    if path.suffix.lower() == ".seq":
        with open_regular(path) as stream:
            data = stream.read(_HEADER_BYTES)
        fps = struct.unpack_from("<d", data, 584)[0] if len(data) == _HEADER_BYTES else 0.0
    else:
        with quiet_opencv():
            capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
        fps = capture.get(cv2.CAP_PROP_FPS)
        capture.release()
    return float(fps) if 0 < fps <= _MOST_FPS else None


def read_frame_count(path: Path) -> int | None:
    """Return the number of frames that a video states; None where it cannot be read or states none."""
    with quiet_opencv():
        capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        capture.release()
    return count if count > 0 else None


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


def _sequence(path: Path) -> Iterator[RgbArray]:
    """Give the frames of a NorPix sequence."""
    with _open(path) as stream:
        header = _read_header(path, stream)
        spans = _raw_frames(header) if header.kind in _RAW else _packed_frames(path, header, stream)
        done = 0
        for start, size in spans:
            stream.seek(start)
            data = stream.read(size)
            if len(data) < size:
                raise _truncated(path, f"frame {done} of {header.n_frames} is cut off")
            yield _decode(path, header, data, done)
            done += 1
        if done == 0 or done < header.n_frames:
            raise _truncated(path, f"frame {done} of {header.n_frames} is not there")


def _read_header(path: Path, stream: BinaryIO) -> _Header:
    data = stream.read(_HEADER_BYTES)
    if len(data) < _HEADER_BYTES:
        raise _truncated(path, f"it has {len(data)} bytes, its header alone takes {_HEADER_BYTES}")
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
            raise _truncated(path, f"frame {number} has a length of {length} bytes")
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
        raise _truncated(path, f"frame {number} cannot be decoded, or has another size than the header says")
    return np.ascontiguousarray(decoded[..., ::-1])


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    try:
        stream = open_regular(path)
    except FileNotFoundError as error:
        raise InputError(
            "VIDEO_MISSING",
            "there is no such video",
            where=path,
            remedy="restore the file, or leave out what names it",
        ) from error
    except OSError as error:
        raise ResourceError(
            "VIDEO_UNREADABLE", f"it cannot be opened: {error.strerror}", where=path, remedy="check its permissions"
        ) from error
    with stream:
        if path.stat().st_size == 0:
            raise InputError("VIDEO_EMPTY", "the file has no bytes", where=path, remedy="copy the video again")
        yield stream


def _truncated(path: Path | str, what: str) -> InputError:
    return InputError("VIDEO_TRUNCATED", what, where=path, remedy="the file is cut short or damaged: copy it again")


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keep OpenCV from writing to stderr what our errors say."""
    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(0)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)
