"""The optimism of the best of several candidates: none without a choice, and as large as it is in a simulation."""

import numpy as np
import pytest

from detect_transfer.evaluation.case import Case
from detect_transfer.evaluation.coco.bootstrap import mean_ap
from detect_transfer.evaluation.coco.threshold_matches import match_at_thresholds
from detect_transfer.evaluation.coco.weighted import weighted_ap
from detect_transfer.evaluation.selection import Candidates, Selection, selection_optimism

N = 30


@pytest.fixture
def candidate(make_table, make_detections):
    """Return the matches of a detector that finds the objects (N,) of a mask, one an image."""
    truth = make_table([(i, 1, 0, 0, 10, 10) for i in range(1, N + 1)], n_images=N)

    def make(detected):
        rows = [(int(i) + 1, 1, 0, 0, 10, 10, 0.9) for i in np.flatnonzero(detected)]
        return match_at_thresholds(Case(truth, make_detections(rows)))

    return make


def ap(matches):
    return float(mean_ap(weighted_ap(matches, np.ones((1, N), np.uint16)))["AP"][0])


def test_optimism__none_where_there_is_no_choice(candidate) -> None:
    half = candidate(np.arange(N) % 2 == 0)
    assert selection_optimism([half]) == Selection(Candidates(1), 0.0)
    assert selection_optimism([half]).sentence.startswith("best of 1 epoch on this split")
    assert selection_optimism([half, half, half]).optimism == pytest.approx(0.0, abs=0.01)


def test_optimism__none_where_one_candidate_is_always_the_best(candidate) -> None:
    whole, nothing = candidate(np.ones(N, bool)), candidate(np.zeros(N, bool))
    assert selection_optimism([nothing, whole]).optimism == 0.0


def test_optimism__of_equal_detectors_is_what_the_choice_adds(candidate) -> None:
    """Detectors that find each object with the chance .6; what the best of 8 has more than .6 is optimism."""
    rng = np.random.default_rng(0)
    estimates, true = [], []
    for _ in range(40):
        matches = [candidate(rng.random(N) < 0.6) for _ in range(8)]
        estimates.append(selection_optimism(matches, n_halves=40).optimism)
        true.append(max(map(ap, matches)) - 0.6)
    assert np.mean(true) > 0.1
    assert np.mean(estimates) == pytest.approx(np.mean(true), abs=0.025)


def test_optimism__too_few_images_have_a_reason(make_table, make_detections) -> None:
    truth = make_table([(i, 1, 0, 0, 10, 10) for i in range(1, 4)], n_images=3)
    matches = [match_at_thresholds(Case(truth, make_detections([]))) for _ in range(2)]
    result = selection_optimism(matches)
    assert (result.optimism, result.reason) == (None, "only 3 images or groups have an object")
    assert "best of 2 epochs on this split; its optimism is not known" in result.sentence
