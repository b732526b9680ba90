"""A training image with what is in it, in the pixels of the network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from detect_transfer.core.arrays import FloatArray, RgbArray

SMALLEST_SIDE = 2.0  # network pixels; what an augmentation leaves below this is no target
LEAST_VISIBLE = 0.1  # share of the area that must be seen


@dataclass(frozen=True)
class TrainSample:
    """A fitted training image with what is in it.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        xyxy: (N, 4) boxes of the targets in its pixels.
        labels: (N,) their class indices.
        ignored: (M, 4) regions that are neither target nor background.
    """

    pixels: RgbArray
    xyxy: FloatArray
    labels: NDArray[np.int64]
    ignored: FloatArray


@dataclass(frozen=True)
class FittedImage:
    """A training image before any change.

    Args:
        sample: The pixels of the network (H, W, 3) with what is in them.
        content: Where in them the image is; around it is padding: x1, y1, x2, y2.
    """

    sample: TrainSample
    content: tuple[int, int, int, int]


def clip_sample(sample: TrainSample, full_xyxy: FloatArray) -> TrainSample:
    """Clip boxes to the image; a target that is left too small, or of which little is left, becomes ignored.

    What is left of such a target is no background, and too little to learn from.

    Args:
        sample: The image; its boxes may reach out of it.
        full_xyxy: (N, 4) the boxes of the targets before anything was clipped.
    """
    height, width = sample.pixels.shape[:2]
    xyxy, ignored = (np.clip(boxes, 0, [width, height] * 2) for boxes in (sample.xyxy, sample.ignored))
    sides = xyxy[:, 2:] - xyxy[:, :2]
    whole = np.prod(full_xyxy[:, 2:] - full_xyxy[:, :2], axis=1)
    trainable = (sides >= SMALLEST_SIDE).all(axis=1) & (np.prod(sides, axis=1) >= LEAST_VISIBLE * whole)
    ignored = np.concatenate([ignored, xyxy[~trainable]])
    not_empty = (ignored[:, 2:] > ignored[:, :2]).all(axis=1)
    return replace(sample, xyxy=xyxy[trainable], labels=sample.labels[trainable], ignored=ignored[not_empty])
