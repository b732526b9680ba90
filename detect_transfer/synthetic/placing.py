"""Signs in the image: pose, placement without overlap, and rendering with an exact outline."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detect_transfer.synthetic.canvas import Image, Points, Stage, cloud_noise, overlap, paste, warp_points
from detect_transfer.synthetic.tasks import SignClass, SignTask
from detect_transfer.synthetic.templates import EXTENT, face_template, outline_points

_SIZE_RANGE = (16.0, 110.0)  # nominal sign width in pixels of a 320-pixel image
_COUNT_WEIGHTS = (0.05, 0.27, 0.26, 0.19, 0.12, 0.07, 0.04)  # 0..6 signs
_SUPERSAMPLE = 2
_MIN_INSIDE = 0.65  # least share of a sign's box that lies in the image
_TRUNCATED = 0.06  # share of signs that may be cut by the border


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A sign with its place in the image.

    Attributes:
        sign_class: What it is.
        class_index: Its index in the task.
        homography: (3, 3) from sign units to pixels (origin at the corner of the first pixel).
        size: Nominal width in pixels, before foreshortening.
        outline: (M, 2) warped edge in pixels, not clipped.
    """

    sign_class: SignClass
    class_index: int
    homography: NDArray[np.float64]
    size: float
    outline: Points

    @property
    def full_xyxy(self) -> tuple[float, float, float, float]:
        """Tight box of the edge in pixels, not clipped to the image."""
        (x1, y1), (x2, y2) = self.outline.min(axis=0), self.outline.max(axis=0)
        return float(x1), float(y1), float(x2), float(y2)


@dataclass(frozen=True, slots=True)
class Pose:
    """How a sign hangs.

    Attributes:
        centre_xy: Centre in pixels.
        size: Nominal width in pixels.
        roll: Turn in the image plane in radians, clockwise.
        yaw: Turn about the upright axis in radians.
        pitch: Turn about the level axis in radians.
        distance: Viewing distance in half widths: small means strong perspective.
    """

    centre_xy: tuple[float, float]
    size: float
    roll: float
    yaw: float
    pitch: float
    distance: float


def pose_homography(pose: Pose) -> NDArray[np.float64]:
    """Return the homography (3, 3) from sign units (-1..1, y down) to pixels; no turn reaches a quarter."""
    turns = (pose.roll, pose.yaw, pose.pitch)
    (cz, cy, cx), (sz, sy, sx) = np.cos(turns), np.sin(turns)
    # The first two columns of Rz(roll) Ry(yaw) Rx(pitch): where the sign's own axes point.
    axes = np.array(((cz * cy, cz * sy * sx - sz * cx), (sz * cy, sz * sy * sx + cz * cx), (-sy, cy * sx)))
    depth = np.array((axes[2, 0], axes[2, 1], 0.0)) / pose.distance + (0.0, 0.0, 1.0)
    plane = np.zeros((3, 3))
    plane[:2, :2] = axes[:2] * pose.size / 2
    plane[2] = depth
    plane[0] += pose.centre_xy[0] * depth
    plane[1] += pose.centre_xy[1] * depth
    return plane


def _place(task: SignTask, class_index: int, pose: Pose) -> Placed:
    sign_class = task.classes[class_index]
    homography = pose_homography(pose)
    return Placed(sign_class, class_index, homography, pose.size, warp_points(homography, outline_points(sign_class)))


def _sample_pose(stage: Stage) -> Pose:
    """Draw a random pose: width log-uniform, mostly facing the viewer, centre nearly anywhere."""
    rng, (width, height) = stage.rng, stage.size_wh
    size = float(np.exp(rng.uniform(*np.log(_SIZE_RANGE)))) * stage.scale
    reach = size * 0.66
    margin = reach if rng.uniform() > _TRUNCATED else 0.2 * reach
    low = max(margin + 1, min(height - margin, stage.horizon + 0.15 * height))
    return Pose(
        (float(rng.uniform(margin, width - margin)), float(rng.uniform(margin, low))),
        size,
        roll=float(np.clip(rng.normal(0, 0.06), -0.2, 0.2)),
        yaw=float(np.clip(rng.normal(0, 0.32), -0.75, 0.75)),
        pitch=float(np.clip(rng.normal(0, 0.1), -0.3, 0.3)),
        distance=float(rng.uniform(5, 14)),
    )


def _fits(candidate: Placed, others: list[Placed], size_wh: tuple[int, int]) -> bool:
    x1, y1, x2, y2 = candidate.full_xyxy
    inside = max(0.0, min(x2, size_wh[0]) - max(x1, 0)) * max(0.0, min(y2, size_wh[1]) - max(y1, 0))
    if inside < _MIN_INSIDE * (x2 - x1) * (y2 - y1):
        return False
    # A gap of one pixel: stacked signs touch almost, but never hide each other.
    boxes = (other.full_xyxy for other in others)
    return all(x1 > b[2] + 1 or x2 < b[0] - 1 or y1 > b[3] + 1 or y2 < b[1] - 1 for b in boxes)


def _below(pose: Pose, upper: Placed, rng: np.random.Generator) -> Pose:
    """Return the pose of a second sign on the pole of an upper one."""
    size = pose.size * float(rng.uniform(0.8, 1.05))
    lift = upper.full_xyxy[3] + size * 0.5 + 2
    x = pose.centre_xy[0] - np.sin(pose.roll) * (lift - pose.centre_xy[1])
    return Pose((float(x), float(lift + 0.1 * size)), size, pose.roll, pose.yaw, pose.pitch, pose.distance)


def place_signs(stage: Stage, task: SignTask) -> list[Placed]:
    """Choose 0 to 6 signs that do not overlap, each mostly in the image; all classes are equally likely."""
    rng, placed = stage.rng, list[Placed]()
    count = int(rng.choice(len(_COUNT_WEIGHTS), p=_COUNT_WEIGHTS))
    for _ in range(12 * count):
        if len(placed) >= count:
            break
        pose = _sample_pose(stage)
        candidate = _place(task, int(rng.integers(len(task.classes))), pose)
        if not _fits(candidate, placed, stage.size_wh):
            continue
        placed.append(candidate)
        if len(placed) < count and rng.uniform() < 0.3:
            second = _place(task, int(rng.integers(len(task.classes))), _below(pose, candidate, rng))
            if _fits(second, placed, stage.size_wh):
                placed.append(second)
    return placed


def render_sign(sign: Placed) -> tuple[Image, tuple[int, int]]:
    """Render a sign without its surroundings.

    Returns:
        (h, w, 4) uint8 RGBA with at least a pixel of margin, and the column and row of its first pixel in the image.
    """
    x1, y1, x2, y2 = sign.full_xyxy
    left, top = int(np.floor(x1)) - 1, int(np.floor(y1)) - 1
    width, height = int(np.ceil(x2)) + 1 - left, int(np.ceil(y2)) + 1 - top
    template = face_template(sign.sign_class, sign.size * _SUPERSAMPLE)
    unit = template.shape[0] / (2 * EXTENT)
    # Template pixel centres -> sign units -> image -> supersampled patch pixel centres.
    to_units = np.array(((1 / unit, 0, 0.5 / unit - EXTENT), (0, 1 / unit, 0.5 / unit - EXTENT), (0, 0, 1)))
    k = _SUPERSAMPLE
    to_patch = np.array(((k, 0, -k * left - 0.5), (0, k, -k * top - 0.5), (0, 0, 1)))
    matrix = to_patch @ sign.homography @ to_units
    large = cv2.warpPerspective(template, matrix, (width * k, height * k), flags=cv2.INTER_LINEAR)
    rgba = np.asarray(cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return rgba, (left, top)


def _weather(stage: Stage, rgb: Image) -> Image:
    """Fade, shade and stain a face."""
    rng, (height, width) = stage.rng, rgb.shape[:2]
    fade, light = rng.uniform(0, 0.18), rng.uniform(0.72, 1.12)
    corners = rng.uniform(0.82, 1.1, (2, 2)).astype(np.float32) * np.float32(light * (1 - fade))
    shading = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
    if rng.uniform() < 0.5:
        dirt = cloud_noise(rng, (width, height)).astype(np.float32) - 128
        shading = shading * (1 + dirt * np.float32(rng.uniform(0.0005, 0.0025)))
    faded = rgb * shading[:, :, None] + np.float32(150 * fade)
    return np.asarray(faded.clip(0, 255), dtype=np.float32).astype(np.uint8)


def draw_signs(stage: Stage, signs: list[Placed]) -> list[Image]:
    """Paint the faces of all signs and return the (H, W) uint8 coverage of each, 255 where it is all sign."""
    coverages = []
    for sign in signs:
        rgba, corner_xy = render_sign(sign)
        alpha = np.ascontiguousarray(rgba[:, :, 3])
        paste(stage.image_rgb, _weather(stage, rgba[:, :, :3]), alpha, corner_xy)
        coverage = np.zeros(stage.image_rgb.shape[:2], dtype=np.uint8)
        there, here = overlap(stage.size_wh, (alpha.shape[0], alpha.shape[1]), corner_xy)
        coverage[there] = alpha[here]
        coverages.append(coverage)
    return coverages
