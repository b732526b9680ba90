"""Which of several sources knows the data best: LogME, and the rule."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from detect_transfer.models.source_choice import SourceRank, best_source, log_me


def by_definition(features: np.ndarray, labels: np.ndarray) -> float:
    """The largest evidence of a Gaussian with the features in its covariance, found by a search."""
    values = []
    for label in np.unique(labels):
        target = (labels == label).astype(float)

        def negative(logs: np.ndarray, target: np.ndarray = target) -> float:
            covariance = np.eye(len(target)) / np.exp(logs[1]) + features @ features.T / np.exp(logs[0])
            return -float(multivariate_normal.logpdf(target, np.zeros(len(target)), covariance)) / len(target)

        values.append(-minimize(negative, [0.0, 1.0], method="Nelder-Mead").fun)
    return float(np.mean(values))


@pytest.mark.parametrize(("count", "width"), [(40, 5), (40, 30)])
def test_log_me__is_the_largest_evidence(count: int, width: int) -> None:
    random = np.random.default_rng(0)
    labels = np.arange(count) % 3
    features = random.normal(size=(count, 4)) @ random.normal(size=(4, width))  # of rank 4
    features += labels[:, None] * features[0]
    assert log_me(features, labels) == pytest.approx(by_definition(features, labels), abs=2e-2)


def test_log_me__is_higher_where_the_classes_lie_apart() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(90) % 3
    noise, apart = random.normal(size=(90, 8)), np.eye(3)[labels] @ random.normal(size=(3, 8)) * 3
    assert log_me(noise + apart, labels) > log_me(noise, labels) + 0.1


def rank(score: float | None, features: float | None) -> SourceRank:
    return SourceRank("a", "a", "", "", score, 0, features)


@pytest.mark.parametrize(
    ("ranks", "best"),
    [
        ([(0.3, 0.1), (0.5, 0.0)], 1),  # what is seen comes first
        ([(0.5, 0.1), (0.51, 0.3), (0.1, 0.9)], 1),  # as good: by the features
        ([(0.001, 0.1), (None, 0.2)], 1),  # nothing is seen: by the features
        ([(0.5, None), (0.51, 0.3)], 1),
        ([(0.51, None), (0.5, 0.3)], 0),
        ([(None, None), (None, None)], 0),
    ],
)
def test_best_source__is_what_sees_most_and_then_has_the_better_features(ranks, best: int) -> None:
    assert best_source([rank(*each) for each in ranks]) == best
