"""Collecting in rounds: the correction raises the chance of getting there to what it promises."""

import numpy as np

from detect_transfer.evaluation.study.collection import collection_plan
from detect_transfer.evaluation.study.learning_curve import LearningCurve, fit_curve
from detect_transfer.evaluation.study.scores import ArmScores


def curve(seed=0, a=0.2, b=1.5, c=-0.5):
    n = np.repeat([50, 150, 500], 3)
    ap = 1 - (a + b * n**c) + np.random.default_rng(seed).normal(0, 0.006, 9)
    return fit_curve(ArmScores("full", n, np.tile(range(3), 3), ap))


def test_plan__the_correction_makes_it_likely() -> None:
    plan = collection_plan(curve(), 1 - 0.2 - 1.5 / 1000**0.5)
    assert plan.correction > 0
    assert plan.uncorrected_probability < 0.8 < 0.9 <= plan.reach_probability
    assert 500 < plan.next_images <= 2000
    assert plan.in_the_end.interval[0] <= plan.in_the_end.value <= plan.in_the_end.interval[1]
    assert plan.as_dict()["in_the_end"]["value"] == plan.in_the_end.value


def test_plan__one_round_asks_for_more_than_the_first_of_three() -> None:
    target = 1 - 0.2 - 1.5 / 800**0.5
    once, often = (collection_plan(curve(1), target, rounds=r) for r in (1, 3))
    assert once.next_images >= often.next_images


def test_plan__what_is_reached_already_and_what_never_is() -> None:
    assert collection_plan(curve(), 0.6).next_images == 500
    never = collection_plan(curve(), 0.99)
    assert (never.next_images, never.correction) == (None, None)
    assert "no curve that the runs allow reaches AP 0.990 in 3 rounds" in never.reason
    none = LearningCurve("full", np.array([10.0]), None, None, None, reason="too few sizes")
    assert collection_plan(none, 0.5).reason == "too few sizes"
