"""Houses: the facades and shops of a city street, and the farms of the country."""

import numpy as np

from detect_transfer.synthetic.canvas import Image, Stage, box_points, fill, jitter, pick_colour
from detect_transfer.synthetic.tasks import Rgb

_WALLS: tuple[Rgb, ...] = (
    (146, 104, 84),
    (168, 158, 144),
    (122, 126, 132),
    (184, 166, 132),
    (98, 92, 96),
    (156, 120, 106),
)


def _facade(rng: np.random.Generator, size_wh: tuple[int, int], scale: float) -> Image:
    """Tile a wall with windows, some of them lit: (h, w, 3) uint8."""
    width, height = size_wh
    cell_w, cell_h = (max(4, int(rng.uniform(9, 22) * scale)) for _ in range(2))
    columns, rows = -(-width // cell_w), -(-height // cell_h)
    wall = np.array(pick_colour(rng, _WALLS, 24), dtype=np.uint8)
    glass = np.array(jitter(rng, (62, 70, 84), 22), dtype=np.float64) * rng.uniform(0.75, 1.25, (rows, columns, 1))
    lit = rng.uniform(size=(rows, columns)) < rng.uniform(0, 0.45)
    glass[lit] = np.array((250, 214, 138)) * rng.uniform(0.6, 1.0, (int(lit.sum()), 1))
    panes = np.clip(glass, 0, 255).astype(np.uint8).repeat(cell_h, axis=0).repeat(cell_w, axis=1)[:height, :width]
    (left, right), (top, bottom) = (
        (int(cell * rng.uniform(0.12, 0.26)), int(cell * rng.uniform(0.66, 0.9))) for cell in (cell_w, cell_h)
    )
    row, column = np.arange(height) % cell_h, np.arange(width) % cell_w
    is_glass = ((row >= top) & (row < bottom))[:, None] & ((column >= left) & (column < right))[None, :]
    return np.where(is_glass[:, :, None], panes, wall)


def _shop(stage: Stage, x1: int, x2: int, base: int) -> None:
    """Give a house a ground floor with a wide window and perhaps an awning."""
    rng, image, floor = stage.rng, stage.image_rgb, int(26 * stage.scale)
    if rng.uniform() < 0.35 or x2 - x1 < floor:
        return
    image[base - floor : base, x1:x2] = jitter(rng, (74, 68, 66), 26)
    gap = max(1, floor // 6)
    glow: Rgb = (232, 196, 132) if rng.uniform() < 0.5 else (88, 98, 112)
    image[base - floor + 2 * gap : base - gap, x1 + gap : x2 - gap] = jitter(rng, glow, 24)
    if rng.uniform() < 0.6:
        awnings: tuple[Rgb, ...] = (
            (168, 40, 44),
            (36, 84, 140),
            (220, 214, 200),
            (206, 160, 48),
            (60, 66, 70),
        )
        rgb = pick_colour(rng, awnings, 20)
        image[base - floor - gap : base - floor + gap, x1:x2] = rgb


def draw_street(stage: Stage) -> None:
    """Line the horizon with city blocks, pale far ones behind the houses of the street."""
    rng, image, (width, height) = stage.rng, stage.image_rgb, stage.size_wh
    base = int(stage.horizon + 0.04 * height)
    # Pale blocks far away, then the houses of the street.
    haze = image[max(0, int(stage.horizon) - 2), 0].astype(np.float64)
    x = 0
    while x < width:
        block = int(rng.uniform(14, 44) * stage.scale) + 1
        rgb = jitter(rng, (int(haze[0] * 0.7), int(haze[1] * 0.7), int(haze[2] * 0.74)), 10)
        image[int(stage.horizon - rng.uniform(10, 90) * stage.scale) : base, x : x + block] = rgb
        x += block
    x = -int(rng.uniform(0, 40) * stage.scale)
    while x < width:
        block, roof = int(rng.uniform(42, 120) * stage.scale), int(stage.horizon * rng.uniform(0.0, 0.75))
        if rng.uniform() < 0.82:
            x1, x2 = max(0, x), min(width, x + block)
            if x2 > x1:
                image[roof:base, x1:x2] = _facade(rng, (x2 - x1, base - roof), stage.scale)
                _shop(stage, x1, x2, base)
        x += block


def draw_farm(stage: Stage) -> None:
    """Draw one farm house somewhere near the horizon."""
    rng, image, scale = stage.rng, stage.image_rgb, stage.scale
    x, y = rng.uniform(0, stage.size_wh[0]), stage.horizon + rng.uniform(2, 14) * scale
    width, height = rng.uniform(24, 64) * scale, rng.uniform(12, 30) * scale
    walls: tuple[Rgb, ...] = ((226, 218, 200), (172, 70, 58), (188, 164, 130))
    fill(image, box_points(x, y - height, x + width, y), pick_colour(rng, walls, 16))
    lip = 0.08 * width
    ridge = np.array(
        (
            (x - lip, y - height),
            (x + 0.2 * width, y - 1.7 * height),
            (x + 0.8 * width, y - 1.7 * height),
            (x + width + lip, y - height),
        )
    )
    fill(image, ridge, jitter(rng, (132, 70, 56), 26))
    for left in (0.15, 0.45, 0.75):
        window = box_points(x + left * width, y - 0.7 * height, x + (left + 0.14) * width, y - 0.35 * height)
        fill(image, window, (70, 76, 84))
