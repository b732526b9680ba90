"""Variance components: by hand, known truth, and what would decide."""

import numpy as np
import pytest

from detect_transfer.evaluation.study.variance import variance_components


def test_one_split__by_hand() -> None:
    """.1 .2 .3: variance .01; of the mean .01 / 3; test images .0001."""
    parts = variance_components(np.array([0.1, 0.2, 0.3]), image_variance=0.0001)
    assert parts.seed.value == pytest.approx(0.01)
    assert parts.seed.interval == pytest.approx((0.02 / 7.3778, 0.02 / 0.0506), rel=1e-3)  # chi-square of 2
    assert parts.of_mean == pytest.approx({"seed": 0.01 / 3, "images": 0.0001})
    assert parts.sentence == "more seeds would decide: they make 97% of the variance of the mean"
    assert variance_components(np.array([0.1, 0.2, 0.3]), image_variance=0.1).decides == "images"


def test_splits__by_hand() -> None:
    """Means .2 and .4 of two each: within 4 x .01 / 2 = .02; between .04, so (.04 - .02) / 2 = .01."""
    parts = variance_components(np.array([0.1, 0.3, 0.3, 0.5]), np.array([1, 1, 2, 2]), 0.0001)
    assert parts.seed.value == pytest.approx(0.02)
    assert parts.split.value == pytest.approx(0.01)
    assert parts.of_mean == pytest.approx({"seed": 0.005, "split": 0.005, "images": 0.0001})
    assert sum(parts.shares.values()) == pytest.approx(1)
    assert parts.split.interval[0] == 0.0


def test_unknown__is_said() -> None:
    one = variance_components(np.array([0.1]), image_variance=0.1)
    assert (one.seed.value, one.decides) == (None, None)
    assert one.sentence == "what would decide is not known: no variance over seed"
    no_repeats = variance_components(np.array([0.1, 0.2]), np.array([1, 2]), 0.1)
    assert no_repeats.seed.reason == "no split has two seeds"
    assert "seed and split" in no_repeats.sentence
    assert "images" in variance_components(np.array([0.1, 0.2])).as_dict()["sentence"]
    assert variance_components(np.array([0.2, 0.2]), image_variance=0.0).sentence == "the runs do not differ"


def test_intervals__hold_the_truth_in_95_of_100() -> None:
    rng = np.random.default_rng(0)
    splits, n = np.repeat(np.arange(5), 4), 500
    hold = np.zeros(2)
    for _ in range(n):
        values = 0.5 + 0.02 * rng.normal(size=5)[splits] + 0.01 * rng.normal(size=20)
        parts = variance_components(values, splits, 0.0)
        for i, (estimate, truth) in enumerate(((parts.seed, 0.0001), (parts.split, 0.0004))):
            hold[i] += estimate.interval[0] <= truth <= estimate.interval[1]
    assert (hold / n > 0.92).all()
    assert (hold / n < 0.985).all()
