"""Videos as frames: what OpenCV opens (.mp4, .avi, ...) and the sequences of NorPix (.seq).

A frame is named `<video>#<number>`, counted from 0, wherever an image is named: `clips/video_0001.mp4#00012`. A video
is read from its first frame on, since seeking in compressed streams lands on other frames than counting does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from detect_transfer.core.arrays import RgbArray
from detect_transfer.core.errors import InputError
from detect_transfer.core.video_opening import open_video, quiet_opencv, truncated
from detect_transfer.core.video_sequence import sequence_fps, sequence_frames, sequence_size_wh

VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".seq", ".webm")
_FRAME = re.compile(rf"(.+(?:{'|'.join(re.escape(s) for s in VIDEO_SUFFIXES)}))#([0-9]{{1,9}})", re.IGNORECASE)
_MOST_FPS = 1000.0
_SLACK = 0.02  # containers round the number of their frames; a stream that ends earlier than this is cut short


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
        return sequence_size_wh(path)
    first = next(_decoded(path))
    return first.shape[1], first.shape[0]


def frames(path: Path) -> Iterator[RgbArray]:
    """Give the frames of a video in order as (H, W, 3) uint8 RGB, upright.

    Raises:
        InputError: The file is missing, is no video, holds no frame, or ends before its last frame.
        ResourceError: The file cannot be read for a reason of the machine.
    """
    return sequence_frames(path) if path.suffix.lower() == ".seq" else _decoded(path)


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
    with open_video(path):  # OpenCV does not say whether a file is missing or unreadable
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
            raise truncated(not_opened.where or "", f"frame {done} of {max(0, stated_frames)} cannot be decoded")
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
        fps = sequence_fps(path)
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
