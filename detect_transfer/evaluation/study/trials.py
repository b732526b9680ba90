"""The AP to expect of the best of k trials, from the trials that were made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from detect_transfer.core.arrays import FloatArray
from detect_transfer.evaluation.study.scores import Record


@dataclass(frozen=True)
class ExpectedBest(Record):
    """The best of k trials.

    Args:
        k: How many trials.
        expected: Mean AP of the best, trials drawn with replacement (Dodge et al.): too low where k is near the number
            of trials made.
        deviation: Standard deviation of the best, likewise.
        unbiased: Mean AP of the best of k of the trials made, without replacement (Tang et al.).
    """

    k: int
    expected: float
    deviation: float
    unbiased: float


@dataclass(frozen=True)
class Trial(Record):
    """One trial of an arm.

    Args:
        number: Its number, from 0 on.
        keys: What it was tried with.
        key: Its run.
        ap: Validation AP of its best weights; 0 where the run failed.
        sha256: Hash of its last weights, which shows that it trained otherwise than the others; None where it failed.
    """

    number: int
    keys: Mapping[str, float]
    key: str
    ap: float
    sha256: str | None


@dataclass(frozen=True)
class ArmTrials:
    """All trials of an arm.

    Args:
        arm: The arm.
        trials: In order.
    """

    arm: str
    trials: tuple[Trial, ...]

    @property
    def best(self) -> Trial:
        """The one with the highest AP, the first of them."""
        return max(self.trials, key=lambda trial: (trial.ap, -trial.number))

    @property
    def expected(self) -> tuple[ExpectedBest, ...]:
        """The AP to expect of the best of 1, 2, ... trials."""
        return expected_best(np.array([trial.ap for trial in self.trials]))

    def as_dict(self) -> dict[str, Any]:
        """Return what `study.json` holds."""
        trials = [trial.as_dict() for trial in self.trials]
        return {"arm": self.arm, "trials": trials, "expected_best": [each.as_dict() for each in self.expected]}


def expected_best(ap: FloatArray, k_max: int | None = None) -> tuple[ExpectedBest, ...]:
    """Return the AP of the best of 1, 2, ... trials.

    Args:
        ap: (n,) validation AP of each trial made; trials that failed count with 0.
        k_max: Up to so many trials, at most n; None for n.

    Source:
        Dodge et al. 2019, "Show Your Work"; Tang et al. 2020, "Showing Your Work Doesn't Always Work".
    """
    ordered = np.sort(np.asarray(ap, float))
    n = len(ordered)
    rank = np.arange(1, n + 1)
    best = []
    without = np.full(n, 1 / n) if n else ordered  # chance that a trial is the best of k others
    for k in range(1, min(n, k_max or n) + 1):
        chance = (rank / n) ** k - ((rank - 1) / n) ** k
        expected = float(chance @ ordered)
        deviation = float(np.sqrt(max(chance @ ordered**2 - expected**2, 0.0)))
        if k > 1:  # C(i - 1, k - 1) / C(n, k) from the one before
            without = without * (rank - k + 1).clip(min=0) / (k - 1) * k / (n - k + 1)
        best.append(ExpectedBest(k, expected, deviation, float(without @ ordered)))
    return tuple(best)
