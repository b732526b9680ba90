"""The best of k trials: by hand and against all subsets."""

from itertools import combinations, product

import numpy as np
import pytest

from detect_transfer.evaluation.study.trials import expected_best

AP = np.array([0.3, 0.1, 0.7, 0.5])


def test_expected_best__all_draws_with_and_without_replacement() -> None:
    for best in expected_best(AP):
        drawn = [max(trials) for trials in product(AP, repeat=best.k)]
        assert best.expected == pytest.approx(np.mean(drawn))
        assert best.deviation == pytest.approx(np.std(drawn))
        assert best.unbiased == pytest.approx(np.mean([max(trials) for trials in combinations(AP, best.k)]))


def test_expected_best__no_more_than_the_trials_made() -> None:
    assert [best.k for best in expected_best(AP, 9)] == [1, 2, 3, 4]
    assert [best.k for best in expected_best(AP, 2)] == [1, 2]
    assert expected_best(AP)[3].unbiased == pytest.approx(0.7)
    assert expected_best(np.empty(0)) == ()
