"""Fitting an image to the network: scale, pad, and the way back for boxes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detect_transfer.core.arrays import FloatArray, RgbArray

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


def resize_long_side(image_rgb: RgbArray, imgsz: int, image_hw: tuple[int, int] | None = None) -> RgbArray:
    """Scale an image so that its longer side is `imgsz` pixels; areas are averaged when it shrinks.

    Where it was decoded at a smaller scale, `image_hw` is the size that it has itself.
    """
    height, width = image_rgb.shape[:2]
    own_h, own_w = image_hw or (height, width)
    inner_h, inner_w = _long_side(own_h, own_w, imgsz)
    if (inner_h, inner_w) == (height, width):
        return image_rgb
    shrinks = imgsz < max(height, width)
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image_rgb, (inner_w, inner_h), interpolation=interpolation), dtype=np.uint8)


def fit_of(height: int, width: int, imgsz: int, *, multiple: int | None = None) -> tuple[Fit, tuple[int, int]]:
    """Return how an image of a size is fitted by `letterbox`, and height and width of the result."""
    inner_h, inner_w = _long_side(height, width, imgsz)
    out_h, out_w = (imgsz, imgsz) if multiple is None else (_up(inner_h, multiple), _up(inner_w, multiple))
    return Fit(inner_w / width, inner_h / height, (out_w - inner_w) // 2, (out_h - inner_h) // 2), (out_h, out_w)


def letterbox(
    image_rgb: RgbArray, imgsz: int, *, multiple: int | None = None, image_hw: tuple[int, int] | None = None
) -> tuple[RgbArray, Fit]:
    """Scale an image to `imgsz` and pad it with grey, evenly on both sides.

    Args:
        image_rgb: (H, W, 3) uint8.
        imgsz: Pixels of the longer side.
        multiple: None pads to a square; a number pads each side to the next multiple of it.
        image_hw: Height and width of the image itself, where it was decoded at a smaller scale.

    Returns:
        The padded image and the way back.
    """
    height, width = image_hw or image_rgb.shape[:2]
    small = resize_long_side(image_rgb, imgsz, (height, width))
    fit, size_hw = fit_of(height, width, imgsz, multiple=multiple)
    canvas = np.full((*size_hw, 3), PAD_VALUE, dtype=np.uint8)
    canvas[fit.top : fit.top + small.shape[0], fit.left : fit.left + small.shape[1]] = small
    return canvas, fit


def _long_side(height: int, width: int, imgsz: int) -> tuple[int, int]:
    """Return height and width with the longer of them at `imgsz`."""
    ratio = imgsz / max(height, width)
    return max(1, round(height * ratio)), max(1, round(width * ratio))


def _up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
