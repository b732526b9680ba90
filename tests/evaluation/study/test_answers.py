"""The answers of a whole study: what each part says of runs with known curves, and what too little says."""

import json
from dataclasses import replace

import numpy as np
import pytest
from simulated_study import ARMS, SIZES, simulated_runs

from detect_transfer.evaluation.study.answers import study_answers


@pytest.fixture(scope="module")
def answers():
    return study_answers(simulated_runs(), arms=list(ARMS), baseline="scratch")


def test_scores__mean_over_seeds_and_cost(answers) -> None:
    row = answers.at_sizes[0]
    runs = [run.ap for run in simulated_runs() if (run.arm, run.n_images) == ("scratch", 50)]
    assert (row.arm, row.n_images, row.n_runs) == ("scratch", 50, 3)
    assert row.ap.value == pytest.approx(np.mean(runs))
    assert row.cost == {"seconds": pytest.approx(18.0), "peak_memory_gb": pytest.approx(1.2)}
    assert row.overfitting.final.value == pytest.approx(0.02 * 100 / 50)
    assert row.noise.decides == "images"


def test_against__verdicts_with_the_variance_over_images(answers) -> None:
    full, auto = answers.against
    assert (full.comparison.first, full.comparison.second) == ("scratch", "full")
    assert full.comparison.overall.words == auto.comparison.overall.words == "better"
    loud = [replace(run, draws=run.ap + 5 * (run.draws - run.ap)) for run in simulated_runs()]
    louder = study_answers(loud, arms=list(ARMS), baseline="scratch").against[0]
    widths = [np.diff(a.comparison.by_size[0].interval)[0] for a in (full, louder)]
    assert widths[1] > widths[0]
    assert [n for n, _ in full.noise] == list(SIZES)


def test_worth_and_catch_up__by_the_curves(answers) -> None:
    """At 50 images full has the error .2 + 1.2 / 7.07 = .370, which scratch has at (4 / .220)^2 = 331."""
    full = answers.against[0]
    n, worth = full.worth[0]
    assert n == 50
    assert worth.interval[0] < 331 < worth.interval[1]
    assert full.catch_up.value is None or full.catch_up.value > 1000  # (2.8 / .05)^2 = 3136, beyond 4 x 500


def test_targets__what_baseline_and_best_reach_unless_given(answers) -> None:
    assert answers.targets == [0.67, 0.76]
    rows = {(row.arm, row.target): row for row in answers.to_targets}
    assert rows["full", 0.67].images.value == pytest.approx((1.2 / 0.13) ** 2, rel=0.2)
    assert rows["scratch", 0.67].seconds_ratio is None
    assert rows["scratch", 0.76].seconds.n_reached == 0
    given = study_answers(simulated_runs(), arms=list(ARMS), baseline="scratch", targets=[0.5])
    assert given.targets == [0.5]
    assert given.to_targets[1].seconds_ratio.value < 0.6


def test_json__has_no_number_that_json_cannot_hold(answers) -> None:
    text = json.dumps(answers.as_dict(), allow_nan=False)
    assert json.loads(text)["baseline"] == "scratch"


def test_little__one_run_an_arm_and_no_baseline_have_reasons() -> None:
    one = study_answers(simulated_runs(seeds=(0,), sizes=(50,)), arms=list(ARMS), baseline="scratch")
    assert one.against[0].comparison.overall.words == "cannot tell: 2 more seeds needed"
    assert "1 size was measured" in one.curves[0].reason
    assert json.dumps(one.as_dict(), allow_nan=False)
    alone = study_answers(simulated_runs(arms=("full",)), arms=list(ARMS), baseline="scratch")
    assert (alone.against, alone.runs.arms) == ((), ("full",))
    assert study_answers([], arms=list(ARMS), baseline="scratch").to_targets == ()


def test_missing_runs__are_in_no_pair() -> None:
    runs = [run for run in simulated_runs() if (run.arm, run.n_images, run.seed) != ("full", 50, 1)]
    full = study_answers(runs, arms=list(ARMS), baseline="scratch").against[0].comparison
    assert full.unpaired == ((50, 1),)
    assert [v.n_pairs for v in full.by_size] == [2, 3, 3]
    assert full.overall.n_pairs == 2


def test_nothing_learned__an_arm_without_ap_has_answers_and_reasons() -> None:
    runs = [replace(run, ap=0.0, draws=None) if run.arm == "scratch" else run for run in simulated_runs()]
    answers = study_answers(runs, arms=list(ARMS), baseline="scratch")
    full = answers.against[0]
    assert full.comparison.overall.words == "better"
    assert "0 of them with an AP" in full.worth[0][1].reason
    assert "0 of them with an AP" in full.catch_up.reason
    assert json.dumps(answers.as_dict(), allow_nan=False)
