"""Mosaic: four images around one point, so that objects are seen small, cut and in other surroundings.

Source: Bochkovskiy et al. 2020, "YOLOv4: Optimal Speed and Accuracy of Object Detection", section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detect_transfer.core.arrays import FloatArray
from detect_transfer.models.letterbox import PAD_VALUE
from detect_transfer.training.train_sample import TrainSample, clip_sample

TILES = 4


def mosaic(samples: Sequence[TrainSample], *, random: np.random.Generator) -> TrainSample:
    """Lay four images of one size around a random point; each shows the corner that lies at that point.

    Args:
        samples: Four fitted images (S, S, 3): those at the top left, top right, bottom left and bottom right.
        random: Chooses the point.
    """
    size = samples[0].pixels.shape[0]
    x, y = (int(random.integers(size // 4, size - size // 4)) for _ in range(2))
    canvas = np.full_like(samples[0].pixels, PAD_VALUE)
    targets: list[FloatArray] = []
    ignored: list[FloatArray] = []
    for sample, right, below in zip(samples, (0, 1, 0, 1), (0, 0, 1, 1), strict=True):
        columns, rows = (slice(x, size) if right else slice(0, x)), (slice(y, size) if below else slice(0, y))
        shift_x, shift_y = (x if right else x - size), (y if below else y - size)
        canvas[rows, columns] = sample.pixels[
            rows.start - shift_y : rows.stop - shift_y, columns.start - shift_x : columns.stop - shift_x
        ]
        tile = np.array([columns.start, rows.start, columns.stop, rows.stop], dtype=np.float64)
        shift = np.array([shift_x, shift_y] * 2, dtype=np.float64)
        targets.append(_in_tile(sample.xyxy + shift, tile))
        ignored.append(_in_tile(sample.ignored + shift, tile))
    labels = np.concatenate([sample.labels for sample in samples])
    whole = np.concatenate([sample.xyxy for sample in samples])
    return clip_sample(TrainSample(canvas, np.concatenate(targets), labels, np.concatenate(ignored)), whole)


def _in_tile(xyxy: FloatArray, tile: FloatArray) -> FloatArray:
    """Clip boxes to a tile; what lies outside becomes an empty box at its edge."""
    return np.concatenate([np.clip(xyxy[:, :2], tile[:2], tile[2:]), np.clip(xyxy[:, 2:], tile[:2], tile[2:])], axis=1)
