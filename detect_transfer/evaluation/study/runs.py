"""The finished runs of a study, and what is read from those of one arm at one size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from detect_transfer.core.arrays import FloatArray, IntArray
from detect_transfer.evaluation.study.histories import History
from detect_transfer.evaluation.study.scores import ArmScores


@dataclass(frozen=True)
class StudyRun:
    """A finished run.

    Args:
        arm: Its arm.
        n_images: Its training images.
        seed: Its seed.
        ap: Its AP on the test images, in [0, 1].
        draws: (1 + B,) AP on the test images as they are, then on B draws of them that are the same for all runs; None
            where they were not drawn.
        history: Its validation AP over time; None where it was not kept.
        link: Where its page is, from the page of the study.
        cost: Numbers such as `seconds`; None where one is not known.
        fold: Which fold of the images it was tested on; None where all runs have the same test images.
    """

    arm: str
    n_images: int
    seed: int
    ap: float
    draws: FloatArray | None = None
    history: History | None = None
    link: str = ""
    cost: Mapping[str, float | None] = field(default_factory=dict)
    fold: int | None = None

    @property
    def unit(self) -> int:
        """What it has in common with its partner in another arm: its fold, else its seed."""
        return self.seed if self.fold is None else self.fold


@dataclass(frozen=True)
class RunsByArm:
    """The runs of a study, to be asked by arm, size and seed.

    Args:
        arms: The arms in order.
        runs: All runs.
        overlap: Test images of a fold over all others, so that folds count as the runs on common images that they are;
            0 without folds.
    """

    arms: tuple[str, ...]
    runs: tuple[StudyRun, ...]
    overlap: float = 0.0

    def of(self, arm: str, n_images: int | None = None) -> list[StudyRun]:
        """Return the runs of an arm, at one size or at all, by size, fold and seed."""
        runs = [run for run in self.runs if run.arm == arm and n_images in (None, run.n_images)]
        return sorted(runs, key=lambda run: (run.n_images, run.unit, run.seed))

    def sizes(self, *arms: str) -> list[int]:
        """Return the sizes that each of the arms has."""
        return sorted(set.intersection(*({run.n_images for run in self.of(arm)} for arm in arms)))

    def scores(self, arm: str) -> ArmScores:
        """Return the AP of all runs of an arm."""
        runs = self.of(arm)
        columns = (np.array([getattr(run, name) for run in runs]) for name in ("n_images", "unit", "seed"))
        n_images, units, seeds = (column.astype(np.int64) for column in columns)
        return ArmScores(
            arm, n_images, units, np.array([run.ap for run in runs], float), seeds if self.overlap else None
        )

    def histories(self, arm: str, n_images: int) -> list[History]:
        """Return the histories of the runs of an arm at a size that have one."""
        return [run.history for run in self.of(arm, n_images) if run.history is not None]

    def pairs(self, first: str, second: str, n_images: int) -> list[tuple[StudyRun, StudyRun]]:
        """Return the runs of two arms at a size that have the same fold and seed."""
        of_first = {(run.fold, run.seed): run for run in self.of(first, n_images)}
        partners = [(of_first.get((run.fold, run.seed)), run) for run in self.of(second, n_images)]
        return [(partner, run) for partner, run in partners if partner is not None]

    def folds(self, runs: Sequence[StudyRun]) -> IntArray | None:
        """Return (R,) the fold of each run; None without folds."""
        return np.array([run.unit for run in runs], np.int64) if self.overlap else None

    def difference_draws(self, first: str, second: str, n_images: int) -> FloatArray | None:
        """Return (1 + B,) the difference of the means of the pairs on the draws; None where a run has none."""
        pairs = self.pairs(first, second, n_images)
        return mean_draws([b for _, b in pairs], [a for a, _ in pairs])

    def image_variances(self, first: str, second: str) -> dict[int | None, float]:
        """Return the variance of the difference of two arms over test images, by size and (None) over all sizes."""
        by_size = {n: self.difference_draws(first, second, n) for n in self.sizes(first, second)}
        draws = {n: d for n, d in by_size.items() if d is not None}
        variances: dict[int | None, float] = {n: variance_of_draws(d) for n, d in draws.items()}
        if draws and len(draws) == len(by_size):
            variances[None] = variance_of_draws(np.mean(list(draws.values()), axis=0))
        return variances


def mean_draws(runs: Sequence[StudyRun], less: Sequence[StudyRun] = ()) -> FloatArray | None:
    """Return (1 + B,) the mean of runs on the draws, less that of others; None where a run has none."""
    groups = []
    for group in (runs, less):
        draws = [run.draws for run in group if run.draws is not None]
        if len(draws) < len(group) or len({len(d) for d in draws}) > 1:
            return None
        groups.append(np.mean(draws, axis=0) if draws else 0.0)
    return np.asarray(groups[0] - groups[1]) if runs else None


def variance_of_draws(draws: FloatArray) -> float:
    """Return the variance of the B draws of (1 + B,); draws without any object are left out."""
    finite = draws[1:][np.isfinite(draws[1:])]
    return float(finite.var()) if len(finite) else 0.0
