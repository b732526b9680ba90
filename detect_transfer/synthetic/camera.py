"""What light and camera do to a scene: shading, blur, tone, noise and compression; nothing moves."""

import cv2
import numpy as np

from detect_transfer.synthetic.canvas import Image, Stage, cloud_noise, white_noise
from detect_transfer.synthetic.tasks import Setting


def add_texture(stage: Stage) -> None:
    """Break up flat colours with smooth noise, before the signs are drawn."""
    noise = cloud_noise(stage.rng, stage.size_wh)
    strength = float(stage.rng.uniform(0.08, 0.3))
    colour = cv2.merge([noise, noise, noise])
    cv2.addWeighted(stage.image_rgb, 1.0, colour, strength, -128 * strength, dst=stage.image_rgb)


def _shade(image: Image, rng: np.random.Generator) -> Image:
    corners = rng.uniform(0.82, 1.12, (2, 2, 1)) * rng.uniform(0.95, 1.05, (2, 2, 3))
    field = cv2.resize(corners.astype(np.float32), (image.shape[1], image.shape[0]))
    return np.asarray(cv2.multiply(image, field, dtype=cv2.CV_8U), dtype=np.uint8)


def _blur(image: Image, rng: np.random.Generator, scale: float) -> Image:
    chance = rng.uniform()
    if chance < 0.14:
        length = int(rng.integers(3, 7) * max(1.0, scale))
        angle = rng.normal(0, 0.5)
        kernel = np.zeros((2 * length + 1, 2 * length + 1), dtype=np.float32)
        half = np.array((np.cos(angle), np.sin(angle))) * length / 2
        ends = np.round((np.array((-half, half)) + length) * 16).astype(int)
        first, last = ((int(x), int(y)) for x, y in ends)
        cv2.line(kernel, first, last, 1.0, 1, cv2.LINE_8, 4)
        kernel += kernel[::-1, ::-1]  # rounding must not push the image away from its labels
        return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), dtype=np.uint8)
    if chance < 0.75:
        sigma = float(rng.uniform(0.3, 1.0)) * scale
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), dtype=np.uint8)
    return image


def _tone(image: Image, rng: np.random.Generator, setting: Setting) -> Image:
    """Apply exposure, contrast, gamma and a colour cast through one table per channel."""
    dark = setting == "city"
    gain = rng.uniform(0.62, 1.0) if dark else rng.uniform(0.85, 1.15)
    cast = rng.uniform(0.93, 1.07, 3) * ((1.04, 0.99, 0.97) if dark else (1.0, 1.01, 0.99))
    contrast, gamma = rng.uniform(0.85, 1.15), rng.uniform(0.85, 1.2)
    level = np.arange(256, dtype=np.float64)[:, None] / 255  # (256, 1)
    curve = ((level * cast * gain).clip(0, 1) ** gamma - 0.45) * contrast + 0.45 + rng.uniform(-0.02, 0.04)
    table = np.round(curve.clip(0, 1) * 255).astype(np.uint8).reshape(1, 256, 3)
    return np.asarray(cv2.LUT(image, table), dtype=np.uint8)


def _compress(image: Image, rng: np.random.Generator) -> Image:
    quality = int(rng.integers(40, 96))
    _, code = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def photograph(stage: Stage, setting: Setting) -> Image:
    """Turn the finished drawing into a photograph of the same geometry.

    Args:
        stage: The finished scene; its image is left as it is.
        setting: What kind of place it is; the city is darker and noisier.

    Returns:
        (H, W, 3) uint8 RGB, a new array.
    """
    rng = stage.rng
    image = _tone(_shade(stage.image_rgb, rng), rng, setting)
    image = _blur(image, rng, stage.scale)
    strength = float(rng.uniform(0.02, 0.3 if setting == "city" else 0.18))
    noise = white_noise(rng, stage.size_wh)
    image = np.asarray(cv2.addWeighted(image, 1.0, noise, strength, -128 * strength), dtype=np.uint8)
    return _compress(image, rng) if rng.uniform() < 0.8 else image
