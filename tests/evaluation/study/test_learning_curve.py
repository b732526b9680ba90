"""Learning curves: published values, bounds, refusals, and intervals that hold the truth."""

import numpy as np
import pytest

from detect_transfer.core.errors import InputError
from detect_transfer.evaluation.study.learning_curve import fit_curve, least_squares
from detect_transfer.evaluation.study.scores import ArmScores, Estimate

# Test errors in percent by training images a class, as measured by the authors of Hoiem et al. 2021 for their figure 5
# (github.com/allenai/learning-curve, data/, commit e16b862), which their code fits with c = -.57, -.41 and -.35.
MEASURED = {
    "pretrained, fine-tuned": {
        25: [42.91, 40.49, 42.38, 47.9, 46.75, 47.4, 44.3, 45.67, 46.62, 42.71],
        50: [32.35, 32.77, 32.17, 31.63, 32.6, 32.73, 32.57, 31.93],
        100: [26.37, 26.43, 26.47, 26.37],
        200: [21.72, 22.48],
        400: [18.88],
    },
    "from scratch": {
        25: [74.04, 74.48, 74.07, 74.4, 75.95, 74.97, 74.02, 75.8, 74.6, 74.27],
        50: [57.59, 58.45, 58.13, 58.44, 59.46, 58.14, 58.71, 58.22],
        100: [45.01, 43.64, 45.06, 44.63],
        200: [35.36, 35.2],
        400: [27.92],
    },
    "pretrained, linear": {
        25: [45.03, 45.59, 45.68, 45.42, 46.04, 46.11, 45.37, 45.49, 45.4, 46.18],
        50: [40.76, 40.66, 41.36, 40.87, 40.34, 40.93, 41.1, 40.79],
        100: [37.35, 37.4, 37.61, 37.7],
        200: [34.67, 34.59],
        400: [32.4],
    },
}
PUBLISHED = [  # error at 400, slope at 400, exponent, error at 1600
    ("pretrained, fine-tuned", 18.864, 7.277, -0.57, 15.377),
    ("from scratch", 27.913, 18.228, -0.41, 18.275),
    ("pretrained, linear", 32.419, 5.613, -0.35, 29.337),
]
each_published = pytest.mark.parametrize(
    ("arm", "e400", "slope", "c", "e1600"), PUBLISHED, ids=[row[0] for row in PUBLISHED]
)


def measured(arm):
    rows = [(n, i, 1 - error / 100) for n, errors in MEASURED[arm].items() for i, error in enumerate(errors)]
    n_images, seeds, ap = (np.array(column) for column in zip(*rows, strict=True))
    return ArmScores(arm, n_images, seeds, ap)


def authors_variances(arm):
    """Their variance of a run: .02 percent^2 and a part that falls as 1 / n."""
    parts = [(n, len(v) - 1, np.var(v, ddof=1) - 0.02) for n, v in MEASURED[arm].items() if len(v) > 1]
    n, weight, variance = np.array(parts).T
    slope = (weight * variance / n).sum() / (weight / n**2).sum()
    return (0.02 + slope / np.array(list(MEASURED[arm]))) / 1e4


@each_published
def test_published_values__with_the_weights_and_the_prior_of_the_authors(arm, e400, slope, c, e1600) -> None:
    """Each size counts once, as their weights have it; a step of 1 of the exponent costs 5."""
    curve = fit_curve(measured(arm), prior=5.0, variances=authors_variances(arm))
    assert curve.c == c
    assert 100 * (1 - curve.ap_at(400).value) == pytest.approx(e400, abs=0.002)
    assert 100 * curve.slope_at(400).value == pytest.approx(slope, abs=0.002)
    assert 100 * (1 - curve.ap_at(1600).value) == pytest.approx(e1600, abs=0.002)


@each_published
def test_published_values__lie_in_the_intervals_of_the_default_fit(arm, e400, slope, c, e1600) -> None:
    curve = fit_curve(measured(arm))
    for estimate, error in ((curve.ap_at(400), e400), (curve.ap_at(1600), e1600)):
        low, high = estimate.interval
        assert low <= 1 - error / 100 <= high
        assert high - low < 0.08


def test_exact_points__give_the_curve_back() -> None:
    sizes = np.array([10, 30, 100, 300])
    ap = np.repeat(1 - (0.2 + 1.5 * sizes**-0.43), 2)
    curve = fit_curve(ArmScores("full", np.repeat(sizes, 2), np.tile([0, 1], 4), ap))
    assert (curve.a, curve.b, curve.c) == pytest.approx((0.2, 1.5, -0.43), abs=1e-6)
    assert curve.ap_at(300).value == pytest.approx(ap[-1])
    assert curve.band(np.array([10.0, 300.0]))[0] == pytest.approx(ap[[0, -1]])


def test_bounds__an_error_that_would_fall_below_0_or_rise() -> None:
    sizes = np.array([10.0, 30.0, 100.0])
    below = least_squares(sizes, np.array([[0.9, 0.4, 0.0]]), np.ones(3))[0]
    assert below[0] == 0.0
    rising = least_squares(sizes, np.array([[0.4, 0.5, 0.6]]), np.ones(3))[0]
    assert rising[:2] == pytest.approx([0.5, 0.0])


def test_no_curve__two_sizes_or_one_seed_have_a_reason() -> None:
    two = fit_curve(ArmScores("full", np.array([10, 10, 30]), np.array([0, 1, 0]), np.array([0.1, 0.2, 0.3])))
    assert (two.a, two.reason) == (None, "2 sizes were measured; a learning curve needs 3")
    one = fit_curve(ArmScores("full", np.array([10, 30, 90]), np.zeros(3, int), np.array([0.1, 0.2, 0.3])))
    assert "noise is not known" in one.reason
    assert one.ap_at(50) == Estimate(None, None, one.reason)
    assert one.as_dict()["a"] is None


def test_far_out__beyond_four_times_the_largest_size_is_refused() -> None:
    curve = fit_curve(measured("from scratch"))
    assert curve.ap_at(1600).value is not None
    assert "beyond 4 x the 400 measured" in curve.ap_at(1601).reason


def test_misfit__points_off_the_curve_are_noticed_and_widen_it() -> None:
    rng = np.random.default_rng(0)
    sizes = np.repeat([10, 30, 100, 300, 1000], 3)
    smooth, noise = 1 - (0.2 + 1.5 * sizes**-0.43), rng.normal(0, 0.004, 15)
    bent = smooth - 0.03 * (sizes == 100)
    fits = [fit_curve(ArmScores("full", sizes, np.tile(range(3), 5), ap + noise)) for ap in (smooth, bent)]
    assert fits[0].misfit_p > 0.05 > fits[1].misfit_p
    widths = [np.diff(fit.ap_at(1000).interval)[0] for fit in fits]
    assert widths[1] > 1.5 * widths[0]


def test_nothing_learned__sizes_before_the_power_law_are_left_out() -> None:
    sizes = np.repeat([10, 50, 150, 500, 1500], 2)
    ap = np.maximum(1 - 7 * sizes**-0.5, 0.0)  # 0 at 10 images, .01 at 50
    curve = fit_curve(ArmScores("scratch", sizes, np.tile([0, 1], 5), ap))
    assert curve.sizes.tolist() == [50, 150, 500, 1500]
    assert (curve.a, curve.b, curve.c) == pytest.approx((0.0, 7.0, -0.5), abs=1e-6)
    few = fit_curve(ArmScores("scratch", sizes[:6], np.tile([0, 1], 3), ap[:6]))
    assert "3 sizes were measured, 2 of them with an AP of at least 0.01" in few.reason
    nothing = fit_curve(ArmScores("scratch", sizes, np.tile([0, 1], 5), ap * 0))
    assert "5 sizes were measured, 0 of them with" in nothing.reason
    assert nothing.ap_at(100).reason == nothing.reason


def test_misfit__is_seen_with_three_sizes_where_a_bound_holds_the_curve() -> None:
    sizes = np.repeat([50, 150, 500], 3)
    ap = np.repeat([0.02, 0.05, 0.5], 3) + np.tile([-0.003, 0.0, 0.003], 3)
    curve = fit_curve(ArmScores("scratch", sizes, np.tile(range(3), 3), ap))
    assert curve.misfit_p < 0.01
    assert np.diff(curve.ap_at(500).interval)[0] > 0.1


def test_constant_ap__no_runs_differ_and_no_image_helps() -> None:
    curve = fit_curve(ArmScores("epoch0", np.repeat([50, 150, 500], 3), np.tile(range(3), 3), np.full(9, 0.4)))
    assert curve.ap_at(500).value == pytest.approx(0.4)
    assert np.diff(curve.ap_at(500).interval)[0] < 0.001


def test_runs__that_are_not_possible_are_refused() -> None:
    sizes, seeds, ap = np.array([10, 10]), np.array([0, 1]), np.array([0.1, 0.2])
    ArmScores("full", sizes, seeds, ap)
    for wrong in (
        ("full", sizes, seeds[:1], ap),
        ("full", sizes * 0, seeds, ap),
        ("full", sizes, seeds, ap + 1),
        ("full", sizes, seeds, ap * np.nan),
        ("full", sizes, seeds * 0, ap),
    ):
        with pytest.raises(InputError, match="STUDY_RUNS"):
            ArmScores(*wrong)


def test_same_seed__same_interval() -> None:
    assert fit_curve(measured("from scratch")).ap_at(800) == fit_curve(measured("from scratch")).ap_at(800)
