"""Drawn frames as a video: H.264 where the machine has an encoder, else VP9, both of which browsers play."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from detect_transfer.core.arrays import RgbArray
from detect_transfer.core.disk import is_full
from detect_transfer.core.errors import ResourceError
from detect_transfer.core.temporary import short_name
from detect_transfer.core.video_opening import quiet_opencv

_CODECS = ("avc1", "vp09")  # the first that OpenCV can write; its wheels bring no encoder of H.264


def write_video(path: Path, frames: Iterable[RgbArray], *, fps: float) -> None:
    """Write frames (H, W, 3) as an MP4; the first one sets the size, others are fitted into it.

    Raises:
        ResourceError: OpenCV cannot write it.
    """
    video = VideoFile(path, fps=fps)
    try:
        for frame in frames:
            video.write(frame)
    except BaseException:
        video.discard()
        raise
    video.finish()


class VideoFile:
    """An MP4 that grows by a frame at a time, under another name until it is whole.

    Args:
        path: The file.
        fps: Frames a second.
    """

    def __init__(self, path: Path, *, fps: float) -> None:
        self._path = path
        self._building = path.with_name(f".{short_name(path.stem)}.{os.getpid()}.tmp{path.suffix}")
        self._fps = fps
        self._writer: cv2.VideoWriter | None = None
        self._size_wh = (0, 0)
        path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, frame: RgbArray) -> None:
        """Append a frame (H, W, 3); the first one sets the size, others are fitted into it."""
        if self._writer is None:
            self._size_wh = (frame.shape[1] // 2 * 2, frame.shape[0] // 2 * 2)  # the codecs take even sizes alone
            self._writer = _open(self._building, self._fps, self._size_wh)
        self._writer.write(np.ascontiguousarray(_fitted(frame, self._size_wh)[..., ::-1]))

    def finish(self) -> None:
        """End the file, which then has its name.

        Raises:
            ResourceError: OpenCV wrote none, or not all of it.
        """
        if self._writer is not None:
            self._writer.release()
        full = is_full(self._path.parent)  # what does not fit, OpenCV leaves out in silence
        if full or not self._building.is_file() or self._building.stat().st_size == 0:
            self._building.unlink(missing_ok=True)
            what = "the disk is full, and the video not whole" if full else "OpenCV wrote no video"
            remedy = "check the disk, or leave --video and --save-video out"
            raise ResourceError("VIDEO_WRITE", what, where=self._path, remedy=remedy)
        self._building.replace(self._path)

    def discard(self) -> None:
        """Remove what was written."""
        if self._writer is not None:
            self._writer.release()
        self._building.unlink(missing_ok=True)


def _open(path: Path, fps: float, size_wh: tuple[int, int]) -> cv2.VideoWriter:
    with quiet_opencv():  # it complains of each codec that is not there
        for codec in _CODECS:
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, size_wh)
            if writer.isOpened():
                break
    return writer


def _fitted(frame: RgbArray, size_wh: tuple[int, int]) -> RgbArray:
    """Shrink or enlarge a frame into a size, with dark bars where its shape differs."""
    height, width = frame.shape[:2]
    if (width, height) == size_wh:
        return frame
    if (width // 2 * 2, height // 2 * 2) == size_wh:
        return frame[: size_wh[1], : size_wh[0]]
    scale = min(size_wh[0] / width, size_wh[1] / height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas = np.full((size_wh[1], size_wh[0], 3), 18, np.uint8)
    left, top = (size_wh[0] - inner[0]) // 2, (size_wh[1] - inner[1]) // 2
    canvas[top : top + inner[1], left : left + inner[0]] = cv2.resize(frame, inner, interpolation=cv2.INTER_AREA)
    return canvas
