"""Mosaic: four images around one point, so that objects are seen small, cut and in other surroundings.

Source: Bochkovskiy et al. 2020, "YOLOv4: Optimal Speed and Accuracy of Object Detection", section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from detect_transfer.core.arrays import FloatArray
from detect_transfer.models.letterbox import PAD_VALUE
from detect_transfer.training.train_sample import FittedImage, TrainSample, clip_sample

TILES = 4
_SHRUNK = (0.5, 1.0)  # range of the factor on all four


def mosaic(images: Sequence[FittedImage], *, random: np.random.Generator) -> TrainSample:
    """Lay four images around a random point, without their padding and shrunk alike; each has a corner there.

    Args:
        images: Four images of one size: those at the top left, top right, bottom left and bottom right.
        random: Chooses the point and the factor.
    """
    canvas_h, canvas_w = images[0].sample.pixels.shape[:2]
    x, y = (int(random.integers(side // 4, side - side // 4)) for side in (canvas_w, canvas_h))
    scale = float(random.uniform(*_SHRUNK))
    canvas = np.full_like(images[0].sample.pixels, PAD_VALUE)
    targets: list[FloatArray] = []
    whole: list[FloatArray] = []
    ignored: list[FloatArray] = []
    for image, right, below in zip(images, (0, 1, 0, 1), (0, 0, 1, 1), strict=True):
        left, top, end_x, end_y = image.content
        width, height = (max(1, round(side * scale)) for side in (end_x - left, end_y - top))
        content = image.sample.pixels[top:end_y, left:end_x]
        pixels = cv2.resize(content, (width, height), interpolation=cv2.INTER_AREA)
        first_x, first_y = (x if right else x - width), (y if below else y - height)
        columns = slice(max(0, first_x), min(canvas_w, first_x + width))
        rows = slice(max(0, first_y), min(canvas_h, first_y + height))
        canvas[rows, columns] = pixels[
            rows.start - first_y : rows.stop - first_y, columns.start - first_x : columns.stop - first_x
        ]
        factor = np.array([width / (end_x - left), height / (end_y - top)] * 2)
        shift = np.array([first_x, first_y] * 2, dtype=np.float64)
        of_targets, of_ignored = (
            (boxes - np.array([left, top] * 2)) * factor + shift for boxes in (image.sample.xyxy, image.sample.ignored)
        )
        tile = np.array([columns.start, rows.start, columns.stop, rows.stop], dtype=np.float64)
        whole.append(of_targets)
        targets.append(_in_tile(of_targets, tile))
        ignored.append(_in_tile(of_ignored, tile))
    labels = np.concatenate([image.sample.labels for image in images])
    sample = TrainSample(canvas, np.concatenate(targets), labels, np.concatenate(ignored))
    return clip_sample(sample, np.concatenate(whole))


def _in_tile(xyxy: FloatArray, tile: FloatArray) -> FloatArray:
    """Clip boxes to a tile; what lies outside becomes an empty box at its edge."""
    return np.concatenate([np.clip(xyxy[:, :2], tile[:2], tile[2:]), np.clip(xyxy[:, 2:], tile[:2], tile[2:])], axis=1)
