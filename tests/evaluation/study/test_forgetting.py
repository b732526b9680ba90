"""Forgetting: means by hand, and the coefficient that gains most within what may be lost."""

import numpy as np
import pytest

from detect_transfer.core.errors import InputError
from detect_transfer.evaluation.study.forgetting import Interpolated, forgetting_curve

GRID = np.array([0.0, 0.5, 1.0])
RUNS = [
    Interpolated(0, GRID, np.array([0.60, 0.70, 0.68]), np.array([0.40, 0.399, 0.33])),
    Interpolated(1, GRID, np.array([0.60, 0.68, 0.72]), np.array([0.40, 0.397, 0.31])),
]


def test_points__by_hand() -> None:
    source, half, tuned = forgetting_curve(RUNS).points
    assert (source.gained.value, source.forgotten.value) == (0.0, 0.0)
    assert half.new_ap.value == pytest.approx(0.69)
    assert half.forgotten.value == pytest.approx(0.002)
    assert tuned.gained.value == pytest.approx(0.10)
    assert tuned.forgotten.value == pytest.approx(0.08)
    assert tuned.forgotten.interval[0] < 0.08 < tuned.forgotten.interval[1]


def test_points__lie_between_0_and_1_with_their_intervals() -> None:
    runs = [
        Interpolated(i, np.array([0.0, 1.0]), np.array([0.1, ap]), np.array([0.9, ap]))
        for i, ap in ((0, 0.05), (1, 0.95))
    ]
    for estimate in (forgetting_curve(runs).points[1].new_ap, forgetting_curve(runs).points[1].kept_ap):
        assert estimate.interval == (0.0, 1.0)


def test_chosen__the_best_that_loses_no_more_than_allowed() -> None:
    assert forgetting_curve(RUNS).chosen == 0.5
    assert forgetting_curve(RUNS, allowed_loss=0.1).chosen == 1.0
    assert forgetting_curve(RUNS, allowed_loss=0.0).chosen == 0.0
    assert forgetting_curve([]).as_dict() == {"points": [], "allowed_loss": 0.005, "chosen": None}


def test_runs__with_other_grids_count_where_they_have_a_point() -> None:
    more = Interpolated(2, np.array([0.0, 0.25]), np.array([0.6, 0.65]), np.array([0.4, 0.4]))
    assert [p.n_runs for p in forgetting_curve([*RUNS, more]).points] == [3, 1, 2, 2]
    assert forgetting_curve([more]).as_dict()["points"][1]["new_ap"]["reason"] is not None


def test_runs__without_the_source_are_refused() -> None:
    for grid in (GRID[1:], GRID[::-1], GRID):
        with pytest.raises(InputError, match="STUDY_COEFFICIENTS seed 3"):
            Interpolated(3, grid, np.ones(2), np.ones(2))
