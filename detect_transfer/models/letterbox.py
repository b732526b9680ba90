"""Fitting an image to the network: scale, pad, and the way back for boxes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detect_transfer.core.arrays import FloatArray, RgbArray
from detect_transfer.core.input_size import InputSize

PAD_VALUE = 114  # the grey that YOLO models are trained with
PAD_MULTIPLE = 32  # the largest stride of a network


@dataclass(frozen=True)
class Fit:
    """How an image was fitted: network pixel = image pixel * scale + offset."""

    scale_x: float
    scale_y: float
    left: int
    top: int

    def to_network(self, xyxy: FloatArray) -> FloatArray:
        """Turn boxes (N, 4) in image pixels into network pixels."""
        return xyxy * self._scale + self._offset

    def to_image(self, xyxy: FloatArray) -> FloatArray:
        """Turn boxes (N, 4) in network pixels into image pixels."""
        return (xyxy - self._offset) / self._scale

    @property
    def _scale(self) -> FloatArray:
        return np.array([self.scale_x, self.scale_y] * 2)

    @property
    def _offset(self) -> FloatArray:
        return np.array([self.left, self.top] * 2, dtype=np.float64)


def resize_into(image_rgb: RgbArray, imgsz: int | InputSize, image_hw: tuple[int, int] | None = None) -> RgbArray:
    """Scale an image to be as large as `imgsz` allows; areas are averaged when it shrinks.

    Where it was decoded at a smaller scale, `image_hw` is the size that it has itself.
    """
    height, width = image_rgb.shape[:2]
    own_h, own_w = image_hw or (height, width)
    inner_h, inner_w = _inner(own_h, own_w, InputSize.of(imgsz))
    if (inner_h, inner_w) == (height, width):
        return image_rgb
    shrinks = max(inner_h, inner_w) < max(height, width)
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image_rgb, (inner_w, inner_h), interpolation=interpolation), dtype=np.uint8)


def fit_of(
    height: int, width: int, imgsz: int | InputSize, *, multiple: int | None = None
) -> tuple[Fit, tuple[int, int]]:
    """Return how an image of a size is fitted by `letterbox`, and height and width of the result."""
    size = InputSize.of(imgsz)
    inner_h, inner_w = _inner(height, width, size)
    out_h, out_w = size.hw if multiple is None else InputSize(inner_h, inner_w).rounded_up(multiple).hw
    return Fit(inner_w / width, inner_h / height, (out_w - inner_w) // 2, (out_h - inner_h) // 2), (out_h, out_w)


def letterbox(
    image_rgb: RgbArray,
    imgsz: int | InputSize,
    *,
    multiple: int | None = None,
    image_hw: tuple[int, int] | None = None,
) -> tuple[RgbArray, Fit]:
    """Scale an image into `imgsz` and pad it with grey, evenly on both sides.

    Args:
        image_rgb: (H, W, 3) uint8.
        imgsz: Pixels of the longer side, or height and width.
        multiple: None pads to all of `imgsz`; a number pads each side to the next multiple of it.
        image_hw: Height and width of the image itself, where it was decoded at a smaller scale.

    Returns:
        The padded image and the way back.
    """
    height, width = image_hw or image_rgb.shape[:2]
    small = resize_into(image_rgb, imgsz, (height, width))
    fit, size_hw = fit_of(height, width, imgsz, multiple=multiple)
    canvas = np.full((*size_hw, 3), PAD_VALUE, dtype=np.uint8)
    canvas[fit.top : fit.top + small.shape[0], fit.left : fit.left + small.shape[1]] = small
    return canvas, fit


def _inner(height: int, width: int, size: InputSize) -> tuple[int, int]:
    """Return height and width of an image that is scaled into a size."""
    ratio = min(size.height / height, size.width / width)
    return max(1, round(height * ratio)), max(1, round(width * ratio))
