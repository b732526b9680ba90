"""Pixel helpers: polygons and strokes with sub-pixel corners, pasting, cached noise and foliage.

Everywhere the origin is the top-left *corner* of the first pixel; OpenCV counts from its centre, hence
the halves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from detect_transfer.synthetic.tasks import Rgb

Image = NDArray[np.uint8]
Points = NDArray[np.float64]

SHIFT = 4  # fractional bits of cv2 coordinates: 1/16 pixel
N_FOLIAGE = 8


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A scene while it is drawn.

    Attributes:
        image_rgb: (H, W, 3) uint8, drawn upon in place.
        rng: The only source of chance.
        horizon: Row of the horizon in pixels.
        scale: Shorter image side over 320: how many pixels a nominal pixel has.
    """

    image_rgb: Image
    rng: np.random.Generator
    horizon: float
    scale: float

    @property
    def size_wh(self) -> tuple[int, int]:
        """Image width and height in pixels."""
        return self.image_rgb.shape[1], self.image_rgb.shape[0]


def jitter(rng: np.random.Generator, rgb: Rgb, amount: int) -> Rgb:
    """Vary a colour by up to `amount` grey levels: all channels together, and each a little on its own."""
    common = rng.integers(-amount, amount + 1)
    own = rng.integers(-amount // 4, amount // 4 + 1, 3)
    red, green, blue = (int(v) for v in np.clip(np.array(rgb) + common + own, 0, 255))
    return red, green, blue


def pick_colour(rng: np.random.Generator, palette: Sequence[Rgb], amount: int) -> Rgb:
    """Draw a colour of a palette and vary it as `jitter` does."""
    return jitter(rng, palette[int(rng.integers(len(palette)))], amount)


def fixed_point(xy: Points) -> NDArray[np.int32]:
    """Return points in pixels as OpenCV takes them, in `SHIFT` fractional bits."""
    return np.round((xy - 0.5) * (1 << SHIFT)).astype(np.int32)


def fill(image: Image, xy: Points, rgb: Rgb) -> None:
    """Fill a polygon of (M, 2) corners in pixels, which may lie outside; the image is changed in place."""
    cv2.fillPoly(image, [fixed_point(xy)], rgb, cv2.LINE_AA, SHIFT)


def stroke(image: Image, xy: Points, rgb: Rgb, width: float) -> None:
    """Draw an open line through (M, 2) points in pixels, of a width rounded to whole pixels and at least 1."""
    cv2.polylines(image, [fixed_point(xy)], False, rgb, max(1, round(width)), cv2.LINE_AA, SHIFT)


def box_points(x1: float, y1: float, x2: float, y2: float) -> Points:
    """Return the four corners of a box, (4, 2) float64 in pixels, clockwise."""
    return np.array(((x1, y1), (x2, y1), (x2, y2), (x1, y2)), dtype=np.float64)


def warp_points(homography: NDArray[np.float64], xy: Points) -> Points:
    """Map points through a homography.

    Args:
        homography: (3, 3), applied to column vectors (x, y, 1).
        xy: (M, 2) points.

    Returns:
        (M, 2) float64 mapped points.
    """
    mapped = xy @ homography[:, :2].T + homography[:, 2]  # (M, 3)
    return np.asarray(mapped[:, :2] / mapped[:, 2:], dtype=np.float64)


def overlap(
    size_wh: tuple[int, int], patch_hw: tuple[int, int], corner_xy: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Find where a patch and an image meet.

    Args:
        size_wh: Image width and height.
        patch_hw: Patch height and width.
        corner_xy: Column and row of the patch's first pixel in the image; may be negative.

    Returns:
        Row and column slices of the image, then those of the patch; empty slices if they do not meet.
    """
    (width, height), (x0, y0) = size_wh, corner_xy
    x1, y1 = min(width, max(0, x0)), min(height, max(0, y0))
    x2, y2 = max(x1, min(width, x0 + patch_hw[1])), max(y1, min(height, y0 + patch_hw[0]))
    return (slice(y1, y2), slice(x1, x2)), (slice(y1 - y0, y2 - y0), slice(x1 - x0, x2 - x0))


def paste(image: Image, patch: Image, alpha: Image, corner_xy: tuple[int, int]) -> None:
    """Blend a patch over an image.

    Args:
        image: (H, W, 3) uint8, changed in place.
        patch: (h, w, 3) uint8.
        alpha: (h, w) uint8, 255 is opaque.
        corner_xy: Column and row of the patch's first pixel; may be negative.
    """
    there, here = overlap((image.shape[1], image.shape[0]), (patch.shape[0], patch.shape[1]), corner_xy)
    below = image[there].astype(np.float32)
    weight = alpha[here].astype(np.float32)[:, :, None] * np.float32(1 / 255)
    below += (patch[here] - below) * weight
    image[there] = (below + np.float32(0.5)).astype(np.uint8)


@lru_cache(maxsize=1)
def _white_noise() -> Image:
    noise = np.random.default_rng(20261).normal(128.0, 32.0, (512, 512, 3))
    return np.clip(noise, 0, 255).astype(np.uint8)


@lru_cache(maxsize=1)
def _cloud_noise() -> Image:
    rng = np.random.default_rng(20262)
    field = np.zeros((512, 512), dtype=np.float32)
    for cells, weight in ((8, 1.0), (16, 0.6), (32, 0.45), (64, 0.3), (128, 0.25), (256, 0.3)):
        octave = np.pad(rng.standard_normal((cells, cells)).astype(np.float32), 2, mode="wrap")
        side, border = 512 // cells * (cells + 4), 512 // cells * 2
        smooth = cv2.resize(octave, (side, side), interpolation=cv2.INTER_CUBIC)
        # The wrapped cells at the border make the field repeat without a seam.
        field += weight * smooth[border:-border, border:-border]
    grey = np.clip(128 + 40 * (field - field.mean()) / field.std(), 0, 255)
    return np.asarray(grey, dtype=np.float32).astype(np.uint8)


def _crop(tile: Image, rng: np.random.Generator, size_wh: tuple[int, int]) -> Image:
    width, height = size_wh
    x0, y0 = int(rng.integers(tile.shape[1])), int(rng.integers(tile.shape[0]))
    rows, columns = -(-(y0 + height) // tile.shape[0]), -(-(x0 + width) // tile.shape[1])
    repeats = (rows, columns, 1)[: tile.ndim]
    return np.tile(tile, repeats)[y0 : y0 + height, x0 : x0 + width]


def white_noise(rng: np.random.Generator, size_wh: tuple[int, int]) -> Image:
    """Cut a random window out of a fixed field of pixel noise: (h, w, 3) uint8, mean 128, deviation 32."""
    return _crop(_white_noise(), rng, size_wh)


def cloud_noise(rng: np.random.Generator, size_wh: tuple[int, int]) -> Image:
    """Cut a random window out of a fixed field of smooth noise: (h, w) uint8, mean 128, deviation 40."""
    return _crop(_cloud_noise(), rng, size_wh)


@lru_cache(maxsize=N_FOLIAGE)
def _foliage(variant: int) -> tuple[Image, Image]:
    rng = np.random.default_rng([20263, variant])
    mask = np.zeros((160, 160), dtype=np.uint8)
    shade = np.full((160, 160), 90, dtype=np.uint8)
    for _ in range(340):
        angle, radius = rng.uniform(0, 2 * np.pi), 66 * np.sqrt(rng.uniform()) * rng.uniform(0.75, 1.05)
        centre = (int(80 + radius * np.cos(angle)), int(80 + radius * np.sin(angle)))
        axes = (int(rng.integers(4, 11)), int(rng.integers(2, 6)))
        # Light comes from above: leaves near the top are brighter.
        grey = int(np.clip(150 - 0.7 * (centre[1] - 80) + rng.normal(0, 28), 30, 255))
        tilt = float(rng.uniform(0, 180))
        cv2.ellipse(mask, centre, axes, tilt, 0, 360, 255, -1)
        cv2.ellipse(shade, centre, axes, tilt, 0, 360, grey, -1)
    return mask, shade


def foliage(rng: np.random.Generator, size_wh: tuple[int, int], rgb: Rgb) -> tuple[Image, Image]:
    """Draw a clump of leaves.

    Args:
        rng: Source of chance.
        size_wh: Width and height of the clump in pixels, at least 1.
        rgb: Colour of a leaf in full light, 0..255.

    Returns:
        (h, w, 3) uint8 colours and (h, w) uint8 alpha.
    """
    mask, shade = _foliage(int(rng.integers(N_FOLIAGE)))
    if rng.uniform() < 0.5:
        mask, shade = mask[:, ::-1], shade[:, ::-1]
    mask = np.asarray(cv2.resize(mask, size_wh, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    shade = np.asarray(cv2.resize(shade, size_wh, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    patch = cv2.merge([cv2.convertScaleAbs(shade, alpha=value / 170) for value in rgb])
    return np.asarray(patch, dtype=np.uint8), mask
