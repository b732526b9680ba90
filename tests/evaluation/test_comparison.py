"""Comparisons: verdicts that hold, and none where nothing can be differences."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import stdtr

from detect_transfer.evaluation.case import Case
from detect_transfer.evaluation.coco.bootstrap import SAMPLED, Sampled, draw_weights, sample
from detect_transfer.evaluation.coco.threshold_matches import match_at_thresholds
from detect_transfer.evaluation.comparison import (
    Plan,
    compare_groups,
    holm,
    seed_spread,
    sign_flip,
    total_spread,
    two_sided_p,
)

N = 60


def sampled(truth, detections, *, n_draws: int = 400):
    matches = match_at_thresholds(Case(truth, detections, "region"))
    return sample(matches, draw_weights(len(matches.objects), n_draws=n_draws))


@pytest.fixture
def sides(make_table, make_detections):
    """60 images with an object of each of two classes; a side finds the first so many of each class."""
    boxes = [(i, c, 0, 20 * c, 10, 20 * c + 10) for i in range(1, N + 1) for c in (1, 2)]
    truth = make_table(boxes, n_images=N, n_classes=2)

    def side(*shares):
        rows = [(i, c, 0, 20 * c, 10, 20 * c + 10, 0.9) for c, n in enumerate(shares, 1) for i in range(1, n + 1)]
        return sampled(truth, make_detections(rows))

    return side


def by_name(comparison):
    return {d.name: d for d in (*comparison.metrics, *comparison.classes)}


def test_better_and_worse__where_one_side_finds_a_third_more(sides) -> None:
    low, high = sides(30, 30), sides(50, 50)
    differences = by_name(compare_groups([low], [high], [1, 2], Plan(n_draws=400)))
    assert differences["AP"].verdict == "better"
    assert differences["AP"].difference == pytest.approx(20 / 60, abs=0.01)
    assert differences["AP"].interval[0] > 0.2
    assert differences["AP"].p_signs < 0.01
    back = by_name(compare_groups([high], [low], [1, 2], Plan(n_draws=400)))
    assert back["AP"].verdict == back["AP/1"].verdict == "worse"
    assert back["AP"].interval == pytest.approx(tuple(-x for x in reversed(differences["AP"].interval)))


def test_same__where_both_sides_are_equal(sides) -> None:
    differences = by_name(compare_groups([sides(30, 30)], [sides(30, 30)], [1, 2], Plan(n_draws=400)))
    assert {d.verdict for d in differences.values()} == {"same"}
    assert differences["AP"].p == differences["AP"].p_signs == 1.0
    assert differences["AP"].interval == (0.0, 0.0)


def test_cannot_tell__one_image_more_is_no_proof(sides) -> None:
    differences = by_name(compare_groups([sides(30, 30)], [sides(32, 30)], [1, 2], Plan(n_draws=400)))
    assert differences["AP"].verdict == "cannot tell"
    assert differences["AP"].p > 0.05


def test_margin__decides_what_is_the_same(sides) -> None:
    first, second = sides(30, 30), sides(32, 30)
    wide = by_name(compare_groups([first], [second], [1, 2], Plan(margin=0.2, n_draws=400)))
    assert wide["AP"].verdict == "same"


def test_class__better_in_one_class_alone(sides) -> None:
    differences = by_name(compare_groups([sides(20, 30)], [sides(50, 30)], [1, 2], Plan(n_draws=400)))
    assert differences["AP/1"].verdict == "better"
    assert differences["AP/2"].verdict == "same"
    assert differences["AP/1"].p_holm >= differences["AP/1"].p


def test_few_images__no_verdict_and_the_reason(make_table, make_detections) -> None:
    truth = make_table([(i, 1, 0, 0, 10, 10) for i in range(1, 6)], n_images=5, n_classes=2)
    none, full = (sampled(truth, make_detections([(i, 1, 0, 0, 10, 10, 0.9) for i in range(1, n)])) for n in (1, 6))
    differences = by_name(compare_groups([none], [full], [1, 2], Plan(n_draws=400)))
    assert differences["AP"].difference == pytest.approx(1.0)
    assert differences["AP"].verdict == "cannot tell"
    assert "only 5" in differences["AP"].reason
    assert differences["AP/2"].first is None
    assert "no object" in differences["AP/2"].reason


def test_draws_on_one_side__neither_interval_nor_verdict(sides) -> None:
    low, high = sides(30, 30), sides(50, 50)
    above = {name: np.concatenate([values[:1], values[1:] + 0.5]) for name, values in high.metrics.items()}
    d = by_name(compare_groups([low], [replace(high, metrics=above)], [1, 2], Plan(n_draws=400)))["AP"]
    assert (d.interval, d.p, d.p_holm, d.verdict) == (None, None, None, "cannot tell")
    assert d.difference == pytest.approx(20 / 60, abs=0.01)
    assert "one side" in d.reason


def test_one_image__a_difference_without_interval(make_table, make_detections) -> None:
    truth = make_table([(1, 1, 0, 0, 10, 10)])
    none, full = sampled(truth, make_detections([])), sampled(truth, make_detections([(1, 1, 0, 0, 10, 10, 0.9)]))
    differences = by_name(compare_groups([none], [full], [1], Plan(n_draws=400)))["AP"]
    assert (differences.difference, differences.interval, differences.p, differences.verdict) == (
        1.0,
        None,
        None,
        "cannot tell",
    )


def test_seeds__a_side_whose_trainings_differ_has_a_wider_interval(sides) -> None:
    plan = Plan(n_draws=400)
    steady = compare_groups([sides(30, 30)], [sides(40, 40)] * 3, [1, 2], plan).metrics[0]
    shaky = compare_groups([sides(30, 30)], [sides(30, 30), sides(40, 40), sides(50, 50)], [1, 2], plan).metrics[0]
    assert shaky.difference == pytest.approx(steady.difference, abs=0.01)
    assert np.diff(shaky.interval) > np.diff(steady.interval)
    assert steady.interval == pytest.approx(
        compare_groups([sides(30, 30)], [sides(40, 40)], [1, 2], plan).metrics[0].interval
    )


def test_holm__by_hand() -> None:
    """Sorted .01 .03 .04 times 3, 2, 1 is .03 .06 .04, made to rise: .03 .06 .06."""
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []
    assert holm([0.9, 0.9]) == [1.0, 1.0]


def test_two_sided_p__counts_draws_and_takes_the_normal_tail_beyond_them() -> None:
    counted = np.concatenate([[0.5], np.full(20, -0.1), np.full(30, 0.4), np.full(50, 0.6)])  # half below, half above
    assert two_sided_p(counted) == two_sided_p(-counted) == pytest.approx(2 * 21 / 101)
    assert two_sided_p(np.zeros(101)) == 1.0
    rng = np.random.default_rng(0)
    far = np.concatenate([[5.0], rng.normal(5, 1, 999)])
    assert two_sided_p(far) == pytest.approx(5.7e-7, rel=0.5)  # two-sided tail of 5 standard deviations


def test_sign_flip__six_images_that_all_favour_one_side(make_table, make_detections) -> None:
    """All 6 signs equal has the chance 2 / 64 under exchange."""
    truth = make_table([(i, 1, 0, 0, 10, 10) for i in range(1, 7)], n_images=6)
    none, full = (sampled(truth, make_detections([(i, 1, 0, 0, 10, 10, 0.9) for i in range(1, n)])) for n in (1, 7))
    assert sign_flip([none], [full], Plan(n_draws=5000))["AP"] == pytest.approx(2 / 64, abs=0.01)


def test_false_positive_rate__equal_sides_are_seldom_called_different(make_table, make_detections) -> None:
    """Two sides that find each object with the same chance: `better` or `worse` in about one of twenty comparisons."""
    rng = np.random.default_rng(5)
    truth = make_table([(i, 1, 0, 0, 10, 10) for i in range(1, N + 1)], n_images=N)

    def side():
        tp = np.flatnonzero(rng.random(N) < 0.6) + 1
        return sampled(truth, make_detections([(int(i), 1, 0, 0, 10, 10, 0.9) for i in tp]), n_draws=200)

    plan = Plan(n_draws=200)
    wrong = sum(
        compare_groups([side()], [side()], [1], plan).metrics[0].verdict in ("better", "worse") for _ in range(60)
    )
    assert wrong <= 8  # the chance of more is below 1 % at a rate of 5 %


def test_verdict__the_test_by_signs_must_agree(sides, monkeypatch: pytest.MonkeyPatch) -> None:
    low, high = sides(30, 30), sides(50, 50)
    monkeypatch.setattr("detect_transfer.evaluation.comparison.sign_flip", lambda *_: {"AP": 0.2})
    differences = by_name(compare_groups([low], [high], [1, 2], Plan(n_draws=400)))
    assert (differences["AP"].verdict, differences["AP50"].verdict) == ("cannot tell", "better")


def test_seed_spread__two_runs_a_group_by_hand() -> None:
    """.2 .4 and .3 .3: variances .02 and 0, halves .01 and 0, so Welch's degrees are those of the first, 1."""
    variance, degrees = seed_spread(np.array([0.2, 0.4]), np.array([0.3, 0.3]))
    assert (variance, degrees) == (pytest.approx(0.01), pytest.approx(1.0))
    variance, degrees = seed_spread(np.array([0.1]), np.array([0.2, 0.4]))  # the one run varies as the two do
    assert (variance, degrees) == (pytest.approx(0.02 * 1.5), 1.0)
    assert seed_spread(np.array([0.1]), np.array([0.2])) == (0.0, np.inf)
    error, degrees = total_spread(np.array(0.03), (np.array(0.01), np.array(1.0)))
    assert (error, degrees) == (pytest.approx(0.2), pytest.approx(4.0))


@pytest.mark.parametrize("n_seeds", [2, 3, 5])
def test_seeds__equal_groups_are_called_different_in_one_of_twenty(n_seeds: int) -> None:
    """Trainings that differ by their seeds alone, with a variance over images of so many times that over seeds."""
    rng = np.random.default_rng(n_seeds)
    n = 40_000
    for images in (0.25, 0.5, 1.0, 4.0):
        groups = rng.normal(0, 1, (2, n, n_seeds))
        image_variance = np.full(n, images * 2 / n_seeds)
        apart = groups[1].mean(axis=1) - groups[0].mean(axis=1) + rng.normal(0, 1, n) * np.sqrt(image_variance)
        error, degrees = total_spread(image_variance, seed_spread(*groups))
        wrong = float((2 * stdtr(degrees, -abs(apart) / error) < 0.05).mean())
        assert 0.03 <= wrong <= 0.065, (images, wrong)  # of few runs Welch's test is a little strict


@pytest.mark.parametrize("sizes", [(2, 2), (3, 3), (5, 5), (1, 2), (1, 3)])
def test_seeds__verdicts_over_four_metrics_hold_the_level(sides, sizes: tuple[int, int], monkeypatch) -> None:
    """`compare_groups` itself: four metrics that move together over images and seeds, without a difference."""
    monkeypatch.setattr("detect_transfer.evaluation.comparison.sign_flip", lambda *_: {})
    rng = np.random.default_rng(sizes[1])
    base, n_draws, n_trials = sides(30, 30), 100, 1200

    def run(images: np.ndarray, common: np.ndarray) -> Sampled:
        seed = 0.01 * (0.8 * rng.normal() + 0.6 * rng.normal(size=4))
        noise = common[:, None] + images + seed
        metrics = {name: 0.5 + noise[:, i] for i, name in enumerate(SAMPLED)}
        return replace(base, metrics=metrics, class_ap=np.zeros((1 + n_draws, 0)))

    wrong = 0
    for _ in range(n_trials):
        common = rng.normal(0, 0.02, 1 + n_draws)  # what both groups gain on a draw
        images = [rng.normal(0, 0.004, (1 + n_draws, 1)) + rng.normal(0, 0.002, (1 + n_draws, 4)) for _ in range(2)]
        for part in (common, *images):
            part[1:] += part[0]  # draws lie about the images as they are
        groups = [[run(part, common) for _ in range(n)] for part, n in zip(images, sizes, strict=True)]
        metrics = compare_groups(*groups, [], Plan(margin=0.0, n_draws=n_draws)).metrics
        wrong += any(d.verdict in ("better", "worse") for d in metrics)
    assert wrong / n_trials <= 0.065


def test_one_run_a_group__says_nothing_about_other_seeds(sides) -> None:
    one = compare_groups([sides(30, 30)], [sides(50, 50)], [1, 2], Plan(n_draws=400))
    assert "nothing about other seeds" in one.seeds
    several = compare_groups([sides(30, 30), sides(31, 30)], [sides(50, 50), sides(49, 50)], [1, 2], Plan(n_draws=400))
    assert "nothing" not in several.seeds
    assert several.metrics[0].p_holm >= several.metrics[0].p  # corrected over the four metrics
