"""`lrp` on cases worked out by hand, and against every threshold tried in turn."""

import numpy as np
import pytest

from detect_transfer.core.annotations import Detections
from detect_transfer.evaluation import METRICS, Case, match

A, B = (1, 1, 0, 0, 10, 10), (1, 1, 100, 0, 110, 10)


def test_lrp__by_hand(make_table, make_detections):
    # A with IoU .8, an fp, B with IoU .6. At .9: (.2/.5 + 1 miss)/2 = .7; at .7: (.2/.5 + 1 + 1)/3 = .8; at .5:
    # (.2/.5 + .4/.5 + 1)/3 = .7333
    detections = make_detections([(1, 1, 0, 0, 8, 10, 0.9), (1, 1, 300, 0, 310, 10, 0.7), (1, 1, 100, 0, 106, 10, 0.5)])
    got = METRICS["lrp"](Case(make_table([A, B]), detections)).values
    assert got["oLRP"] == got["oLRP/class1"] == pytest.approx(0.7)
    assert got["localisation"] == pytest.approx(0.2)
    assert (got["fp"], got["fn"]) == (0.0, 0.5)
    assert got["score_threshold/class1"] == 0.9


def test_lrp__nothing_hit_is_one_and_perfect_is_zero(make_table, make_detections):
    got = METRICS["lrp"](Case(make_table([A]), Detections.empty()))
    assert (got.values["oLRP"], got.values["localisation"]) == (1.0, None)
    assert "detected" in got.reasons["localisation"]
    assert METRICS["lrp"](Case(make_table([A]), make_detections([(*A, 0.4)]))).values["oLRP"] == 0.0


def test_lrp__is_the_least_over_all_thresholds(generated):
    compared = 0
    for seed in range(25):
        table, detections = generated(seed)
        got = METRICS["lrp"](Case(table, detections)).values
        for category_id, name in table.categories.select("category_id", "name").iter_rows():
            errors = [_error(table, detections, category_id, t) for t in np.unique(detections.rows["score"].to_numpy())]
            there = [error for error in errors if error is not None]
            if there:
                assert got[f"oLRP/{name}"] == pytest.approx(min(there)), seed
                compared += min(there) < 1
    assert compared > 20


def _error(table, detections, category_id, threshold):
    """LRP of one class at one score threshold; None without an object."""
    at = match(table, detections, score_threshold=threshold)
    rows, truth = (f.filter(f["category_id"] == category_id) for f in (at.detections, at.truth))
    tp = rows.filter(rows["status"] == "tp")
    wrong = (rows["status"] == "fp").sum() + (truth["status"] == "fn").sum()
    if not (truth["status"] != "ignored").any():
        return None
    return ((1 - tp["iou"]).sum() / 0.5 + wrong) / (tp.height + wrong)
