"""The AP to expect of the best of k trials, from the trials that were made."""

from __future__ import annotations

from dataclasses import dataclass

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
