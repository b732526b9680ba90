"""Pure numpy arithmetic on boxes of shape (N, 4).

`xyxy` is x1, y1, x2, y2 in pixels, origin at the top-left corner of the first pixel, x2 and y2 exclusive; `xywh` is the
top-left corner and the size; `cxcywh_norm` is the centre and the size divided by the width and height of the image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from detect_transfer.core.arrays import FloatArray

ROUNDING_PX = 0.01  # what rounding may move an edge by: of shares with six decimals in images of up to 10,000 pixels


def xywh_to_xyxy(xywh: ArrayLike) -> FloatArray:
    """Turn COCO boxes (N, 4) of top-left corner and size into corners (N, 4)."""
    b = np.asarray(xywh, dtype=np.float64).reshape(-1, 4)
    return np.concatenate([b[:, :2], b[:, :2] + b[:, 2:]], axis=1)


def xyxy_to_xywh(xyxy: ArrayLike) -> FloatArray:
    """Turn corners (N, 4) into COCO boxes (N, 4) of top-left corner and size."""
    b = np.asarray(xyxy, dtype=np.float64).reshape(-1, 4)
    return np.concatenate([b[:, :2], b[:, 2:] - b[:, :2]], axis=1)


def xyxy_to_cxcywh_norm(xyxy: ArrayLike, size_wh: ArrayLike) -> FloatArray:
    """Turn corners (N, 4) in pixels into YOLO boxes; `size_wh` is (2,) or one row a box (N, 2)."""
    b = np.asarray(xyxy, dtype=np.float64).reshape(-1, 4)
    size = np.asarray(size_wh, dtype=np.float64).reshape(-1, 2)
    return np.concatenate([(b[:, :2] + b[:, 2:]) / 2 / size, (b[:, 2:] - b[:, :2]) / size], axis=1)


def area(xyxy: ArrayLike) -> FloatArray:
    """Return the area (N,) in square pixels of corners (N, 4); 0 for an inverted box."""
    b = np.asarray(xyxy, dtype=np.float64).reshape(-1, 4)
    return np.asarray(np.clip(b[:, 2:] - b[:, :2], 0.0, None).prod(axis=1))


def clip(xyxy: ArrayLike, size_wh: ArrayLike) -> FloatArray:
    """Clip corners (N, 4) to the image; `size_wh` is (2,) or one row a box (N, 2)."""
    b = np.asarray(xyxy, dtype=np.float64).reshape(-1, 4)
    size = np.broadcast_to(np.asarray(size_wh, dtype=np.float64).reshape(-1, 2), (len(b), 2))
    return np.clip(b, 0.0, np.tile(size, 2))


def intersection(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Return the common area (N, M) of every box of `a` (N, 4) with every box of `b` (M, 4)."""
    a, b = np.asarray(a, np.float64).reshape(-1, 4), np.asarray(b, np.float64).reshape(-1, 4)
    low = np.maximum(a[:, None, :2], b[None, :, :2])  # (N, M, 2)
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])  # (N, M, 2)
    return np.asarray(np.clip(high - low, 0.0, None).prod(axis=2))


def iou(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Return intersection over union (N, M); 0 where the union is empty."""
    common = intersection(a, b)
    union = area(a)[:, None] + area(b)[None, :] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def ioa(detections: ArrayLike, regions: ArrayLike) -> FloatArray:
    """Return intersection over the area of the detection (N, M); 0 for a detection without area."""
    common = intersection(detections, regions)
    own = area(detections)[:, None]
    return np.divide(common, own, out=np.zeros_like(common), where=own > 0)
