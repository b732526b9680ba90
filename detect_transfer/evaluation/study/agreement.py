"""Was the prediction right: does a score of transferability go with the gain that was measured?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detect_transfer.core.arrays import FloatArray
from detect_transfer.evaluation.coco.intervals import Span
from detect_transfer.evaluation.study.scores import ENDS, Record

_FEWEST = 4
_FEWEST_FOR_INTERVAL = 6


@dataclass(frozen=True)
class Agreement(Record):
    """How two orders agree.

    Args:
        n: How many sources, arms or classes were compared.
        tau: Kendall's tau-b: chance of the same order less that of the other, of two of them; None where there is none.
        rho: Spearman's correlation of ranks.
        interval: 95 % interval of `rho`; None of less than six.
        p: Two-sided, that the orders have nothing to do with each other; exact without ties.
        reason: Why a number is missing.
    """

    n: int
    tau: float | None
    rho: float | None
    interval: Span | None
    p: float | None
    reason: str | None = None


def agreement(predicted: FloatArray, gains: FloatArray) -> Agreement:
    """Compare predictions (n,) with measured gains (n,) of the same arms.

    Source:
        You et al., LogME: Practical Assessment of Pre-trained Models for Transfer Learning, 2021, who judge scores by
        Kendall's tau; the interval is that of Bonett and Wright, Sample size requirements for estimating Pearson,
        Kendall and Spearman correlations, 2000.
    """
    from scipy.special import ndtri  # type: ignore[import-untyped]
    from scipy.stats import kendalltau, spearmanr  # type: ignore[import-untyped]

    predicted, gains = np.asarray(predicted, float), np.asarray(gains, float)
    n = len(predicted)
    if n < _FEWEST:
        return Agreement(n, None, None, None, None, f"{n} pairs, an order needs {_FEWEST}")
    if np.ptp(predicted) == 0 or np.ptp(gains) == 0:
        return Agreement(n, None, None, None, None, "all predictions or all gains are equal")
    tau, p = kendalltau(predicted, gains)
    rho = float(spearmanr(predicted, gains).statistic)
    if n < _FEWEST_FOR_INTERVAL:
        return Agreement(n, float(tau), rho, None, float(p), f"an interval needs {_FEWEST_FOR_INTERVAL} pairs")
    reach = float(ndtri(ENDS[1])) * np.sqrt((1 + rho**2 / 2) / (n - 3))
    middle = np.arctanh(np.clip(rho, -1 + 1e-9, 1 - 1e-9))
    interval = (float(np.tanh(middle - reach)), float(np.tanh(middle + reach)))
    return Agreement(n, float(tau), rho, (min(interval[0], rho), max(interval[1], rho)), float(p))
