"""Which detections lie on an object of the truth, whatever their class."""

from __future__ import annotations

import numpy as np
import polars as pl

from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.arrays import BoolArray, FloatArray, IntArray

_LEAST_IOU = 0.5


def overlapping(image_id: pl.Series, corners: FloatArray, objects: pl.DataFrame) -> tuple[IntArray, IntArray]:
    """Return the pairs of a detection and an object of one image whose IoU is at least 0.5.

    Args:
        image_id: (N,) the image of each detection.
        corners: (N, 4) its corners in pixels; NaN lies on nothing.
        objects: (M) rows with `image_id` and corners.

    Returns:
        Places (P,) of the detections and (P,) of the objects.
    """
    rows = pl.DataFrame({"image_id": image_id}).with_row_index("row")
    pairs = rows.join(objects.select("image_id").with_row_index("object"), on="image_id")
    row, of_object = (pairs[name].to_numpy().astype(np.int64) for name in ("row", "object"))
    a, b = corners[row], objects.select(XYXY).to_numpy()[of_object]
    common = np.clip(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0, None).prod(axis=1)
    areas = (a[:, 2:] - a[:, :2]).prod(axis=1) + (b[:, 2:] - b[:, :2]).prod(axis=1)
    on = (common > 0) & (common >= _LEAST_IOU * (areas - common))
    return row[on], of_object[on]


def on_an_object(image_id: pl.Series, corners: FloatArray, truth: AnnotationTable) -> BoolArray:
    """Tell which detections (N,) lie on an object of the truth; corners (N, 4) in pixels."""
    on_object = np.zeros(len(image_id), bool)
    on_object[overlapping(image_id, corners, truth.boxes)[0]] = True
    return on_object
