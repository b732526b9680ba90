"""`tt100k` and `gtsdb` on cases worked out by hand and against plain loops."""

import naive
import numpy as np
import polars as pl
import pytest

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.errors import InputError
from detect_transfer.evaluation import METRICS, Case
from detect_transfer.evaluation.assignment import Pairs
from detect_transfer.evaluation.metrics.signs import best_pairs, tt100k

# a small, a medium and a large sign, and one of 400 px, which no size holds
SIGNS = [(1, 1, 0, 0, 20, 20), (1, 1, 100, 0, 150, 50), (1, 1, 200, 0, 300, 50), (1, 1, 0, 500, 400, 600)]


def test_tt100k__by_hand(make_table, make_detections):
    detections = make_detections(
        [
            (*SIGNS[0], 0.9),  # right, small
            (*SIGNS[1], 0.39),  # below the score that counts
            (1, 1, 110, 0, 150, 50, 0.5),  # right, medium: IoU .8, though its own size is medium as well
            (1, 1, 600, 0, 631, 20, 0.5),  # a small false positive
            (1, 1, 600, 100, 632, 120, 0.5),  # a medium false positive: 32 px are medium
            (*SIGNS[3], 0.9),  # leaves with its sign
        ]
    )
    got = METRICS["tt100k"](Case(make_table(SIGNS), detections)).values
    assert (got["accuracy_small"], got["recall_small"]) == (1 / 2, 1.0)
    assert (got["accuracy_medium"], got["recall_medium"]) == (1 / 2, 1.0)
    assert (got["accuracy_large"], got["recall_large"], got["f1_large"]) == (None, 0.0, 0.0)
    assert (got["accuracy_all"], got["recall_all"]) == (2 / 4, 2 / 3)
    assert got["f1_all"] == pytest.approx(2 * (1 / 2) * (2 / 3) / (1 / 2 + 2 / 3))


def test_tt100k__pairs_are_made_by_overlap_and_not_by_score(make_table, make_detections):
    # the better score overlaps the sign less (IoU .6), so it is the one that is wrong; both are medium
    table = make_table([(1, 1, 0, 0, 50, 50)])
    detections = make_detections([(1, 1, 0, 0, 30, 50, 0.9), (1, 1, 0, 0, 50, 50, 0.5)])
    got = METRICS["tt100k"](Case(table, detections)).values
    assert (got["accuracy_medium"], got["recall_medium"]) == (1 / 2, 1.0)
    strict = tt100k(Case(table, detections), iou_threshold=0.75, score_threshold=0.6).values
    assert (strict["accuracy_medium"], strict["recall_medium"]) == (0.0, 0.0)


def test_tt100k__another_class_and_half_are_no_pair(make_table, make_detections):
    table = make_table([(1, 1, 0, 0, 20, 20)], n_classes=2)
    assert METRICS["tt100k"](Case(table, make_detections([(1, 2, 0, 0, 20, 20, 0.9)]))).values["accuracy_all"] == 0.0
    assert METRICS["tt100k"](Case(table, make_detections([(1, 1, 0, 0, 10, 20, 0.9)]))).values["accuracy_all"] == 0.0


def test_best_pairs__takes_the_next_best_that_is_free():
    # detections 0, 1 and truth 0, 1: (0, 0) .9, (1, 0) .8, (0, 1) .7, (1, 1) .6
    pairs = Pairs(np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]), np.array([0.9, 0.8, 0.7, 0.6]))
    chosen = best_pairs(pairs, 2, 2)
    assert sorted(zip(chosen.dt.tolist(), chosen.gt.tolist(), strict=True)) == [(0, 0), (1, 1)]


def test_tt100k__equals_plain_loops(detailed):
    for seed in range(100):
        table, detections = detailed(seed)
        got = METRICS["tt100k"](Case(table, detections)).values
        for name, low, high in (("all", 0, 400), ("small", 0, 32), ("medium", 32, 96), ("large", 96, 400)):
            right, n_dt, n_objects = naive.tt100k(table, detections, 0.5, 0.4, low, high)
            assert got[f"accuracy_{name}"] == (right / n_dt if n_dt and n_objects else None), (seed, name)
            assert got[f"recall_{name}"] == (right / n_objects if n_objects else None), (seed, name)


def grouped(table):
    groups = pl.Series("supercategory", ["danger", "danger", "mandatory", None][: table.categories.height])
    return AnnotationTable(table.images, table.boxes, table.categories.with_columns(groups))


def test_gtsdb__by_hand(make_table, make_detections):
    signs = [(1, 1, 0, 0, 20, 20), (1, 2, 100, 0, 120, 20), (1, 3, 200, 0, 220, 20)]
    table = grouped(make_table(signs, n_classes=4))
    detections = make_detections(
        [
            (1, 2, 0, 0, 20, 20, 0.9),  # the other class of its group: a tp
            (1, 1, 0, 0, 20, 18, 0.85),  # the same sign again: counts once
            (1, 1, 200, 0, 220, 20, 0.8),  # a sign of another group: a false positive
            (1, 2, 100, 0, 120, 20, 0.7),  # a tp
            (1, 3, 200, 0, 220, 11, 0.9),  # IoU .55: a false positive
        ]
    )
    result = METRICS["gtsdb"](Case(table, detections))
    # danger: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1, in straight lines from recall 0
    assert result.values["AUC/danger"] == pytest.approx(1 / 2 * 1 + 1 / 2 * (1 / 2 + 2 / 3) / 2)
    assert result.values["AUC/mandatory"] == 0.0
    assert result.values["AUC/class4"] is None
    assert result.values["AUC"] == pytest.approx(result.values["AUC/danger"] / 2)
    assert result.curves["danger"]["precision"] == pytest.approx([1, 1 / 2, 2 / 3])


def test_gtsdb__one_threshold_takes_equal_scores_together(make_table, make_detections):
    # tp and fp of one score are one point: precision 1/2 at recall 1
    table = make_table([(1, 1, 0, 0, 20, 20)])
    for order in (1, -1):
        rows = [(1, 1, 0, 0, 20, 20, 0.5), (1, 1, 100, 0, 120, 20, 0.5)][::order]
        assert METRICS["gtsdb"](Case(table, make_detections(rows))).values["AUC"] == pytest.approx(1 / 2)


def test_gtsdb__nothing_found_is_zero(make_table):
    assert METRICS["gtsdb"](Case(make_table([(1, 1, 0, 0, 20, 20)]), Detections.empty())).values["AUC"] == 0.0


def test_tt100k__a_low_iou_is_refused(make_table):
    with pytest.raises(InputError, match=r"THRESHOLD_RANGE iou_threshold=0\.3"):
        tt100k(Case(make_table([]), Detections.empty()), iou_threshold=0.3)
