"""Images as Python programs have them (paths, Pillow, numpy, tensors, batches of these) made RGB and uint8, or refused.

A wrong range or order of axes would give plausible, wrong detections; so what is not clear is an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detect_transfer.core.arrays import RgbArray
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import pillow_to_rgb, read_rgb
from detect_transfer.core.intake import Intake

_CHANNELS = (1, 3, 4)


def given_images(given: Any, intake: Intake | None = None) -> tuple[list[RgbArray], bool]:
    """Return images (H, W, 3) uint8 RGB, and whether a batch was given.

    Args:
        given: A path, a Pillow image, an array (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA, a tensor (H, W) or
            (3, H, W) RGB as in torchvision, or a batch: a list of these, (B, H, W, 3) or a tensor (B, 3, H, W). Numbers
            are uint8, or floating point in [0, 1]; with an `intake`, of one channel, what it takes.
        intake: The window of values of more than 8 bits.

    Raises:
        InputError: It is none of these, or an image cannot be read.
    """
    if isinstance(given, list | tuple):
        return [_one(each, intake) for each in given], True
    values = _values(given)
    if values is not None and values.ndim == 4:
        return [_from_array(each, intake) for each in values], True
    return [_one(given, intake)], False


def _one(given: Any, intake: Intake | None) -> RgbArray:
    if isinstance(given, str | Path):
        return read_rgb(Path(given), intake=intake)
    if isinstance(given, Image.Image):
        return pillow_to_rgb(given, intake)
    values = _values(given)
    if values is None:
        raise _refused(
            f"{type(given).__name__} is no image", "give a path, a Pillow image, an array, a tensor, or a list of them"
        )
    return _from_array(values, intake)


def _values(given: Any) -> NDArray[Any] | None:
    """Return an array (..., H, W, C) of an array or a tensor; None for anything else."""
    if isinstance(given, np.ndarray):
        return given
    if not hasattr(given, "detach"):
        return None
    tensor = given.detach().cpu()  # numpy has no bfloat16
    values: NDArray[Any] = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    if values.ndim >= 3:
        if values.shape[-3] not in _CHANNELS:
            raise _refused(
                f"a tensor of shape {tuple(values.shape)}; channels first were expected, (3, H, W) or (B, 3, H, W)",
                "move them with tensor.permute(2, 0, 1), or give an array (H, W, 3)",
            )
        values = np.moveaxis(values, -3, -1)
    return values


def _from_array(values: NDArray[Any], intake: Intake | None) -> RgbArray:
    values = values[..., None] if values.ndim == 2 else values
    if values.ndim != 3 or values.shape[-1] not in _CHANNELS or 0 in values.shape:
        raise _refused(
            f"an array of shape {values.shape}; (H, W), (H, W, 3) or (B, H, W, 3) was expected",
            "put the channels last, as RGB",
        )
    if intake is not None and values.shape[-1] == 1 and values.dtype != np.uint8 and np.isfinite(values).all():
        small = intake.to_uint8(values)
    else:
        small = _to_uint8(values)
    return np.ascontiguousarray(np.repeat(small, 3, axis=2) if small.shape[2] == 1 else small[..., :3])


def _to_uint8(values: NDArray[Any]) -> NDArray[np.uint8]:
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind != "f":
        raise _refused(
            f"numbers of type {values.dtype}; uint8, or floating point in [0, 1] was expected",
            "bring them to 0 ... 255 and uint8, or train with data.intake, which says what is white in 16 bits",
        )
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):  # NaN fails too
        raise _refused(
            f"floating point from {low:g} to {high:g}; [0, 1] was expected", "divide by 255, or give it as uint8"
        )
    return np.asarray(np.rint(values * 255), np.uint8)


def _refused(what: str, remedy: str) -> InputError:
    return InputError("IMAGE_INPUT", what, field="image", remedy=remedy)
