"""Images needed for an AP: by hand, refused far out, and an interval that says where it is open."""

import numpy as np
import pytest

from detect_transfer.evaluation.study.images_needed import catch_up, images_for, images_needed, worth_in_images
from detect_transfer.evaluation.study.learning_curve import LearningCurve, fit_curve
from detect_transfer.evaluation.study.scores import ArmScores

SIZES = np.array([50, 150, 500])


def curve(arm, a, b, c, noise=0.004, seed=0, sizes=SIZES):
    n, rng = np.repeat(sizes, 3), np.random.default_rng(seed)
    ap = 1 - (a + b * n**c) + rng.normal(0, noise, len(n))
    return fit_curve(ArmScores(arm, n, np.tile(range(3), len(sizes)), ap))


def test_images_for__by_hand() -> None:
    """.2 + 4 n^-.5 is .4 at 400 images; .2 is never reached; an error above that of any size needs none."""
    parameters = np.array([[0.2, 4.0, -0.5]])
    assert images_for(parameters, 0.6) == pytest.approx([400])
    assert images_for(parameters, 0.8) == np.inf
    assert images_for(np.array([[0.4, 0.0, -0.5]]), 0.7) == np.inf
    assert images_for(np.array([[0.4, 0.0, -0.5]]), 0.5) == 0


def test_images_needed__within_the_sizes_and_beyond_them() -> None:
    fitted = curve("full", 0.2, 2.0, -0.5)
    inside = images_needed(fitted, 1 - 0.2 - 2 / 300**0.5)
    assert inside.interval[0] < 300 < inside.interval[1]
    assert inside.value == pytest.approx(300, rel=0.1)
    assert inside.reason is None
    outside = images_needed(fitted, 1 - 0.2 - 2 / 4000**0.5)
    assert outside.value is None
    assert "beyond 4 x the 500 measured" in outside.reason
    assert 500 < outside.interval[0] < 4000
    fewer = images_needed(fitted, 0.2)  # at (2 / .6)^2 = 11 images
    assert (fewer.value, fewer.interval) == (None, (0.0, 50.0))
    assert "far fewer images than the 50" in fewer.reason
    never = images_needed(fitted, 0.99)
    assert (never.value, never.interval[1]) == (None, np.inf)
    assert "does not reach AP 0.990" in never.reason
    assert never.as_dict()["interval"][1] is None


def test_images_needed__no_curve_has_its_reason() -> None:
    none = LearningCurve("full", np.array([10.0, 30.0]), None, None, None, reason="too few sizes")
    assert images_needed(none, 0.5).reason == "too few sizes"
    assert catch_up(none, curve("full", 0.2, 2.0, -0.5)).reason == "too few sizes"
    assert worth_in_images(none, curve("full", 0.2, 2.0, -0.5), 100).reason == "too few sizes"


def test_worth_in_images__what_scratch_needs_for_the_same_ap() -> None:
    """Errors .2 + 1 n^-.5 and .2 + 2 n^-.5 are equal at n and 4 n."""
    pretrained, scratch = curve("pretrained", 0.2, 1.0, -0.5, seed=1), curve("scratch", 0.2, 2.0, -0.5, seed=2)
    worth = worth_in_images(pretrained, scratch, 100)
    assert worth.interval[0] < 400 < worth.interval[1]
    assert worth.value == pytest.approx(400, rel=0.3)
    assert "beyond 4 x" in worth_in_images(pretrained, scratch, 5000).reason


def test_catch_up__curves_of_the_same_seed_are_not_drawn_with_the_same_noise() -> None:
    one, other = curve("scratch", 0.25, 2.0, -0.5), curve("pretrained", 0.25, 2.0, -0.5)
    assert np.diff(worth_in_images(other, one, 300).interval) > np.diff(
        images_needed(one, one.ap_at(300).value).interval
    )


def test_catch_up__where_the_curves_cross_and_where_they_do_not() -> None:
    """.3 + n^-.5 and .25 + 2 n^-.5 cross at 400."""
    pretrained = curve("pretrained", 0.3, 1.0, -0.5, 0.001, seed=1)
    scratch = curve("scratch", 0.25, 2.0, -0.5, 0.001, seed=2)
    crossed = catch_up(scratch, pretrained)
    assert crossed.value == pytest.approx(400, rel=0.1)
    assert crossed.interval[0] < 400 < crossed.interval[1]
    far = catch_up(curve("scratch", 0.3, 2.0, -0.5), pretrained)
    assert (far.value, far.interval[1]) == (None, np.inf)
    assert "scratch does not catch up within 4 x the 500 measured" in far.reason
    assert catch_up(pretrained, curve("scratch", 0.4, 2.0, -0.5)).value == 0.0
