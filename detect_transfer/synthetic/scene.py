"""A whole street scene with its labels."""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detect_transfer.synthetic.backdrop import draw_backdrop
from detect_transfer.synthetic.camera import add_texture, photograph
from detect_transfer.synthetic.canvas import Stage
from detect_transfer.synthetic.clutter import draw_clutter, draw_poles
from detect_transfer.synthetic.occluders import draw_occluders
from detect_transfer.synthetic.placing import draw_signs, place_signs
from detect_transfer.synthetic.tasks import SignTask

_MIN_SIDE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A drawn image and every sign in it.

    Attributes:
        image_rgb: (H, W, 3) uint8.
        xyxy: (N, 4) float64 pixels; tight around the whole sign, hidden parts included, clipped to the image.
        class_index: (N,) int64 positions in `SignTask.classes`.
        visible: (N,) float64 in [0, 1]; share of the sign inside the image that nothing hides.
    """

    image_rgb: NDArray[np.uint8]
    xyxy: NDArray[np.float64]
    class_index: NDArray[np.int64]
    visible: NDArray[np.float64]


def draw_scene(task: SignTask, *, seed: int, index: int, size_wh: tuple[int, int] = (320, 320)) -> Scene:
    """Draw one scene of a task.

    The result depends on the arguments alone: equal arguments give equal bytes in every process.

    Args:
        task: Which signs, and in which surroundings.
        seed: Seed of the data set, at least 0.
        index: Number of the scene in the data set, at least 0.
        size_wh: Image width and height in pixels, each at least 64.

    Returns:
        The scene, with 0 to 6 signs; no sign is without a box.

    Raises:
        ValueError: If the seed or index is negative or a side is too short.
    """
    if seed < 0 or index < 0:
        raise ValueError(f"seed and index must be at least 0, but are {seed} and {index}")
    if min(size_wh) < _MIN_SIDE:
        raise ValueError(f"size_wh must be at least {_MIN_SIDE} along both axes, but is {size_wh}")
    width, height = size_wh
    # A checksum, because hash() of a string differs from process to process.
    rng = np.random.default_rng([seed, index, zlib.crc32(task.name.encode())])
    canvas = np.zeros((height, width, 3), dtype=np.uint8)
    stage = Stage(canvas, rng, horizon=float(height * rng.uniform(0.48, 0.66)), scale=min(size_wh) / 320)
    signs = place_signs(stage, task)
    draw_backdrop(stage, task.setting)
    draw_clutter(stage, task.setting)
    draw_poles(stage, signs)
    add_texture(stage)
    visible = draw_occluders(stage, signs, draw_signs(stage, signs))
    xyxy = np.array([sign.full_xyxy for sign in signs], dtype=np.float64).reshape(-1, 4)
    return Scene(
        image_rgb=photograph(stage, task.setting),
        xyxy=xyxy.clip(0.0, (width, height, width, height)),
        class_index=np.array([sign.class_index for sign in signs], dtype=np.int64),
        visible=visible,
    )
