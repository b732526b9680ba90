"""`METRICS`: every protocol by name keeps the rules that hold for all."""

import json
import math

import polars as pl
import pytest
from by_hand import BY_HAND
from persons import called, sized

from detect_transfer.core.annotations import DETECTION_SCHEMA, Detections
from detect_transfer.core.errors import InputError
from detect_transfer.evaluation import METRICS, METRICS_OF_DATA, Case, evaluate_metrics, metrics_of_data
from detect_transfer.formats.traffic_signs import gtsdb

NAMES = ("Car", "Pedestrian", "Cyclist", "Van")
COUNTS = ("count_", "n_positives")


@pytest.mark.parametrize("name", sorted(METRICS))
def test_metrics__have_a_case_by_hand(name, make_table, make_detections):
    assert name in BY_HAND, f"the metric {name} has no case computed by hand: add one to tests/evaluation/by_hand.py"
    case = BY_HAND[name]
    table = called(sized(make_table(case.objects, n_images=100)), case.class_name)
    values = METRICS[name](Case(table, make_detections(case.detections))).values
    assert {key: values[key] for key in case.expected} == pytest.approx(case.expected)


def test_cases_by_hand__are_of_metrics():
    assert set(BY_HAND) <= set(METRICS)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_metrics__values_are_finite_and_every_null_has_a_reason(name, detailed):
    for seed in range(25):
        table, detections = detailed(seed, names=NAMES)
        result = METRICS[name](Case(table, detections))
        assert result.name == name
        nulls = {key for key, value in result.values.items() if value is None}
        assert set(result.reasons) == nulls
        assert all(result.reasons[key] for key in nulls)
        assert all(math.isfinite(value) and value >= 0 for value in result.values.values() if value is not None)
        json.dumps(result.as_dict(curves=True), allow_nan=False)
        for axes in result.curves.values():
            assert len({len(values) for values in axes.values()}) == 1


@pytest.mark.parametrize("name", sorted(METRICS))
@pytest.mark.parametrize(
    "boxes",
    [
        pytest.param([], id="no-boxes"),
        pytest.param([(1, 1, 0, 0, 50, 60, "i")], id="ignored-alone"),
        pytest.param([(1, None, 0, 0, 50, 60, "i")], id="region-of-every-class"),
    ],
)
@pytest.mark.parametrize("n_detections", [0, 12])
def test_metrics__no_positives_is_null_and_never_zero(name, boxes, n_detections, make_table, make_detections):
    detections = make_detections([(1, 1, 100, 100, 150, 160, 0.9)] * n_detections)
    result = METRICS[name](Case(make_table(boxes), detections))
    # under `strict` the ignored box is an object
    scored = {k: v for k, v in result.values.items() if not k.startswith((*COUNTS, "strict/"))}
    assert set(scored.values()) == {None}


@pytest.mark.parametrize("name", sorted(METRICS))
def test_metrics__no_class_at_all(name, make_table):
    result = METRICS[name](Case(make_table([], n_classes=0), Detections.empty()))
    assert {v for k, v in result.values.items() if not k.startswith(COUNTS)} <= {None}


@pytest.mark.parametrize("name", sorted(METRICS))
def test_metrics__inputs_are_not_changed(name, detailed):
    table, detections = detailed(3, names=NAMES)
    before = [f.clone() for f in (table.images, table.boxes, table.categories, detections.rows)]
    METRICS[name](Case(table, detections))
    for frame, same in zip((table.images, table.boxes, table.categories, detections.rows), before, strict=True):
        assert frame.equals(same, null_equal=True)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_metrics__alone_or_together_is_the_same(name, detailed):
    table, detections = detailed(5, names=NAMES)
    assert evaluate_metrics(Case(table, detections), list(METRICS))[name] == METRICS[name](Case(table, detections))


def test_evaluate_metrics__unknown_name_is_refused(make_table):
    with pytest.raises(InputError, match=r"METRIC_UNKNOWN metrics=kiti .*did you mean 'kitti'"):
        evaluate_metrics(Case(make_table([]), Detections.empty()), ["coco", "kiti"])


def test_evaluate_metrics__unknown_ids_are_refused(make_table, make_detections):
    with pytest.raises(InputError, match="DETECTION_UNKNOWN_ID"):
        evaluate_metrics(Case(make_table([]), make_detections([(7, 1, 0, 0, 1, 1, 0.5)])), ["lrp"])


def test_metrics_of_data__names_what_there_is():
    assert {name for names in METRICS_OF_DATA.values() for name in names} <= set(METRICS)
    assert metrics_of_data("citypersons")[0] == "miss_rate_citypersons"
    assert metrics_of_data("anything else") == ("coco",)


def test_metrics_of_data__are_of_formats_that_there_are():
    from detect_transfer.formats import READERS

    assert set(METRICS_OF_DATA) <= set(READERS)


def test_metrics__perfect_detections_of_real_signs_are_perfect(shared):
    table = gtsdb.read(shared / "data" / "gtsdb")
    detections = Detections.from_columns(
        table.boxes.select(c for c in DETECTION_SCHEMA if c != "score").with_columns(score=pl.lit(0.9))
    )
    results = evaluate_metrics(Case(table, detections), ["coco", "gtsdb", "lrp", "tide", "tt100k", "voc"])
    for name, key in (("coco", "AP"), ("gtsdb", "AUC"), ("tt100k", "accuracy_all"), ("voc", "AP_11_point")):
        assert results[name].values[key] == pytest.approx(1.0), name
    assert results["lrp"].values["oLRP"] == pytest.approx(0.0)
    assert [v for k, v in results["tide"].values.items() if k.startswith("count")] == [0.0] * 8


def test_coco__tells_both_policies_and_whether_they_differ(make_table, make_detections):
    detections = make_detections([(1, 1, 0, 0, 10, 10, 0.9)])
    boxes = [(1, 1, 0, 0, 10, 10), (1, 1, 100, 100, 110, 110, "i")]
    result = METRICS["coco"](Case(make_table(boxes), detections))
    assert (result.values["AP"], result.values["strict/AP"]) == (pytest.approx(1.0), pytest.approx(51 / 101))
    assert result.bounds["policies_differ"] is True
    same = METRICS["coco"](Case(make_table(boxes[:1]), detections))
    assert same.bounds["policies_differ"] is False
    assert same.values["AP"] == same.values["strict/AP"]
