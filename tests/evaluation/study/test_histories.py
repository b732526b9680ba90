"""Time to an AP with runs that end before, ratios paired by seed, and how far training runs ahead."""

import numpy as np
import pytest
from scipy import stats

from detect_transfer.core.errors import InputError
from detect_transfer.evaluation.study.histories import History, overfitting, time_ratio, time_to_ap


def history(seed, ap, seconds_each=10.0, train_ap=None):
    epochs = np.arange(len(ap), dtype=float)
    train = None if train_ap is None else np.array(train_ap, float)
    return History(seed, 2 + seconds_each * epochs, 100 * epochs, np.array(ap), train)


ARM = [history(0, [0.1, 0.3, 0.5]), history(1, [0.1, 0.5, 0.4]), history(2, [0.1, 0.2, 0.5])]


def test_time__first_epoch_that_has_it_and_epoch_0_counts() -> None:
    reached = time_to_ap(ARM, 0.5)
    assert reached.per_seed == ((0, 22.0), (1, 12.0), (2, 22.0))
    assert (reached.n_reached, reached.n_runs, reached.median) == (3, 3, 22.0)
    t = np.array([22.0, 12.0, 22.0])
    low, high = stats.t.interval(0.95, 2, t.mean(), t.std(ddof=1) / 3**0.5)
    assert reached.estimate.value == pytest.approx(t.mean())
    assert reached.estimate.interval == pytest.approx((low, high))
    assert time_to_ap(ARM, 0.1, "images_seen").estimate.value == 0.0


def test_time__runs_that_ended_before_are_said_and_in_no_mean() -> None:
    reached = time_to_ap([*ARM, history(3, [0.1, 0.2, 0.45])], 0.5)
    assert (reached.n_reached, reached.median, reached.estimate.value) == (3, 22.0, None)
    assert reached.estimate.reason == "1 of 4 runs did not reach AP 0.500 within 22 s (at best 0.450)"
    never = time_to_ap(ARM, 0.9, "images_seen")
    assert (never.n_reached, never.median) == (0, None)
    assert "3 of 3 runs did not reach AP 0.900 within 200 images" in never.as_dict()["estimate"]["reason"]
    assert time_to_ap([], 0.5).estimate.reason == "no run"


def test_ratio__paired_by_seed() -> None:
    fast = [history(seed, [0.1, 0.5, 0.6], seconds) for seed, seconds in enumerate([3.0, 4.0, 5.0])]
    ratio = time_ratio(ARM, fast, 0.5)
    ratios = np.array([5 / 22, 6 / 12, 7 / 22])
    assert ratio.value == pytest.approx(stats.gmean(ratios))
    assert ratio.interval[0] < ratio.value < ratio.interval[1]
    assert "of the first arm and of the second arm did not reach AP 0.700" in time_ratio(ARM, fast, 0.7).reason
    assert "had before training AP 0.100" in time_ratio(ARM, fast, 0.1, "images_seen").reason
    assert time_ratio(ARM, fast[:1], 0.5).reason == "one run says nothing about other seeds"
    assert "no seed" in time_ratio(ARM, [history(9, [0.5])], 0.5).reason


def test_overfitting__mean_gap_of_the_runs_where_all_have_it() -> None:
    arm = [
        history(0, [0.1, 0.3, 0.5], train_ap=[0.1, 0.4, 0.8]),
        history(1, [0.1, 0.5, 0.4], train_ap=[0.2, np.nan, 0.8]),
        history(2, [0.1, 0.5, 0.4]),
    ]
    gap = overfitting(arm)
    assert gap.n_runs == 2
    assert gap.images_seen.tolist() == [0, 100, 200]
    assert gap.gap == pytest.approx([0.05, (0.1 + 0.25) / 2, 0.35])
    assert gap.final.value == pytest.approx(0.35)
    assert gap.low[0] < 0.05 < gap.high[0]
    assert overfitting(arm[2:]).final.reason == "no training AP was measured"
    assert overfitting(arm[:1]).as_dict()["low"] == [None, None, None]


def test_histories__that_are_not_possible_are_refused() -> None:
    ones = np.ones(2)
    for columns in ((ones, ones, np.ones(3)), (np.array([2.0, 1.0]), ones, ones), (np.empty(0),) * 3):
        with pytest.raises(InputError, match="STUDY_HISTORY seed 4"):
            History(4, *columns)
