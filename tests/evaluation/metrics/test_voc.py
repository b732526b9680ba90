"""`voc` on cases worked out by hand and against plain loops."""

import naive
import numpy as np
import pytest

from detect_transfer.evaluation import METRICS, Case

FAR = (1, 1, 300, 300, 310, 310)


def test_voc__by_hand(make_table, make_detections):
    # by score: tp, fp, tp of 4 objects: precision 1, 1/2, 2/3 at recall 1/4, 1/4, 2/4
    table = make_table([(1, 1, 20 * i, 0, 20 * i + 10, 10) for i in range(4)])
    detections = make_detections([(1, 1, 0, 0, 10, 10, 0.9), (*FAR, 0.8), (1, 1, 20, 0, 30, 10, 0.7)])
    values = METRICS["voc"](Case(table, detections)).values
    # 11 points: recall 0, .1, .2 give 1; .3, .4, .5 give 2/3; the rest 0
    assert values["AP_11_point"] == pytest.approx((3 * 1 + 3 * 2 / 3) / 11)
    assert values["AP_all_point"] == pytest.approx(1 / 4 * 1 + 1 / 4 * 2 / 3)
    assert values["AP_all_point/class1"] == values["AP_all_point"]


def test_voc__no_second_choice(make_table, make_detections):
    # both overlap A most; for COCO the second would fall to B, which it overlaps by 7.5/12.5
    table = make_table([(1, 1, 0, 0, 10, 10), (1, 1, 4, 0, 14, 10)])
    detections = make_detections([(1, 1, 1, 0, 11, 10, 0.9), (1, 1, 1.5, 0, 11.5, 10, 0.8)])
    assert METRICS["voc"](Case(table, detections)).values["AP_all_point"] == pytest.approx(1 / 2)


def test_voc__difficult_is_left_out_and_never_makes_a_false_positive(make_table, make_detections):
    table = make_table([(1, 1, 0, 0, 10, 10), (1, 1, 50, 0, 60, 10)], extra={"difficult": [False, True]})
    twice = [(1, 1, 50, 0, 60, 10, 0.9), (1, 1, 50, 0, 60, 10, 0.8)]
    values = METRICS["voc"](Case(table, make_detections([*twice, (1, 1, 0, 0, 10, 10, 0.5)]))).values
    assert values["AP_all_point"] == pytest.approx(1.0)


def test_voc__width_is_counted_as_in_the_devkit(make_table, make_detections):
    # last pixels 1..2 and 1..4 (width 2 and 4): the devkit's IoU is 2/4, which is enough; without its + 1 it is 1/3
    table = make_table([(1, 1, 0, 0, 4, 1)])
    assert METRICS["voc"](Case(table, make_detections([(1, 1, 0, 0, 2, 1, 0.9)]))).values["AP_11_point"] == 1.0


def test_voc__only_difficult_is_null_with_a_reason(make_table, make_detections):
    result = METRICS["voc"](Case(make_table([(1, 1, 0, 0, 10, 10)], extra={"difficult": [True]}), make_detections([])))
    assert result.values["AP_11_point"] is None
    assert "difficult" in result.reasons["AP_11_point"]


def test_voc__equals_plain_loops(detailed):
    compared = 0
    for seed in range(150):
        table, detections = detailed(seed)
        values = METRICS["voc"](Case(table, detections)).values
        for category_id, name in table.categories.select("category_id", "name").iter_rows():
            is_tp, n_objects = naive.voc(table, detections, category_id)
            if not n_objects:
                assert values[f"AP_11_point/{name}"] is None
                continue
            tp = np.cumsum(is_tp)
            precision, recall = tp / np.arange(1, len(tp) + 1), tp / n_objects
            eleven = [max(precision[tp * 10 >= i * n_objects], default=0) for i in range(11)]
            steps = np.diff(np.append(0, recall))
            area = sum(step * max(precision[i:]) for i, step in enumerate(steps) if step > 0)
            assert values[f"AP_11_point/{name}"] == pytest.approx(sum(eleven) / 11, abs=1e-12)
            assert values[f"AP_all_point/{name}"] == pytest.approx(area, abs=1e-12)
            compared += 1
    assert compared > 150
