"""What readers of videos share: opening a file, the error of one that is cut, and OpenCV without a word."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import cv2

from detect_transfer.core.errors import InputError, ResourceError
from detect_transfer.core.opening import open_regular

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # read when OpenCV first opens a video; our errors say it


@contextmanager
def open_video(path: Path) -> Iterator[BinaryIO]:
    """Open a video as bytes.

    Raises:
        InputError: It is missing, or has no bytes.
        ResourceError: It cannot be read for a reason of the machine.
    """
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


def truncated(path: Path | str, what: str) -> InputError:
    """Return the error of a video that ends before it should, or is damaged."""
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
