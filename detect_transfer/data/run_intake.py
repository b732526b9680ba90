"""The window of values of the images of a run, by its config and, for cameras, by its training images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from detect_transfer.config import Data
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import read_deep, read_image_bytes
from detect_transfer.core.intake import Intake

_MOST_IMAGES = 500  # evenly spread, whose values set the windows of cameras


def intake_of_run(data: Data, paths: Sequence[Path]) -> Intake | None:
    """Return the window that images are read with; None where the config names none.

    Args:
        data: The data part of the config.
        paths: The training images.

    Raises:
        InputError: Windows of cameras are wanted, and no image has more than 8 bits, or one cannot be read.
    """
    if data.intake is None:
        return None
    low, high = data.intake.bounds
    intake = Intake(data.intake.window, low, high, data.intake.camera or "")
    if intake.window != "per_camera":
        return intake
    resolved = intake.with_windows(_deep_images(paths[:: max(1, len(paths) // _MOST_IMAGES)]))
    if not resolved.windows:
        raise InputError(
            "INTAKE_NONE",
            "none of the training images has more than 8 bits, so there are no values to take a window of",
            field="data.intake.window",
            value=intake.window,
            remedy="leave data.intake out",
        )
    return resolved


def _deep_images(paths: Sequence[Path]) -> Iterator[tuple[str, NDArray[Any]]]:
    for path in paths:
        values = read_deep(path, read_image_bytes(path))
        if values is not None:
            yield str(path), values
