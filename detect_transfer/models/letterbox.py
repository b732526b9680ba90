"""Fitting an image to the network: scale, pad, and the way back for boxes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detect_transfer.core.arrays import FloatArray, RgbArray

PAD_VALUE = 114  # the grey that YOLO models are trained with


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


def resize_long_side(image_rgb: RgbArray, imgsz: int) -> RgbArray:
    """Scale an image so that its longer side is `imgsz` pixels; areas are averaged when it shrinks."""
    height, width = image_rgb.shape[:2]
    ratio = imgsz / max(height, width)
    if ratio == 1:
        return image_rgb
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    shrinks = ratio < 1
    return np.asarray(
        cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR), dtype=np.uint8
    )


def letterbox(image_rgb: RgbArray, imgsz: int, *, multiple: int | None = None) -> tuple[RgbArray, Fit]:
    """Scale an image to `imgsz` and pad it with grey, evenly on both sides.

    Args:
        image_rgb: (H, W, 3) uint8.
        imgsz: Pixels of the longer side.
        multiple: None pads to a square; a number pads each side to the next multiple of it.

    Returns:
        The padded image and the way back.
    """
    height, width = image_rgb.shape[:2]
    small = resize_long_side(image_rgb, imgsz)
    inner_h, inner_w = small.shape[:2]
    out_w, out_h = (imgsz, imgsz) if multiple is None else (_up(inner_w, multiple), _up(inner_h, multiple))
    left, top = (out_w - inner_w) // 2, (out_h - inner_h) // 2
    canvas = np.full((out_h, out_w, 3), PAD_VALUE, dtype=np.uint8)
    canvas[top : top + inner_h, left : left + inner_w] = small
    return canvas, Fit(inner_w / width, inner_h / height, left, top)


def _up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
