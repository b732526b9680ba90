"""Operating points: three goals on one curve worked out by hand."""

import pytest

from detect_transfer.core.annotations import Detections
from detect_transfer.evaluation import METRICS, Case, match, operating_points

OBJECTS = [(1, 1, 20 * i, 0, 20 * i + 10, 10) for i in range(4)]
FAR = (2, 1, 300, 300, 310, 310)
# hit .9, hit .8, alarm .7, hit .6, two alarms .5, hit .4; 4 objects, 2 images:
# precision 1, 1, 2/3, 3/4, 3/6, 4/7 and recall 1/4, 2/4, 2/4, 3/4, 3/4, 4/4 and alarms 0, 0, .5, .5, 1.5, 1.5
FOUND = [
    *((*box, score) for box, score in zip(OBJECTS, (0.9, 0.8, 0.6, 0.4), strict=True)),
    (*FAR, 0.7),
    (*FAR, 0.5),
    (*FAR, 0.5),
]


@pytest.mark.parametrize(
    ("goal", "keywords", "score", "precision", "recall"),
    [
        ("best_f1", {}, 0.6, 3 / 4, 3 / 4),
        ("target_precision", {"target_precision": 0.9}, 0.8, 1.0, 2 / 4),
        ("target_precision", {"target_precision": 0.7}, 0.6, 3 / 4, 3 / 4),
        ("target_precision", {"target_precision": 0.5}, 0.4, 4 / 7, 1.0),
        ("target_fppi", {"target_fppi": 0.1}, 0.8, 1.0, 2 / 4),
        ("target_fppi", {"target_fppi": 0.5}, 0.6, 3 / 4, 3 / 4),
        ("target_fppi", {"target_fppi": 1.5}, 0.4, 4 / 7, 1.0),
    ],
)
def test_operating_points__by_hand(goal, keywords, score, precision, recall, make_table, make_detections):
    points = operating_points(match(make_table(OBJECTS, n_images=2), make_detections(FOUND)), **keywords)
    point = points[1][goal]
    assert (point.score_threshold, point.precision, point.recall) == pytest.approx((score, precision, recall))


def test_operating_points__what_is_not_reached_is_null_with_a_reason(make_table, make_detections):
    table = make_table([*OBJECTS, (1, 2, 0, 0, 10, 10)], n_classes=3)
    result = METRICS["operating_points"](Case(table, make_detections([(*FAR[:0], 1, 1, 300, 0, 310, 10, 0.9)])))
    assert set(result.values.values()) == {None}
    assert result.reasons["target_precision_recall/class1"] == "no threshold gives a precision of 0.9"
    assert result.reasons["best_f1_score_threshold/class2"] == "nothing of it was detected"
    assert result.reasons["best_f1_score_threshold/class3"] == "the truth has no object of it"


def test_operating_points__a_class_without_objects_has_no_row(make_table):
    assert set(operating_points(match(make_table(OBJECTS, n_classes=2), Detections.empty()))) == {1}
