"""The matrix of data sets: gains paired by seed and corrected over the cells, and cells that have none."""

import dataclasses

import numpy as np
import pytest

from detect_transfer.evaluation.study.cross_domain import DomainRun, cross_domain
from detect_transfer.evaluation.study.scores import ArmScores
from detect_transfer.evaluation.study.verdict import judge


def runs(ap):
    return [DomainRun(a, b, seed, value) for (a, b), values in ap.items() for seed, value in enumerate(values)]


SCRATCH = runs({("A", "A"): [0.40, 0.42, 0.38], ("A", "B"): [0.10, 0.12, 0.11], ("B", "A"): [None] * 3})
PRETRAINED = runs({("A", "A"): [0.60, 0.62, 0.59], ("A", "B"): [0.10, 0.12, 0.11], ("B", "A"): [None] * 3})


def test_cells__gain_and_what_has_none() -> None:
    own, other, nothing = cross_domain(SCRATCH, PRETRAINED)
    assert (own.trained_on, own.tested_on, own.gain.words) == ("A", "A", "better")
    assert own.ap.value == pytest.approx(1.81 / 3)
    assert own.gain.difference == pytest.approx(0.61 / 3)
    assert own.gain.p_holm == pytest.approx(2 * own.gain.p)
    assert other.gain.words == "same within 0.01"
    assert (nothing.ap.reason, nothing.gain) == ("no class in common", None)
    assert nothing.as_dict()["gain"] is None


def test_gain__holds_for_other_images_where_they_were_drawn() -> None:
    random = np.random.default_rng(0)
    gain = 0.05 + 0.04 * random.standard_normal(500)  # of the same images drawn again, 2 deviations from the mean 0.05
    scratch = [DomainRun("A", "B", s, 0.1, np.full(501, 0.1)) for s in range(3)]
    full = [DomainRun("A", "B", s, 0.15 + d, np.r_[0.15, 0.1 + gain] + d) for s, d in enumerate((0.0, 1e-3, -1e-3))]
    without = [dataclasses.replace(run, draws=None) for run in full]
    assert [cross_domain(scratch, runs)[0].gain.verdict for runs in (without, full)] == ["better", "cannot tell"]
    same = judge(
        *(ArmScores("x", np.full(3, 9), np.arange(3), np.array([run.ap for run in runs])) for runs in (scratch, full)),
        image_variance=float(gain.var()),
    )
    assert cross_domain(scratch, full)[0].gain.interval == pytest.approx(same.by_size[0].interval)


def test_cells__have_an_interval_of_ap_between_0_and_1() -> None:
    (cell,) = cross_domain([], [DomainRun("a", "b", seed, ap) for seed, ap in ((0, 0.05), (1, 0.95))])
    assert cell.ap.interval == (0.0, 1.0)


def test_cells__without_the_first_arm_have_an_ap_and_no_gain() -> None:
    cells = cross_domain([], PRETRAINED)
    assert [cell.gain for cell in cells] == [None, None, None]
    assert cells[0].ap.value == pytest.approx(1.81 / 3)
    assert cross_domain([], []) == ()
