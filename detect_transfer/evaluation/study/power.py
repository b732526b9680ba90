"""How many seeds a verdict takes."""

from __future__ import annotations

import numpy as np

from detect_transfer.core.arrays import FloatArray
from detect_transfer.evaluation.coco.bootstrap import LEVEL
from detect_transfer.evaluation.comparison import MARGIN, total_spread

POWER = 0.8
FEWEST_SEEDS = 3
MOST_SEEDS = 100


def seeds_needed(
    difference: float, spread: float, *, margin: float = MARGIN, image_variance: float = 0.0, level: float = LEVEL
) -> int | None:
    """Return how many pairs find a true difference, or that it is within the margin, with a chance of .8.

    Args:
        difference: The true difference.
        spread: Its standard deviation over seeds.
        margin: Differences up to this are of no interest.
        image_variance: Variance of the difference over test images, which more seeds do not lower.
        level: Of the interval that has to exclude 0, corrected for the number of tests; equality has that of .95.

    Returns:
        From 3 to 100; None where more are needed.

    Source:
        Student's t for a difference that is there, by the normal approximation with the degrees of the study; two
        one-sided tests for equality (Schuirmann 1987).
    """
    n = np.arange(FEWEST_SEEDS, MOST_SEEDS + 1, dtype=float)
    seeds = np.full(len(n), spread**2) / n
    error, degrees = total_spread(np.asarray(image_variance), (seeds, n - 1))
    enough = _power(difference, error, degrees, margin, level) >= POWER
    return int(n[enough.argmax()]) if enough.any() else None


def _power(difference: float, error: FloatArray, degrees: FloatArray, margin: float, level: float) -> FloatArray:
    """Return the chance (S,) of a verdict."""
    from scipy.special import stdtr, stdtrit  # type: ignore[import-untyped]

    with np.errstate(divide="ignore", invalid="ignore"):
        apart = abs(difference) / error
        differs = stdtr(degrees, apart - stdtrit(degrees, (1 + level) / 2))
        reach = stdtrit(degrees, (1 + LEVEL) / 2)
        low, high = (-margin - difference) / error + reach, (margin - difference) / error - reach
        equal = np.where(high > low, stdtr(degrees, high) - stdtr(degrees, low), 0.0)
    return np.asarray(np.fmax(differs, equal))  # 0 / 0 where nothing differs at all
