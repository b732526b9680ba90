"""Sign faces: the unit outline of each shape and a cached pyramid of its drawn face."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from detect_transfer.synthetic.canvas import Image, Points
from detect_transfer.synthetic.glyphs import PICTOGRAMS, Mark, text_marks
from detect_transfer.synthetic.tasks import Outline, Rgb, SignClass

EXTENT = 1.25  # a template covers -EXTENT..EXTENT sign units along both axes
_LARGEST = 512
_SMALLEST = 32
_OVERSAMPLE = 2

# Width and height of a text over the face, in sign units, and its pen.
_TEXT_BOX: dict[Outline, tuple[float, float, float]] = {
    "circle": (1.2, 0.88, 0.2),
    "octagon": (1.56, 0.62, 0.13),
    "plate": (1.16, 0.84, 0.19),
}


def _rounded(corners: Points, radius: float) -> Points:
    """Replace each corner by a small quadratic curve that begins and ends `radius` away from it."""
    pieces = []
    t = np.linspace(0, 1, 9)[:, None]
    for i, corner in enumerate(corners):
        ends = [
            corner + radius * (other - corner) / np.linalg.norm(other - corner)
            for other in (corners[i - 1], corners[(i + 1) % len(corners)])
        ]
        pieces.append((1 - t) ** 2 * ends[0] + 2 * t * (1 - t) * corner + t**2 * ends[1])
    return np.concatenate(pieces)


def _rectangle(half_width: float, half_height: float) -> Points:
    x, y = half_width, half_height
    return np.array(((-x, -y), (x, -y), (x, y), (-x, y)))


def _regular(n_corners: int, radius: float, first: float) -> Points:
    angle = np.deg2rad(first + np.arange(n_corners) * 360 / n_corners)
    return radius * np.stack((np.cos(angle), np.sin(angle)), axis=1)


# Outline around the centre of its inner circle, and the distance from there to its edges along x and y.
_OUTLINES: dict[Outline, tuple[Points, tuple[float, float]]] = {
    "circle": (_regular(128, 1.0, 0), (1.0, 1.0)),
    "octagon": (_regular(8, 1 / np.cos(np.pi / 8), 22.5), (1.0, 1.0)),
    "diamond": (_rounded(_regular(4, 1.2, 0), 0.14), (1.2 / 2**0.5, 1.2 / 2**0.5)),
    "square": (_rounded(_rectangle(0.92, 0.92), 0.14), (0.92, 0.92)),
    "wide": (_rounded(_rectangle(1.1, 0.58), 0.14), (1.1, 0.58)),
    "plate": (_rounded(_rectangle(0.9, 0.66), 0.14), (0.9, 0.66)),
    "triangle_up": (_rounded(_regular(3, 1.22, -90), 0.2), (0.61, 0.61)),
    "triangle_down": (_rounded(_regular(3, 1.22, 90), 0.2), (0.61, 0.61)),
}


def outline_points(sign_class: SignClass) -> Points:
    """Return the edge of a sign, a convex polygon (M, 2) in sign units (half widths, y down) about its centre."""
    return _OUTLINES[sign_class.outline][0]


def _inset(sign_class: SignClass, depth: float) -> Points:
    points, (reach_x, reach_y) = _OUTLINES[sign_class.outline]
    return points * (1 - depth / reach_x, 1 - depth / reach_y)


def _marks(sign_class: SignClass) -> list[Mark]:
    marks = PICTOGRAMS[sign_class.symbol]() if sign_class.symbol else []
    if sign_class.text:
        marks += text_marks(sign_class.text, *_TEXT_BOX[sign_class.outline])
    return marks


def _draw_face(sign_class: SignClass, side: int) -> Image:
    """Draw colours without alpha, (side, side, 3); what lies outside the edge has the colour of the edge."""
    face = np.empty((side, side, 3), dtype=np.uint8)
    unit = side / (2 * EXTENT)

    def to_pixels(xy: Points) -> NDArray[np.int32]:
        return np.round((xy + EXTENT) * unit - 0.5).astype(np.int32)

    edge, rim = sign_class.edge, sign_class.edge + sign_class.rim
    face[:] = sign_class.face_rgb if edge else sign_class.rim_rgb
    cv2.fillPoly(face, [to_pixels(_inset(sign_class, edge))], sign_class.rim_rgb)
    cv2.fillPoly(face, [to_pixels(_inset(sign_class, rim))], sign_class.face_rgb)
    for mark in _marks(sign_class):
        rgb: Rgb = sign_class.ink_rgb if mark.rgb is None else mark.rgb
        if mark.width:
            cv2.polylines(face, [to_pixels(mark.xy)], False, rgb, max(1, round(mark.width * unit)))
        else:
            cv2.fillPoly(face, [to_pixels(mark.xy)], rgb)
    return face


@lru_cache(maxsize=64)
def _pyramid(sign_class: SignClass) -> tuple[Image, ...]:
    side = _LARGEST * _OVERSAMPLE
    rgba = np.zeros((side, side, 4), dtype=np.uint8)
    rgba[:, :, :3] = _draw_face(sign_class, side)
    alpha = np.zeros((side, side), dtype=np.uint8)
    corners = (outline_points(sign_class) + EXTENT) * side / (2 * EXTENT) - 0.5
    cv2.fillPoly(alpha, [np.round(corners * 16).astype(np.int32)], 255, cv2.LINE_8, 4)
    rgba[:, :, 3] = alpha
    levels = []
    while side > _SMALLEST:
        side //= 2
        rgba = np.asarray(cv2.resize(rgba, (side, side), interpolation=cv2.INTER_AREA), dtype=np.uint8)
        rgba.flags.writeable = False  # shared by all scenes
        levels.append(rgba)
    return tuple(levels)


def face_template(sign_class: SignClass, sign_px: float) -> Image:
    """Return the face of a sign at about the resolution at which it will be shown.

    Args:
        sign_class: The class.
        sign_px: Width at which the sign is sampled, in pixels.

    Returns:
        (S, S, 4) uint8 RGBA, read-only, covering -EXTENT..EXTENT; S is the least power of two of
        32..512 that gives the sign `sign_px` pixels, or 512. Colour is not multiplied by alpha.
    """
    levels = _pyramid(sign_class)
    fitting = [level for level in levels if level.shape[0] >= sign_px * EXTENT]
    return fitting[-1] if fitting else levels[0]
