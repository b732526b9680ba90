"""What lies behind the signs: sky, hills, trees, ground and road, in two settings."""

import cv2
import numpy as np

from detect_transfer.synthetic.canvas import (
    Image,
    Stage,
    cloud_noise,
    fill,
    foliage,
    jitter,
    overlap,
    pick_colour,
    stroke,
)
from detect_transfer.synthetic.houses import draw_farm, draw_street
from detect_transfer.synthetic.tasks import Rgb, Setting

# Colours of the sky at the top and at the horizon.
_DAY_SKIES: tuple[tuple[Rgb, Rgb], ...] = (
    ((70, 130, 205), (200, 222, 236)),
    ((112, 160, 214), (226, 230, 228)),
    ((160, 170, 180), (214, 216, 214)),
    ((92, 142, 188), (236, 224, 196)),
)
_DUSK_SKIES: tuple[tuple[Rgb, Rgb], ...] = (
    ((44, 52, 92), (226, 146, 98)),
    ((60, 74, 112), (196, 160, 158)),
    ((96, 102, 116), (158, 156, 156)),
    ((34, 38, 66), (120, 96, 110)),
    ((110, 128, 160), (214, 196, 176)),
)
_FIELDS: tuple[Rgb, ...] = ((96, 136, 58), (122, 150, 66), (172, 160, 84), (84, 118, 52), (142, 128, 78))
_LEAVES: tuple[Rgb, ...] = ((92, 128, 54), (70, 108, 48), (118, 132, 60), (140, 112, 48))


def _sky(image: Image, rng: np.random.Generator, horizon: float, skies: tuple[tuple[Rgb, Rgb], ...]) -> None:
    top, bottom = (np.array(jitter(rng, rgb, 12), dtype=np.float32) for rgb in skies[int(rng.integers(len(skies)))])
    height, width = image.shape[:2]
    t = np.clip(np.arange(height, dtype=np.float32) / horizon, 0, 1)[:, None]
    image[:] = (top + (bottom - top) * t).astype(np.uint8)[:, None, :]
    rows = int(horizon)
    clouds = cv2.resize(cloud_noise(rng, (width // 2, max(1, rows // 3))), (width, rows))
    veil = cv2.convertScaleAbs(cv2.subtract(clouds, np.full_like(clouds, 120)), alpha=float(rng.uniform(0, 1.0)))
    image[:rows] = cv2.add(image[:rows], cv2.merge([veil, veil, veil]))


def _tree(stage: Stage, x: float, ground: float, height: float) -> None:
    """Draw a tree that stands at column `x` and row `ground`; all numbers are pixels."""
    rng, image = stage.rng, stage.image_rgb
    trunk = jitter(rng, (84, 66, 52), 16)
    top = (x + rng.uniform(-0.05, 0.05) * height, ground - 0.6 * height)
    stroke(image, np.array(((x, ground), top)), trunk, 0.06 * height)
    width, crown = max(6, int(height * rng.uniform(0.6, 0.95))), max(6, int(height * rng.uniform(0.7, 0.85)))
    patch, mask = foliage(rng, (width, crown), pick_colour(rng, _LEAVES, 18))
    corner = (int(x - width / 2), int(ground - height))
    there, here = overlap(stage.size_wh, (crown, width), corner)
    if there[0].start < there[0].stop and there[1].start < there[1].stop:
        window = np.ascontiguousarray(image[there])
        cv2.copyTo(patch[here], cv2.threshold(mask[here], 127, 255, cv2.THRESH_BINARY)[1], window)
        image[there] = window


def _road(stage: Stage, ground: Rgb, verge: Rgb, spread: float) -> None:
    """Draw the ground and a road; `spread` is its half width at the lower edge over the image width."""
    rng, image, (width, height) = stage.rng, stage.image_rgb, stage.size_wh
    top = stage.horizon + 0.02 * height
    image[int(top) :] = verge
    vanish, middle = width * rng.uniform(0.25, 0.75), width * rng.uniform(0.2, 0.8)

    def strip(near: tuple[float, float], far: tuple[float, float], t1: float = 0.0, t2: float = 1.0) -> np.ndarray:
        # Both bounds run from the vanishing point (t = 0) to the lower edge (t = 1).
        corners = ((near[0], far[0], t1), (near[1], far[1], t1), (near[1], far[1], t2), (near[0], far[0], t2))
        return np.array([(f + (n - f) * t, top + (height - top) * t) for n, f, t in corners])

    half, thin = width * spread, 0.014 * width
    far = (vanish - 0.012 * width, vanish + 0.012 * width)
    fill(image, strip((middle - half * 1.3, middle + half * 1.3), far), jitter(rng, (150, 148, 142), 18))
    fill(image, strip((middle - half, middle + half), far), ground)
    paint = jitter(rng, (220, 218, 206), 16)
    for side in (-0.92, 0.92):
        edge = middle + side * half
        fill(image, strip((edge - thin / 2, edge + thin / 2), (vanish, vanish)), paint)
    for near in 0.95 * 0.62 ** np.arange(5) if rng.uniform() < 0.75 else ():
        fill(image, strip((middle - thin, middle + thin), (vanish, vanish), near * 0.78, near), paint)
    if rng.uniform() < 0.25:
        start = rng.uniform(0.35, 0.7)
        for left in np.linspace(-0.85, 0.7, 7):
            lane = (middle + left * half, middle + (left + 0.13) * half)
            fill(image, strip(lane, (vanish, vanish), start, start * 1.18), paint)


def _hills(stage: Stage) -> None:
    rng, image, (width, _) = stage.rng, stage.image_rgb, stage.size_wh
    x = np.linspace(0, width, 25)
    for layer in range(int(rng.integers(1, 4)), 0, -1):
        swell = sum(np.sin(x / width * rng.uniform(2, 9) + rng.uniform(0, 6.3)) for _ in range(3))
        y = stage.horizon - stage.scale * (layer * 12 + rng.uniform(3, 7) * swell)
        pale: Rgb = (84 + 26 * layer, 116 + 18 * layer, 74 + 34 * layer)
        floor = np.array(((width, stage.horizon + 9), (0, stage.horizon + 9)))
        fill(image, np.concatenate((np.stack((x, y), axis=1), floor)), jitter(rng, pale, 14))


def draw_backdrop(stage: Stage, setting: Setting) -> None:
    """Paint the whole image with a place without signs: the country by day or the city at dusk."""
    rng, (width, height) = stage.rng, stage.size_wh
    if setting == "country":
        _sky(stage.image_rgb, rng, stage.horizon, _DAY_SKIES)
        _hills(stage)
        field = pick_colour(rng, _FIELDS, 14)
        _road(stage, jitter(rng, (120, 118, 116), 20), field, rng.uniform(0.15, 0.4))
        for _ in range(int(rng.integers(0, 3))):
            draw_farm(stage)
        n_trees, tallest = int(rng.integers(3, 10)), 130.0
    else:
        _sky(stage.image_rgb, rng, stage.horizon, _DUSK_SKIES)
        draw_street(stage)
        _road(stage, jitter(rng, (72, 74, 80), 16), jitter(rng, (112, 108, 106), 18), rng.uniform(0.3, 0.75))
        n_trees, tallest = int(rng.integers(0, 3)), 150.0
    # Small trees stand far away, so they are drawn first.
    for size in np.sort(np.exp(rng.uniform(np.log(18), np.log(tallest), n_trees))):
        foot = stage.horizon + 0.02 * height + 0.14 * size * stage.scale
        _tree(stage, float(rng.uniform(0, width)), float(foot), float(size) * stage.scale)
