"""Predicted against measured order."""

import numpy as np
import pytest
from scipy import stats

from detect_transfer.evaluation.study.agreement import agreement


def test_agreement__of_scipy() -> None:
    predicted, gains = np.array([1.0, 2, 3, 4, 5, 6, 7]), np.array([0.1, 0.3, 0.2, 0.4, 0.7, 0.5, 0.6])
    both = agreement(predicted, gains)
    assert (both.tau, both.p) == pytest.approx(tuple(stats.kendalltau(predicted, gains)))
    assert both.rho == pytest.approx(stats.spearmanr(predicted, gains).statistic)
    assert both.interval[0] < both.rho < both.interval[1]
    assert agreement(predicted, -gains).rho == pytest.approx(-both.rho)
    assert agreement(predicted, predicted).rho == pytest.approx(1.0)


def test_agreement__too_few_or_all_equal_has_a_reason() -> None:
    assert agreement(np.arange(3.0), np.arange(3.0)).reason == "3 pairs, an order needs 4"
    five = agreement(np.arange(5.0), np.arange(5.0))
    assert (five.tau, five.interval, five.reason) == (pytest.approx(1.0), None, "an interval needs 6 pairs")
    assert "equal" in agreement(np.ones(6), np.arange(6.0)).reason
    assert agreement(np.arange(6.0), np.arange(6.0)).as_dict()["n"] == 6
