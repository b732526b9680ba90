"""The extent of masks in COCO's forms: polygons, and runs of pixels, compressed or not."""

from __future__ import annotations

from typing import Any

import numpy as np

from detect_transfer.core.arrays import FloatArray
from detect_transfer.formats.parsing.shapes import Corners

_MOST_PIXELS = 2**40


def segmentation_extent(value: Any) -> Corners | None:
    """Return the box `xyxy` around a `segmentation` of COCO; None where it is empty or none that COCO knows."""
    if isinstance(value, list):
        points = [_numbers(polygon) for polygon in value]
        if not points or any(polygon is None for polygon in points):
            return None
        xy = np.concatenate([polygon.reshape(-1, 2) for polygon in points if polygon is not None])
        (x1, y1), (x2, y2) = xy.min(axis=0), xy.max(axis=0)
        return float(x1), float(y1), float(x2), float(y2)
    if not isinstance(value, dict):
        return None
    size, counts = value.get("size"), value.get("counts")
    is_size = isinstance(size, list) and len(size) == 2 and all(type(side) is int and side > 0 for side in size)
    runs = _uncompressed(counts) if isinstance(counts, str) else counts
    if not is_size or not isinstance(runs, list) or not all(type(run) is int and run >= 0 for run in runs):
        return None
    height, width = size  # type: ignore[misc]
    if sum(runs) != height * width or height * width > _MOST_PIXELS:
        return None
    return _runs_extent(np.array(runs, dtype=np.int64), height)


def rows_extent(runs: list[int], width: int, height: int) -> Corners | None:
    """Return the box `xyxy` around the pixels of every second run; runs go along the rows of an image of this size.

    None where no pixel is set, or the runs are longer than the image.
    """
    if min((width, height, *runs), default=0) < 0 or not 0 < sum(runs) <= width * height <= _MOST_PIXELS:
        return None
    turned = _runs_extent(np.array(runs, dtype=np.int64), width)
    return None if turned is None else (turned[1], turned[0], turned[3], turned[2])


def _numbers(polygon: Any) -> FloatArray | None:
    """Return the numbers of a polygon, of which there are at least three points; None where it is none."""
    if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
        return None
    if not set(map(type, polygon)) <= {int, float}:
        return None
    return np.array(polygon, dtype=np.float64)


def _runs_extent(runs: np.ndarray[Any, np.dtype[np.int64]], height: int) -> Corners | None:
    """Return the box around the pixels of every second run; runs go down the columns of an image of this height."""
    ends = np.cumsum(runs)
    starts, ends = ends[:-1:2], ends[1::2]
    is_set = ends > starts
    starts, lasts = starts[is_set], ends[is_set] - 1
    if not len(starts):
        return None
    x1, x2 = starts // height, lasts // height
    is_long = x2 > x1  # it goes on at the top of the next column
    y1, y2 = np.where(is_long, 0, starts % height), np.where(is_long, height - 1, lasts % height)
    return float(x1.min()), float(y1.min()), float(x2.max() + 1), float(y2.max() + 1)


def _uncompressed(text: str) -> list[int] | None:
    """Return the runs of a compressed mask: five bits a character from 0, the sixth says that more follow.

    From the fourth on a run is written as its difference to the one before the last.

    Source: https://github.com/cocodataset/cocoapi/blob/master/common/maskApi.c (rleFrString).
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            return None
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift  # the sign
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs if shift == 0 else None
