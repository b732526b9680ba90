"""Drawn frames as a video."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from detect_transfer.core.arrays import RgbArray
from detect_transfer.core.errors import ResourceError

_CODEC = "vp09"  # of those that OpenCV's wheels can write, the one that browsers play


def write_video(path: Path, frames: Iterable[RgbArray], *, fps: float) -> None:
    """Write frames (H, W, 3) as an MP4; the first one sets the size, others are fitted into it.

    Raises:
        ResourceError: OpenCV cannot write it.
    """
    writer: cv2.VideoWriter | None = None
    size_wh = (0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        for frame in frames:
            if writer is None:
                size_wh = (frame.shape[1] // 2 * 2, frame.shape[0] // 2 * 2)  # the codec takes even sizes alone
                writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*_CODEC), fps, size_wh)
            writer.write(np.ascontiguousarray(_fitted(frame, size_wh)[..., ::-1]))
    finally:
        if writer is not None:
            writer.release()
    if not path.is_file() or path.stat().st_size == 0:
        raise ResourceError(
            *("VIDEO_WRITE", "OpenCV wrote no video"), where=path, remedy="check the disk, or leave --video out"
        )


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
