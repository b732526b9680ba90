"""A part of an image with the marks that reach into it, at a size that can be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from detect_transfer.core.arrays import RgbArray
from detect_transfer.report.drawings import Mark, draw_marks


def draw_window(
    image: RgbArray, marks: Sequence[Mark], window: tuple[int, int, int, int], *, largest: int, shown: int
) -> RgbArray:
    """Cut a window out, shrink it where it is large, and draw the marks that reach into it.

    The image is shrunk before it is drawn on, so that lines and tags keep their size.

    Args:
        image: (H, W, 3).
        marks: Boxes in pixels of the image.
        window: Its corners x1, y1, x2, y2 in whole pixels.
        largest: How many pixels of the longer side are kept.
        shown: What a smaller part is enlarged to.
    """
    x1, y1, x2, y2 = window
    part = np.ascontiguousarray(image[y1:y2, x1:x2])
    scale = min(1.0, largest / max(part.shape[:2]))
    if scale < 1:
        part = np.asarray(cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    inside = []
    for mark in marks:
        a, b, c, d = mark.xyxy
        if a < x2 and c > x1 and b < y2 and d > y1:
            moved = ((a - x1) * scale, (b - y1) * scale, (c - x1) * scale, (d - y1) * scale)
            inside.append(replace(mark, xyxy=moved))
    return draw_marks(part, inside, legend=False, shown_side=shown)
