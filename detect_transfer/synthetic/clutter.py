"""Things among the signs that are no signs: cars, boards, lamps, poles and fences."""

import numpy as np

from detect_transfer.synthetic.canvas import Points, Stage, box_points, fill, jitter, pick_colour, stroke, warp_points
from detect_transfer.synthetic.glyphs import LETTERS, arc, text_marks
from detect_transfer.synthetic.placing import Placed, Pose, pose_homography
from detect_transfer.synthetic.tasks import Rgb, Setting

_PAINTS: tuple[Rgb, ...] = (
    (150, 30, 34),
    (36, 60, 104),
    (206, 206, 204),
    (44, 46, 50),
    (120, 124, 128),
    (62, 92, 80),
    (190, 176, 140),
)
_BOARDS: tuple[Rgb, ...] = (
    (190, 44, 48),
    (40, 92, 160),
    (236, 232, 222),
    (228, 182, 60),
    (66, 62, 70),
    (146, 84, 140),
    (226, 122, 48),
)


def _car(stage: Stage) -> None:
    rng, image = stage.rng, stage.image_rgb
    near = rng.uniform() ** 2  # most cars are far away
    width = (18 + 80 * near) * stage.scale
    left = rng.uniform(0, stage.size_wh[0]) - width / 2
    ground = stage.horizon + (10 + 70 * near) * stage.scale
    body, glass, tyre = pick_colour(rng, _PAINTS, 20), jitter(rng, (66, 78, 92), 16), (24, 24, 26)
    from_behind = rng.uniform() < 0.6
    tall, half_roof = (0.72, 0.36) if from_behind else (0.36, 0.28)
    lamp = (226, 40, 36) if rng.uniform() < 0.7 else (250, 236, 196)

    def part(rgb: Rgb, *xy: tuple[float, float]) -> None:
        # In car widths from the left, and car heights up from the ground.
        corners = np.array(xy) if len(xy) > 2 else box_points(*xy[0], *xy[1])
        fill(image, (left, ground) + corners * (width, -width * tall), rgb)

    part((30, 30, 32), (0.03, 0.08), (0.97, -0.06))
    for wheel in (0.1, 0.78) if from_behind else (0.2, 0.74):
        part(tyre, (wheel, 0.2), (wheel + 0.13, -0.05))
    part(body, (0.04, 0.52), (0.5 - half_roof, 1), (0.5 + half_roof, 1), (0.96, 0.52))
    half_glass = 0.84 * half_roof
    part(glass, (0.11, 0.58), (0.5 - half_glass, 0.92), (0.5 + half_glass, 0.92), (0.89, 0.58))
    part(body, (0, 0.56), (1, 0.12))
    for side in (0.02, 0.84):
        part(lamp, (side, 0.5), (side + 0.14, 0.36))
    if from_behind:
        part((224, 222, 210), (0.37, 0.34), (0.63, 0.24))


def _board_outline(rng: np.random.Generator) -> Points:
    kind = int(rng.integers(6))
    if kind == 0:
        return arc((0, 0), (1, 1), 0, 350)
    if kind == 1:
        return np.array(((-1.0, 0.7), (0.0, -0.9), (1.0, 0.7)))
    if kind == 2:
        return arc((0, 0), (1, 0.62), 0, 350)
    tall = float(rng.uniform(0.35, 1.3))
    return box_points(-1, -tall, 1, tall)


def _board(stage: Stage) -> None:
    """Draw an advertisement: a coloured shape with letters, a patch or nothing, never a task's sign."""
    rng, image, (width, height) = stage.rng, stage.image_rgb, stage.size_wh
    size = float(np.exp(rng.uniform(np.log(14), np.log(80)))) * stage.scale
    centre = (float(rng.uniform(0, width)), float(rng.uniform(0.25 * height, stage.horizon + 0.05 * height)))
    plane = pose_homography(Pose(centre, size, float(rng.normal(0, 0.04)), float(rng.uniform(-0.8, 0.8)), 0.0, 8.0))
    outline, ground, ink = _board_outline(rng), pick_colour(rng, _BOARDS, 16), pick_colour(rng, _BOARDS, 16)
    if rng.uniform() < 0.5:
        foot = stage.horizon + (0.1 * size + 6 * stage.scale)
        stroke(image, np.array((centre, (centre[0], max(foot, centre[1] + size)))), (96, 98, 102), 0.07 * size)
    fill(image, warp_points(plane, outline * 1.06), jitter(rng, (84, 84, 86), 30))
    fill(image, warp_points(plane, outline), ground)
    reach = float(np.abs(outline[:, 1]).max())
    content = rng.uniform()
    if content < 0.6:
        word = "".join(LETTERS[i] for i in rng.integers(len(LETTERS), size=int(rng.integers(2, 6))))
        for mark in text_marks(word, 1.4, min(0.6, reach), 0.28 / len(word)):
            stroke(image, warp_points(plane, mark.xy), ink, mark.width * size / 2)
    elif content < 0.8:
        shift = (float(rng.uniform(-0.4, 0.4)), float(rng.uniform(-0.3, 0.3)) * reach)
        # No white: a white patch on red or blue comes too near to real signs.
        fill(image, warp_points(plane, outline * rng.uniform(0.25, 0.5) + shift), pick_colour(rng, _BOARDS[3:], 16))


def _lamp(stage: Stage, setting: Setting) -> None:
    rng, image = stage.rng, stage.image_rgb
    x, height = rng.uniform(0, stage.size_wh[0]), rng.uniform(60, 210) * stage.scale
    foot = stage.horizon + height * 0.16
    reach = height * rng.uniform(0.12, 0.25) * (1 if rng.uniform() < 0.5 else -1)
    grey = jitter(rng, (84, 88, 92), 24)
    pole = np.array(
        (
            (x, foot),
            (x, foot - height),
            (x + reach * 0.4, foot - height * 1.05),
            (x + reach, foot - height * 1.05),
        )
    )
    stroke(image, pole, grey, 0.018 * height)
    glow: Rgb = (255, 236, 176) if setting == "city" and rng.uniform() < 0.7 else (190, 190, 184)
    head = np.array(((x + reach * 0.7, foot - height * 1.05), (x + reach, foot - height * 1.05)))
    stroke(image, head, glow, 0.03 * height)


def _fence(stage: Stage) -> None:
    rng, image, width = stage.rng, stage.image_rgb, stage.size_wh[0]
    y1, y2 = stage.horizon + rng.uniform(6, 40, 2) * stage.scale
    rgb, n_posts = jitter(rng, (136, 120, 98), 24), int(rng.integers(6, 14))
    for share in np.linspace(0, 1, n_posts):
        y = y1 + (y2 - y1) * share
        stroke(image, np.array(((share * width, y), (share * width, y - 14 * stage.scale))), rgb, 2 * stage.scale)
    for lift in (5, 11):
        rail = np.array(((0, y1 - lift * stage.scale), (width, y2 - lift * stage.scale)))
        stroke(image, rail, rgb, stage.scale)


def _wires(stage: Stage) -> None:
    rng, (width, height) = stage.rng, stage.size_wh
    left, right = rng.uniform(0, 0.35 * height, 2)
    x = np.linspace(0, width, 12)
    for step in range(int(rng.integers(1, 4))):
        sag = 0.06 * height * (1 - (2 * x / width - 1) ** 2)
        y = left + (right - left) * x / width + sag + 9 * step * stage.scale
        stroke(stage.image_rgb, np.stack((x, y), axis=1), (52, 52, 56), stage.scale)


def draw_clutter(stage: Stage, setting: Setting) -> None:
    """Add distractors; all of them lie behind the signs."""
    rng, in_city = stage.rng, setting == "city"
    if rng.uniform() < 0.3:
        _wires(stage)
    if not in_city and rng.uniform() < 0.5:
        _fence(stage)
    for _ in range(int(rng.integers(0, 5 if in_city else 3))):
        _board(stage)
    for _ in range(int(rng.integers(0, 3 if in_city else 2))):
        _lamp(stage, setting)
    for _ in range(int(rng.integers(0, 5 if in_city else 2))):
        _car(stage)


def _mast_arm(stage: Stage, sign: Placed) -> None:
    """Hang a sign over the road from a mast beside it."""
    rng, (width, height) = stage.rng, stage.size_wh
    (x, y), grey = warp_points(sign.homography, np.zeros((1, 2)))[0], jitter(rng, (104, 108, 110), 30)
    mast = x + (1 if x > width / 2 else -1) * rng.uniform(0.8, 2.5) * sign.size
    foot = min(height + 4.0, max(y + 2.5 * sign.size, stage.horizon + 0.2 * sign.size + 5))
    lift = y - 0.1 * sign.size
    line = np.array(((x, lift), (mast, lift), (mast, foot)))
    stroke(stage.image_rgb, line, grey, max(1.0, 0.08 * sign.size))


def draw_poles(stage: Stage, signs: list[Placed]) -> None:
    """Stand the signs on poles; called before the faces are drawn, so that no pole hides a face."""
    rng, height = stage.rng, stage.size_wh[1]
    for sign in signs:
        if rng.uniform() < 0.12:
            _mast_arm(stage, sign)
            continue
        y2 = sign.full_xyxy[3]
        top = warp_points(sign.homography, np.array(((0.0, 0.0), (0.0, 1.0))))
        foot_y = min(height + 4.0, max(y2 + sign.size * rng.uniform(1.6, 3.0), stage.horizon + 0.12 * sign.size + 5))
        lean = (top[1, 0] - top[0, 0]) / max(1e-6, top[1, 1] - top[0, 1])
        foot = np.array((top[0, 0] + lean * (foot_y - top[0, 1]), foot_y))
        thickness, grey = max(1.0, sign.size * rng.uniform(0.06, 0.1)), jitter(rng, (122, 124, 126), 34)
        line = np.stack((top[0], foot))
        stroke(stage.image_rgb, line, grey, thickness)
        if thickness >= 3:  # a bright edge makes it round
            bright = (min(255, grey[0] + 46), min(255, grey[1] + 46), min(255, grey[2] + 46))
            stroke(stage.image_rgb, line - (thickness * 0.22, 0), bright, thickness * 0.25)
