"""What the statistics of a study take and give: the AP of the runs of an arm, and a number with its interval."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from detect_transfer.core.arrays import FloatArray, IntArray
from detect_transfer.core.errors import InputError
from detect_transfer.evaluation.coco.bootstrap import LEVEL
from detect_transfer.evaluation.coco.intervals import Span

ENDS = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])


@dataclass(frozen=True)
class Estimate:
    """A number with its interval, or the reason why there is none.

    Args:
        value: The number; None where there is none.
        interval: Its 95 % interval; an end is infinite where the data set no bound; None where there is none.
        reason: Why the number or an end of the interval is missing.
    """

    value: float | None
    interval: Span | None = None
    reason: str | None = None

    def cut(self, low: float, high: float) -> Estimate:
        """Return it with its interval cut where the number cannot lie beyond."""
        if self.interval is None:
            return self
        return replace(self, interval=(max(self.interval[0], low), min(self.interval[1], high)))

    def as_dict(self) -> dict[str, Any]:
        """Return what `study.json` holds; an infinite end is null."""
        return {"value": self.value, "interval": finite_ends(self.interval), "reason": self.reason}


def finite_ends(interval: Span | None) -> list[float | None] | None:
    """Return an interval as JSON can hold it: null for an infinite end."""
    return None if interval is None else [end if math.isfinite(end) else None for end in interval]


@dataclass(frozen=True)
class ArmScores:
    """The finished runs of one arm.

    Args:
        arm: Its name.
        n_images: (R,) training images of each run.
        seeds: (R,) its seed, or its fold where there are folds; runs of two arms with the same one and size are a pair.
        ap: (R,) its AP, in [0, 1].
        splits: (R,) which split or subset of the images it had, or its seed within a fold; two arms are compared by
            those that both have. None where each seed has its own.

    Raises:
        InputError: The columns have other lengths, a size is below 1, an AP is outside [0, 1], or a run stands twice.
    """

    arm: str
    n_images: IntArray
    seeds: IntArray
    ap: FloatArray
    splits: IntArray | None = None

    def __post_init__(self) -> None:
        columns = [self.n_images, self.seeds, self.ap, *([] if self.splits is None else [self.splits])]
        if len({column.shape for column in columns}) > 1 or self.ap.ndim != 1:
            shapes = [column.shape for column in columns]
            raise self._error("the columns of its runs have several lengths", "give one entry a run", shapes)
        if (self.n_images < 1).any():
            raise self._error("a run has no training image", "leave it out", int(self.n_images.min()))
        outside = ~((self.ap >= 0) & (self.ap <= 1))
        if outside.any():
            raise self._error("AP lies in [0, 1]", "leave out runs without AP", float(self.ap[outside][0]))
        keys = np.stack([self.n_images, self.seeds, *([] if self.splits is None else [self.splits])])
        if np.unique(keys, axis=1).shape[1] < len(self.ap):
            raise self._error("two runs have the same size and seed", "give each run once")

    def _error(self, what: str, remedy: str, value: object = ...) -> InputError:
        return InputError("STUDY_RUNS", what, field=self.arm, value=value, remedy=remedy)

    @property
    def sizes(self) -> IntArray:
        """Return the different numbers of training images, in order."""
        return np.unique(self.n_images)

    def at(self, size: int) -> FloatArray:
        """Return the AP of the runs with so many training images, by seed."""
        rows = np.flatnonzero(self.n_images == size)
        return np.asarray(self.ap[rows[np.argsort(self.seeds[rows], kind="stable")]])


@dataclass(frozen=True)
class Record:
    """Something that `study.json` holds as it is."""

    def as_dict(self) -> dict[str, Any]:
        """Return its fields."""
        return asdict(self)
