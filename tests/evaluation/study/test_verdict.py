"""Verdicts over paired runs: by hand, the words, what has no pair, and how many seeds would decide."""

import numpy as np
import pytest
from scipy import stats

from detect_transfer.evaluation.study.power import seeds_needed
from detect_transfer.evaluation.study.scores import ArmScores
from detect_transfer.evaluation.study.verdict import judge, judge_pairs


def arm(name, ap, sizes=(100,)):
    """AP (sizes, seeds)."""
    ap = np.asarray(ap, float).reshape(len(sizes), -1)
    n = ap.shape[1]
    return ArmScores(name, np.repeat(sizes, n), np.tile(np.arange(n), len(sizes)), ap.ravel())


FIRST = [0.50, 0.54, 0.46, 0.52]
SECOND = [0.56, 0.59, 0.53, 0.57]


def test_difference__is_the_paired_t_test() -> None:
    verdict = judge(arm("full", FIRST), arm("auto", SECOND)).by_size[0]
    reference = stats.ttest_rel(SECOND, FIRST)
    assert verdict.p == pytest.approx(reference.pvalue)
    assert verdict.interval == pytest.approx(tuple(reference.confidence_interval(0.95)))
    assert (verdict.n_images, verdict.n_pairs, verdict.words) == (100, 4, "better")
    back = judge(arm("auto", SECOND), arm("full", FIRST))
    assert back.overall.words == "worse"
    assert back.overall.difference == pytest.approx(-verdict.difference)


def test_same__within_the_margin() -> None:
    close = judge(arm("full", FIRST), arm("auto", np.add(FIRST, [0.001, -0.001, 0.002, 0.001])))
    assert close.overall.words == "same within 0.01"
    equal = judge(arm("full", FIRST), arm("full again", FIRST))
    assert (equal.overall.words, equal.overall.interval) == ("same within 0.01", (0.0, 0.0))


def test_cannot_tell__says_how_many_more_seeds() -> None:
    verdict = judge(arm("full", FIRST[:2]), arm("auto", [0.54, 0.55])).overall
    assert verdict.verdict == "cannot tell"
    assert verdict.words == f"cannot tell: {verdict.more_seeds} more seeds needed"
    assert 1 < verdict.more_seeds < 10
    one = judge(arm("full", FIRST[:1]), arm("auto", SECOND[:1])).overall
    assert (one.words, one.interval) == ("cannot tell: 2 more seeds needed", None)
    assert "one pair" in one.reason
    noisy = judge(arm("full", [0.2, 0.8, 0.5]), arm("auto", [0.8, 0.2, 0.51])).overall
    assert noisy.words == "cannot tell: not even 100 seeds would decide"


@pytest.mark.parametrize("second", [[0.80, 0.8401], FIRST[:2]], ids=["far apart", "equal"])
def test_two_pairs__are_no_verdict_however_clear_they_look(second) -> None:
    two = judge(arm("full", FIRST[:2]), arm("auto", second)).overall
    assert two.p < 0.001 or two.interval == (0.0, 0.0)
    assert (two.verdict, two.words) == ("cannot tell", "cannot tell: 1 more seed needed")


def test_constant_difference__other_images_could_tell() -> None:
    first, second = arm("epoch0", [0.5] * 3), arm("epoch0 with map", [0.6] * 3)
    assert "only other images" in judge(first, second).overall.words
    assert judge(first, second, image_variance=0.0001).overall.words == "better"


def test_image_variance__widens_the_interval_and_may_differ_by_size() -> None:
    first, second = arm("full", FIRST), arm("auto", SECOND)
    narrow, wide = (judge(first, second, image_variance=v) for v in (0.0, {100: 0.01, None: 0.0}))
    assert np.diff(wide.by_size[0].interval) > np.diff(narrow.by_size[0].interval)
    assert wide.overall.interval == narrow.overall.interval


@pytest.mark.parametrize("n_seeds", [2, 3])
@pytest.mark.parametrize("images", [0.02, 0.2])
def test_equal_arms__seldom_have_a_small_p_with_a_variance_over_images(n_seeds, images) -> None:
    """Images with a share of the variance over seeds; two pairs are told apart in 9 of 100 by the degrees alone."""
    rng = np.random.default_rng(n_seeds)
    variance, n = images * 1e-4 / n_seeds, 1000
    apart = rng.normal(0, 0.01, (n, n_seeds)) + rng.normal(0, variance**0.5, (n, 1))
    pairs = np.stack([np.zeros_like(apart), apart], axis=2)
    verdicts = [judge_pairs([p], margin=0.0, image_variances=[variance])[0] for p in pairs]
    assert np.mean([v.p_holm < 0.05 for v in verdicts]) <= 0.07


def test_sizes__each_corrected_and_one_over_all() -> None:
    sizes = (100, 300)
    first, second = arm("full", [FIRST, FIRST], sizes), arm("auto", [SECOND, FIRST], sizes)
    compared = judge(first, second)
    small, large = compared.by_size
    assert small.p_holm == pytest.approx(2 * small.p)
    assert (small.words, large.words) == ("better", "same within 0.01")
    assert compared.overall.difference == pytest.approx(small.difference / 2)
    assert compared.as_dict()["by_size"][0]["words"] == "better"


def test_unpaired__runs_are_named_and_in_no_number() -> None:
    first, second = arm("full", [FIRST, FIRST], (100, 300)), arm("auto", SECOND[:3])
    compared = judge(first, second)
    assert compared.unpaired == ((100, 3), (300, 0), (300, 1), (300, 2), (300, 3))
    assert compared.by_size[0].n_pairs == compared.overall.n_pairs == 3
    none = judge(arm("full", FIRST), arm("auto", SECOND, (300,)))
    assert (none.by_size, none.overall.words) == ((), "cannot tell: no seed has a run of both arms")


def test_unpaired__seed_of_a_fold_is_named_and_its_fold_is_compared_by_the_others() -> None:
    """Of three folds with two seeds each, one run of one arm has failed."""
    folds, seeds = np.repeat([1, 2, 3], 2), np.tile([0, 1], 3)
    sizes, ap = np.full(6, 100), np.array([0.1, 0.3, 0.2, 0.2, 0.3, 0.1])
    first = ArmScores("full", sizes, folds, ap, seeds)
    rest = np.arange(6) != 3
    second = ArmScores("auto", sizes[rest], folds[rest], ap[rest] + 0.05, seeds[rest])
    compared = judge(first, second, overlap=0.5)
    assert compared.unpaired == ((100, 2, 1),)
    assert compared.as_dict()["unpaired"] == [[100, 2, 1]]
    assert compared.overall.n_pairs == 3
    assert compared.overall.difference == pytest.approx(0.05)


@pytest.mark.parametrize(("difference", "spread"), [(0.03, 0.02), (0.05, 0.03), (0.02, 0.02), (0.0, 0.01)])
def test_seeds_needed__has_the_power_it_promises(difference, spread) -> None:
    rng = np.random.default_rng(0)
    n = seeds_needed(difference, spread)
    share = []
    for size in (n, max(n - 3, 2)):
        apart = rng.normal(difference, spread, (20_000, size))
        reach = stats.t.ppf(0.975, size - 1) * apart.std(axis=1, ddof=1) / np.sqrt(size)
        low, high = apart.mean(axis=1) - reach, apart.mean(axis=1) + reach
        share.append(((low > 0) | (high < 0) | ((low >= -0.01) & (high <= 0.01))).mean())
    assert share[0] > 0.77
    assert share[1] < 0.8


def test_seeds_needed__none_where_images_decide() -> None:
    assert seeds_needed(0.02, 0.001, image_variance=0.001) is None


def folds(name, ap):
    """AP (folds, seeds) at one size."""
    ap = np.asarray(ap, float)
    units, seeds = (index.ravel() for index in np.indices(ap.shape))
    return ArmScores(name, np.full(ap.size, 100), units, ap.ravel(), seeds)


def test_folds__are_compared_by_the_corrected_t_test() -> None:
    first = np.array([[0.50, 0.52], [0.54, 0.50], [0.46, 0.48], [0.52, 0.56], [0.44, 0.50]])
    gain = np.array([0.06, 0.05, 0.08, 0.04, 0.07])[:, None]
    verdict = judge(folds("full", first), folds("auto", first + gain), overlap=0.25).overall
    error = gain.std(ddof=1) * np.sqrt(1 / 5 + 1 / 4)  # Nadeau and Bengio: as if there were 2.2 folds
    reach = stats.t.ppf(0.975, 4) * error
    assert verdict.interval == pytest.approx((0.06 - reach, 0.06 + reach))
    assert (verdict.words, verdict.n_pairs) == ("better", 5)
    noisy = judge(
        folds("full", first), folds("auto", first + np.array([[0.1], [-0.1], [0.05], [0.0], [0.1]])), overlap=0.25
    )
    assert noisy.overall.words == "cannot tell: more images, or more seeds a fold, would be needed"


def test_seed_that_one_arm_lacks_in_a_fold__is_in_no_number_of_the_other() -> None:
    first = folds("full", [[0.5, 0.9], [0.5, 0.5], [0.5, 0.5]])
    second = folds("auto", [[0.6], [0.6], [0.6]])
    assert judge(first, second, overlap=0.5).overall.difference == pytest.approx(0.1)
