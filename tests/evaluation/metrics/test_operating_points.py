"""Operating points: three goals on one curve worked out by hand."""

import pytest

from detect_transfer.evaluation import METRICS, Case, match, operating_points
from detect_transfer.evaluation.threshold_curves import class_curves, mean_curve

OBJECTS = [(1, 1, 20 * i, 0, 20 * i + 10, 10) for i in range(4)]
OTHERS = [(1, 2, 20 * i, 50, 20 * i + 10, 60) for i in range(30)]
FAR = (2, 1, 300, 300, 310, 310)
# tp .9, tp .8, fp .7, tp .6, two fp .5, tp .4; 4 objects, 2 images:
# precision 1, 1, 2/3, 3/4, 3/6, 4/7 and recall 1/4, 2/4, 2/4, 3/4, 3/4, 4/4 and fp per image 0, 0, .5, .5, 1.5, 1.5
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
    result = METRICS["operating_points"](Case(table, make_detections([(1, 1, 300, 0, 310, 10, 0.9)])))
    assert set(result.values.values()) == {None}
    assert "no threshold gives a precision of 0.9" in result.reasons["target_precision_recall/class1"]
    assert "nothing of it was detected" in result.reasons["best_f1_score_threshold/class2"]


def test_operating_points__few_objects_take_the_threshold_of_all_classes(make_table, make_detections):
    """All classes: F1 is best at .6, where class 2 has 30 of 30. Class 1 alone, 4 objects, would take .002."""
    mine = [(*OBJECTS[0], 0.9), *((*box, 0.002) for box in OBJECTS[1:])]
    case = Case(make_table([*OBJECTS, *OTHERS], n_classes=3), make_detections([*mine, *((*b, 0.6) for b in OTHERS)]))
    result = METRICS["operating_points"](case)
    assert result.values["best_f1_score_threshold"] == 0.002  # all 34, of which class 1 has its own at .002
    assert result.bounds["pooled"]["best_f1"] == {
        "class1": "4 objects, fewer than 20",
        "class3": "the truth has no object of it",
    }
    wrong = [(1, 1, 300, 300 + i, 310, 310 + i, 0.002) for i in range(40)]
    case = Case(case.truth, make_detections([*mine, *wrong, *((*b, 0.6) for b in OTHERS)]))
    values = METRICS["operating_points"](case).values
    assert [values[f"best_f1_score_threshold{name}"] for name in ("", "/class1", "/class2", "/class3")] == [0.6] * 4
    assert (values["best_f1_precision/class1"], values["best_f1_recall/class1"]) == (1.0, 1 / 4)


def test_operating_points__none_below_the_least_precision(make_table, make_detections):
    """20 objects of class 2, all detected below 80 wrong detections: precision .2 at best; class 1 has 20 of 20."""
    good = [(1, 1, 20 * i, 0, 20 * i + 10, 10) for i in range(20)]
    wrong = [(2, 2, 300, 300 + i, 310, 310 + i, 0.9) for i in range(80)]
    truth = make_table([*good, *OTHERS[:20]], n_images=2, n_classes=2)
    late = [(*box, 0.1) for box in OTHERS[:20]]
    result = METRICS["operating_points"](Case(truth, make_detections([*((*b, 0.95) for b in good), *wrong, *late])))
    assert result.values["best_f1_score_threshold/class2"] == 0.95
    assert "below 0.25" in result.bounds["pooled"]["best_f1"]["class2"]
    alone = METRICS["operating_points"](Case(truth, make_detections([*wrong, *late])))
    assert alone.values["best_f1_score_threshold/class2"] is None
    assert "below 0.25" in alone.reasons["best_f1_score_threshold/class2"]


def test_operating_points__a_class_that_fills_the_pool_does_not_silence_the_others(make_table, make_detections):
    """Class 2 has 30 objects, at .9, and 10 false positives at .5; class 1 has its 4 objects at .4.

    The F1 of all detections in one pool is best at .9, 60 / 64; the mean of the F1 of the classes at .4, 1.
    """
    wrong = [(1, 2, 300, 300 + i, 310, 310 + i, 0.5) for i in range(10)]
    mine = [(*box, 0.4) for box in OBJECTS]
    case = Case(
        make_table([*OBJECTS, *OTHERS], n_classes=2), make_detections([*mine, *wrong, *((*b, 0.9) for b in OTHERS)])
    )
    result = METRICS["operating_points"](case)
    values = result.values
    assert values["best_f1_score_threshold/class1"] == values["best_f1_score_threshold"] == 0.4
    assert values["best_f1_precision"] == pytest.approx((1 + 30 / 40) / 2)
    assert values["best_f1_recall/class1"] == 1.0
    assert values["best_f1_score_threshold/class2"] == 0.9
    assert "best_f1: the score threshold of all classes together, 0.400," in result.bounds["notes"][0]
    assert "class1 1.000" in result.bounds["notes"][0]
    assert not [note for note in result.bounds["notes"] if note.startswith("warning: best_f1")]


def test_operating_points__a_class_that_a_threshold_of_all_silences_is_warned_of(make_table, make_detections):
    """Class 1 is only detected among 100 wrong detections at .1, where its precision is below the least."""
    wrong = [(1, 1, 300, 300 + i, 310, 310 + i, 0.1) for i in range(100)]
    mine = [(*box, 0.1) for box in OBJECTS]
    case = Case(
        make_table([*OBJECTS, *OTHERS], n_classes=3), make_detections([*mine, *wrong, *((*b, 0.9) for b in OTHERS)])
    )
    result = METRICS["operating_points"](case)
    assert result.values["best_f1_recall/class1"] == 0.0
    warnings = [note for note in result.bounds["notes"] if note.startswith("warning: best_f1")]
    assert len(warnings) == 1
    assert "leaves no detection at all of: class1" in warnings[0]
    assert "class3" not in warnings[0]


def test_operating_points__a_class_too_imprecise_at_the_threshold_of_all_has_none(make_table, make_detections):
    """At .5 class 2 has 30 of 30, class 1 its 20 objects among 100 wrong detections above them: precision 1/6."""
    mine = [(1, 1, 20 * i, 0, 20 * i + 10, 10) for i in range(20)]
    wrong = [(2, 1, 300, 300 + i, 310, 310 + i, 0.6) for i in range(100)]
    found = [*((*box, 0.5) for box in mine), *wrong, *((*b, 0.5) for b in OTHERS)]
    many = METRICS["operating_points"](
        Case(make_table([*mine, *OTHERS], n_images=2, n_classes=2), make_detections(found))
    )
    assert many.values["best_f1_score_threshold"] == 0.5
    assert many.values["best_f1_score_threshold/class1"] is None
    assert (
        "withheld: its precision at the threshold of all classes is 0.167, below 0.25"
        in many.reasons["best_f1_score_threshold/class1"]
    )
    few = METRICS["operating_points"](
        Case(
            make_table([*mine[:10], *OTHERS], n_images=2, n_classes=2),
            make_detections([*found[:10], *wrong, *found[120:]]),
        )
    )
    assert few.values["best_f1_score_threshold/class1"] == 0.5
    assert few.bounds["cautions"]["best_f1"] == {
        "class1": "its precision at the threshold of all classes is 0.091, below 0.25"
    }
    assert any(note.startswith("warning: best_f1: class1: its precision") for note in few.bounds["notes"])


def test_mean_curve__by_hand(make_table, make_detections):
    """Class 1: scores .9 .7, one of two right, 2 objects. Class 2: .8, right, 1 object. Class 3: never detected."""
    a, b, c, d = ((1, k, 40 * i, 0, 40 * i + 10, 10) for i, k in enumerate((1, 1, 2, 3)))
    rows = [(*a, 0.9), (1, 1, 300, 0, 310, 10, 0.7), (*c, 0.8)]
    curve = mean_curve(class_curves(match(make_table([a, b, c, d], n_classes=3), make_detections(rows))).values())
    assert curve.score.tolist() == [0.9, 0.8, 0.7]
    assert curve.precision == pytest.approx([1, 1, 0.75])
    assert curve.recall == pytest.approx([0.5 / 3, 1.5 / 3, 1.5 / 3])
    assert curve.f1 == pytest.approx([2 / 9, 5 / 9, 0.5])
    assert curve.fp_per_image == pytest.approx([0, 0, 1 / 3])
    assert mean_curve([]) is None
