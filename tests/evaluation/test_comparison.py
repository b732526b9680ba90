"""Comparisons: verdicts that hold, and none where nothing can be told."""

import numpy as np
import pytest

from detect_transfer.evaluation.case import Case
from detect_transfer.evaluation.coco.bootstrap import draw_weights, sample
from detect_transfer.evaluation.coco.threshold_matches import match_at_thresholds
from detect_transfer.evaluation.comparison import Plan, compare_groups, group_values, holm, sign_flip, two_sided_p

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
    told = by_name(compare_groups([low], [high], [1, 2], Plan(n_draws=400)))
    assert told["AP"].verdict == "better"
    assert told["AP"].difference == pytest.approx(20 / 60, abs=0.01)
    assert told["AP"].interval[0] > 0.2
    assert told["AP"].p_signs < 0.01
    back = by_name(compare_groups([high], [low], [1, 2], Plan(n_draws=400)))
    assert back["AP"].verdict == back["AP/1"].verdict == "worse"
    assert back["AP"].interval == pytest.approx(tuple(-x for x in reversed(told["AP"].interval)))


def test_same__where_both_sides_are_equal(sides) -> None:
    told = by_name(compare_groups([sides(30, 30)], [sides(30, 30)], [1, 2], Plan(n_draws=400)))
    assert {d.verdict for d in told.values()} == {"same"}
    assert told["AP"].p == told["AP"].p_signs == 1.0
    assert told["AP"].interval == (0.0, 0.0)


def test_cannot_tell__one_image_more_is_no_proof(sides) -> None:
    told = by_name(compare_groups([sides(30, 30)], [sides(32, 30)], [1, 2], Plan(n_draws=400)))
    assert told["AP"].verdict == "cannot tell"
    assert told["AP"].p > 0.05


def test_margin__decides_what_is_the_same(sides) -> None:
    first, second = sides(30, 30), sides(32, 30)
    wide = by_name(compare_groups([first], [second], [1, 2], Plan(margin=0.2, n_draws=400)))
    assert wide["AP"].verdict == "same"


def test_class__better_in_one_class_alone(sides) -> None:
    told = by_name(compare_groups([sides(20, 30)], [sides(50, 30)], [1, 2], Plan(n_draws=400)))
    assert told["AP/1"].verdict == "better"
    assert told["AP/2"].verdict == "same"
    assert told["AP/1"].p_holm >= told["AP/1"].p


def test_few_images__no_verdict_and_the_reason(make_table, make_detections) -> None:
    truth = make_table([(i, 1, 0, 0, 10, 10) for i in range(1, 6)], n_images=5, n_classes=2)
    none, full = (sampled(truth, make_detections([(i, 1, 0, 0, 10, 10, 0.9) for i in range(1, n)])) for n in (1, 6))
    told = by_name(compare_groups([none], [full], [1, 2], Plan(n_draws=400)))
    assert told["AP"].difference == pytest.approx(1.0)
    assert told["AP"].verdict == "cannot tell"
    assert "only 5" in told["AP"].reason
    assert told["AP/2"].first is None
    assert "no object" in told["AP/2"].reason


def test_one_image__a_difference_without_interval(make_table, make_detections) -> None:
    truth = make_table([(1, 1, 0, 0, 10, 10)])
    none, full = sampled(truth, make_detections([])), sampled(truth, make_detections([(1, 1, 0, 0, 10, 10, 0.9)]))
    told = by_name(compare_groups([none], [full], [1], Plan(n_draws=400)))["AP"]
    assert (told.difference, told.interval, told.p, told.verdict) == (1.0, None, None, "cannot tell")


def test_seeds__a_side_whose_trainings_differ_has_a_wider_interval(sides) -> None:
    plan = Plan(n_draws=400)
    steady = compare_groups([sides(30, 30)], [sides(40, 40)] * 3, [1, 2], plan).metrics[0]
    shaky = compare_groups([sides(30, 30)], [sides(30, 30), sides(40, 40), sides(50, 50)], [1, 2], plan).metrics[0]
    assert shaky.difference == pytest.approx(steady.difference, abs=0.01)
    assert np.diff(shaky.interval) > np.diff(steady.interval)
    assert steady.interval == pytest.approx(
        compare_groups([sides(30, 30)], [sides(40, 40)], [1, 2], plan).metrics[0].interval
    )


def test_side_values__two_trainings_by_hand() -> None:
    """Values .2 and .4, mean .3; picks 1 1 have the deviation .1, times sqrt 2."""
    runs = [np.array([0.2, 0.2, 0.2]), np.array([0.4, 0.4, 0.4])]
    values = group_values(runs, np.array([[1, 1], [0, 1]]))
    assert values == pytest.approx([0.3, 0.3 + 0.1 * np.sqrt(2), 0.3])


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


def test_false_alarm_rate__equal_sides_are_seldom_called_different(make_table, make_detections) -> None:
    """Two sides that find each object with the same chance: `better` or `worse` in about one of twenty comparisons."""
    rng = np.random.default_rng(5)
    truth = make_table([(i, 1, 0, 0, 10, 10) for i in range(1, N + 1)], n_images=N)

    def side():
        hit = np.flatnonzero(rng.random(N) < 0.6) + 1
        return sampled(truth, make_detections([(int(i), 1, 0, 0, 10, 10, 0.9) for i in hit]), n_draws=200)

    plan = Plan(n_draws=200)
    wrong = sum(
        compare_groups([side()], [side()], [1], plan).metrics[0].verdict in ("better", "worse") for _ in range(60)
    )
    assert wrong <= 8  # the chance of more is below 1 % at a rate of 5 %


def test_verdict__the_test_by_signs_must_agree(sides, monkeypatch: pytest.MonkeyPatch) -> None:
    low, high = sides(30, 30), sides(50, 50)
    monkeypatch.setattr("detect_transfer.evaluation.comparison.sign_flip", lambda *_: {"AP": 0.2})
    told = by_name(compare_groups([low], [high], [1, 2], Plan(n_draws=400)))
    assert (told["AP"].verdict, told["AP50"].verdict) == ("cannot tell", "better")
