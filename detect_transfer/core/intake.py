"""How images of one channel with more than 8 bits, or of floating point, become 8 bits: a window of their values.

Values from `low` to `high` become 0 to 255, others the nearer end. The window is stored with the weights, so that
prediction sees what training saw. Images of 8 bits stay as they are.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect_transfer.core.errors import InputError

logger = logging.getLogger(__name__)

WINDOWS = ("fixed", "percentile", "per_camera")
PERCENTILES = (0.5, 99.5)
EVERY_CAMERA = ""  # the window of names that no camera is found in, and of cameras that training did not see
_DARK = 64  # of 255: the high byte of 14 bits stays below
_said_dark: list[str] = []
_MOST_VALUES = 20_000  # of an image, evenly spread, of which percentiles are taken


@dataclass(frozen=True)
class Intake:
    """The window of the values of images.

    Args:
        window: `fixed`: from `low` to `high`. `percentile`: from one percentile to the other of each image.
            `per_camera`: the window of the camera in `windows`.
        low: The value that becomes 0; for `percentile` a percentile in [0, 100].
        high: The value that becomes 255; likewise.
        camera: A regular expression that finds the camera in the path of an image, by its group or as a whole.
        windows: Low and high of each camera; "" has those of all.
    """

    window: str
    low: float
    high: float
    camera: str = ""
    windows: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def to_uint8(self, values: NDArray[Any], name: str = "") -> NDArray[np.uint8]:
        """Return values (H, W) as 8 bits.

        Args:
            values: Whole numbers or floating point, all finite.
            name: The path of the image, in which the camera is found.
        """
        low, high = self.low, self.high
        if self.window == "percentile":
            low, high = percentiles(values, self.low, self.high)
        elif self.window == "per_camera":
            low, high = self.windows.get(self.camera_of(name), self.windows[EVERY_CAMERA])
        share = (np.asarray(values, np.float64) - low) / max(high - low, 1e-9)
        return np.asarray(np.rint(np.clip(share, 0, 1) * 255), np.uint8)

    def camera_of(self, name: str) -> str:
        """Return the camera of an image by its path; "" where none is found."""
        match = re.search(self.camera, name) if self.camera else None
        return EVERY_CAMERA if match is None else match[match.lastindex or 0]

    def with_windows(self, images: Iterable[tuple[str, NDArray[Any]]]) -> Intake:
        """Return the intake with the window of each camera, by the percentiles of its images.

        Args:
            images: Path and values of each.
        """
        values: dict[str, list[NDArray[Any]]] = {EVERY_CAMERA: []}
        for name, pixels in images:
            some = _some(pixels)
            values[EVERY_CAMERA].append(some)
            if (camera := self.camera_of(name)) != EVERY_CAMERA:
                values.setdefault(camera, []).append(some)
        windows = {
            camera: percentiles(np.concatenate(parts), self.low, self.high) for camera, parts in values.items() if parts
        }
        return Intake(self.window, self.low, self.high, self.camera, windows)

    def as_json(self) -> str:
        """Return the text that weights carry."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, where: object) -> Intake:
        """Read the text that weights carry.

        Raises:
            InputError: It is not as it was written.
        """
        try:
            stated = json.loads(text)
            windows = {str(name): (float(low), float(high)) for name, (low, high) in stated.pop("windows").items()}
            intake = cls(**stated, windows=windows)
            if intake.window not in WINDOWS or (intake.window == "per_camera" and EVERY_CAMERA not in windows):
                raise ValueError("no such window")
            re.compile(intake.camera)
            return intake
        except (ValueError, TypeError, KeyError, AttributeError, re.error) as error:
            what, remedy = f"intake in its header cannot be read ({error})", "fetch the file again"
            raise InputError("WEIGHTS_CARD", what, where=str(where), remedy=remedy) from error


FOR_PEOPLE = Intake("percentile", *PERCENTILES)  # what is drawn or looked at here, whatever a detector sees


def by_high_byte(values: NDArray[Any], name: str = "") -> NDArray[Any]:
    """Return values (H, W) as 0 to 255 where no window is known: whole numbers keep the second of their bytes.

    Floating point in [0, 1] is a share of white, other is as it is. Where the high byte leaves an image nearly black,
    as of cameras of 14 bits, that is said of the first one.

    Args:
        values: Whole numbers or floating point, all finite.
        name: The path of the image, for the message.
    """
    if values.dtype.kind == "f":
        return np.rint(values * 255) if values.min() >= 0 and values.max() <= 1 else values
    high = np.asarray(values, dtype=np.int64) >> 8
    if high.max() < _DARK and not _said_dark:
        _said_dark.append(name)
        logger.warning(
            "%s has more than 8 bits, and their high byte leaves it nearly black: no value is above %d of 255; train "
            "with data.intake, which says what is white; further such images are not named",
            *(name or "an image", high.max()),
        )
    return high


def percentiles(values: NDArray[Any], low: float, high: float) -> tuple[float, float]:
    """Return two percentiles of values, of an even part where there are many."""
    first, last = np.percentile(_some(values), (low, high))
    return float(first), float(last)


def _some(values: NDArray[Any]) -> NDArray[Any]:
    flat = np.asarray(values).reshape(-1)
    return flat[:: max(1, len(flat) // _MOST_VALUES)].astype(np.float64)
