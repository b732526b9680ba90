"""Things in front of signs: leaves, posts, stickers and snow; each is dropped where it would hide too much."""

import cv2
import numpy as np
from numpy.typing import NDArray

from detect_transfer.synthetic.canvas import (
    SHIFT,
    Image,
    Points,
    Stage,
    fixed_point,
    foliage,
    jitter,
    overlap,
    paste,
    pick_colour,
    warp_points,
)
from detect_transfer.synthetic.glyphs import arc
from detect_transfer.synthetic.placing import Placed
from detect_transfer.synthetic.tasks import Rgb

MIN_VISIBLE = 0.4  # below this share an occluder is not drawn
_PROBABILITY = 0.24
_STICKERS: tuple[Rgb, ...] = ((238, 236, 224), (30, 30, 34), (60, 140, 190), (226, 190, 60), (210, 90, 150))


def _leaves(stage: Stage, sign: Placed) -> tuple[Image, Image, tuple[int, int]]:
    rng = stage.rng
    side = max(4, int(sign.size * rng.uniform(0.6, 1.3)))
    greens: tuple[Rgb, ...] = ((98, 138, 56), (74, 112, 46), (150, 118, 52))
    patch, alpha = foliage(rng, (side, side), pick_colour(rng, greens, 16))
    # Hangs in from a random side, the centre near the edge of the sign.
    angle, reach = rng.uniform(0, 2 * np.pi), 0.5 * sign.size * rng.uniform(0.75, 1.25)
    x1, y1, x2, y2 = sign.full_xyxy
    x, y = (x1 + x2) / 2 + reach * np.cos(angle), (y1 + y2) / 2 + reach * np.sin(angle)
    return patch, alpha, (int(x - side / 2), int(y - side / 2))


def _flat(stage: Stage, xy: Points, rgb: Rgb) -> tuple[Image, Image, tuple[int, int]]:
    """Cut a polygon of one colour out of the image's area."""
    width, height = stage.size_wh
    corner = (max(0, int(xy[:, 0].min()) - 1), max(0, int(xy[:, 1].min()) - 1))
    patch_w = max(1, min(width, int(xy[:, 0].max()) + 2) - corner[0])
    patch_h = max(1, min(height, int(xy[:, 1].max()) + 2) - corner[1])
    alpha = np.zeros((patch_h, patch_w), dtype=np.uint8)
    cv2.fillPoly(alpha, [fixed_point(xy - corner)], 255, cv2.LINE_AA, SHIFT)
    patch = np.empty((patch_h, patch_w, 3), dtype=np.uint8)
    patch[:] = rgb
    return patch, alpha, corner


def _post(stage: Stage, sign: Placed) -> tuple[Image, Image, tuple[int, int]]:
    rng, (_, height) = stage.rng, stage.size_wh
    x1, y1, x2, _ = sign.full_xyxy
    thickness = sign.size * rng.uniform(0.08, 0.24)
    top_x, foot_x = rng.uniform(x1, x2) + rng.normal(0, 0.04, 2) * sign.size
    top_y = y1 - rng.uniform(0.1, 2.0) * sign.size
    xy = np.array(((top_x, top_y), (top_x + thickness, top_y), (foot_x + thickness, height), (foot_x, height)))
    return _flat(stage, xy, jitter(rng, (92, 88, 84), 36))


def _sticker(stage: Stage, sign: Placed) -> tuple[Image, Image, tuple[int, int]]:
    rng = stage.rng
    centre, radius = rng.uniform(-0.55, 0.55, 2), rng.uniform(0.14, 0.32)
    if rng.uniform() < 0.5:
        xy = arc((centre[0], centre[1]), (radius, radius), 0, 350)
    else:
        turn = rng.uniform(0, 360)
        xy = arc((centre[0], centre[1]), (radius, radius * rng.uniform(0.6, 1.0)), turn, turn + 270)[::9]
    rgb = pick_colour(rng, _STICKERS, 14)
    return _flat(stage, warp_points(sign.homography, xy), rgb)


def _hidden(covered: NDArray[np.float32], coverages: list[Image]) -> NDArray[np.float64]:
    """Return the visible share of each sign, (N,), under an (H, W) occluder alpha in [0, 1]."""
    shares = [
        1.0 - float((c * covered).sum(dtype=np.float64)) / max(1.0, float(c.sum(dtype=np.float64))) for c in coverages
    ]
    return np.clip(np.array(shares, dtype=np.float64), 0.0, 1.0)


def draw_occluders(stage: Stage, signs: list[Placed], coverages: list[Image]) -> NDArray[np.float64]:
    """Hide parts of some signs.

    Args:
        stage: The scene, drawn upon.
        signs: The placed signs.
        coverages: For each sign its (H, W) uint8 coverage of the image.

    Returns:
        (N,) float64 visible share of each sign's part inside the image, `MIN_VISIBLE`..1.
    """
    rng = stage.rng
    covered = np.zeros(stage.image_rgb.shape[:2], dtype=np.float32)
    visible = np.ones(len(signs), dtype=np.float64)
    for sign in signs:
        if rng.uniform() >= _PROBABILITY:
            continue
        maker = (_leaves, _post, _sticker)[int(rng.choice(3, p=(0.4, 0.3, 0.3)))]
        patch, alpha, corner_xy = maker(stage, sign)
        there, here = overlap(stage.size_wh, (alpha.shape[0], alpha.shape[1]), corner_xy)
        trial = covered.copy()
        trial[there] = 1 - (1 - trial[there]) * (1 - alpha[here].astype(np.float32) / 255)
        shares = _hidden(trial, coverages)
        if shares.min() < MIN_VISIBLE:
            continue
        paste(stage.image_rgb, patch, alpha, corner_xy)
        covered, visible = trial, shares
    return visible
