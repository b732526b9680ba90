"""Calibration on bins worked out by hand, and a temperature that is known."""

import numpy as np
import polars as pl
import pytest

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.evaluation import METRICS, Case, apply_temperature, fit_temperature
from detect_transfer.evaluation.metrics.calibration import position_error, reliability


def test_reliability__by_hand():
    # bin [.6, .7): scores .6 and .64, one tp: |.5 - .62|; bin [.9, 1]: .95 and 1, both tp: |1 - .975|
    got = reliability(np.array([0.6, 0.64, 0.95, 1.0]), np.array([True, False, True, True]))
    assert got.error == pytest.approx(2 / 4 * 0.12 + 2 / 4 * 0.025)
    assert got.score == pytest.approx([0.62, 0.975])
    assert got.precision == pytest.approx([0.5, 1.0])
    assert got.count.tolist() == [2, 2]


def test_position_error__by_hand():
    # one score, but tp at the left and fp at the right: both halves are off, though the whole is not
    score, tp = np.full(20, 0.5), np.arange(20) < 10
    position = np.column_stack([np.where(tp, 0.1, 0.9), *np.full((3, 20), 0.5)])
    assert reliability(score, tp).error == 0.0
    assert position_error(score, tp, position) == (0.5, 1.0)
    assert position_error(score[:7], tp[:7], position[:7]) == (None, 0.0)  # fewer than 8 in the bin
    assert position_error(score[:17], tp[:17], position[:17]) == (0.5, pytest.approx(10 / 17))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_fit_temperature__finds_the_one_that_was_used(temperature):
    rng = np.random.default_rng(0)
    share = rng.uniform(0.02, 0.98, 200_000)
    tp = rng.random(len(share)) < share
    given = apply_temperature(share, 1 / temperature)
    assert fit_temperature(given, tp) == pytest.approx(temperature, rel=0.02)
    assert reliability(apply_temperature(given, temperature), tp).error < 0.01


def boxes_of(images, share, seed):
    """An object in every image; a detection with a score of .8 that is a tp in a share of them."""
    rng = np.random.default_rng(seed)
    x = np.where(rng.random(len(images)) < share, 0.0, 500.0)
    columns = {"x1": x, "y1": 0.0 * x, "x2": x + 10, "y2": 0.0 * x + 10}
    return {"image_id": images, "category_id": np.ones(len(images), int), **columns}


def case_of(n, share, *, group=None, score=None):
    images = np.arange(1, n + 1)
    truth = {"annotation_id": images, **boxes_of(images, 1.0, 0)}
    table = AnnotationTable.from_columns(
        images={
            "image_id": images,
            "file_name": [str(i) for i in images],
            "width": [1000] * n,
            "height": [1000] * n,
            "group": [None] * n if group is None else group,
        },
        boxes=truth,
        categories={"category_id": [1], "name": ["a"]},
    )
    rows = {**boxes_of(images, share, 1), "score": np.full(n, 0.8) if score is None else score}
    return Case(table, Detections.from_columns(pl.DataFrame(rows)))


def test_calibration__a_temperature_mends_too_sure_scores():
    result = METRICS["calibration"](case_of(4000, 0.6))
    assert result.values["D_ECE"] == pytest.approx(0.2, abs=0.03)
    assert result.values["D_ECE_held_out_before"] == pytest.approx(0.2, abs=0.04)
    assert result.values["D_ECE_held_out_after"] < 0.04
    # logit(.8) / T = logit(.6)
    assert result.values["temperature"] == pytest.approx(np.log(4) / np.log(1.5), rel=0.15)
    assert result.curves["reliability"]["count"] == [4000.0]
    assert result.reasons == {}


def test_calibration__images_of_one_group_stay_together():
    # two videos: all of the first is fitted on, where every detection is a tp; so no temperature can be fitted
    n = 200
    group = ["a"] * 100 + ["b"] * 100
    result = METRICS["calibration"](case_of(n, 1.0, group=group))
    assert result.values["temperature"] is None
    assert "only true" in result.reasons["temperature"]


def test_calibration__too_few_and_below_the_floor_are_null_with_a_reason():
    result = METRICS["calibration"](case_of(100, 0.5, score=np.full(100, 0.29)))
    assert set(result.values.values()) == {None}
    assert result.reasons["D_ECE"] == "fewer than 10 detections have a score of 0.3 or more"


def test_calibration__without_image_sizes_the_place_is_null(make_table, make_detections):
    rows = [(1, 1, 0, 0, 10, 10, 0.9)] * 12
    result = METRICS["calibration"](Case(make_table([(1, 1, 0, 0, 10, 10)]), make_detections(rows)))
    assert result.values["D_ECE"] == pytest.approx(0.9 - 1 / 12)
    assert result.reasons["D_ECE_by_position"] == "the sizes of the images are not known"


def test_calibration__no_object_is_null_with_a_reason(make_table, make_detections):
    result = METRICS["calibration"](Case(make_table([]), make_detections([(1, 1, 0, 0, 10, 10, 0.9)] * 12)))
    assert set(result.reasons.values()) == {"the truth has no object"}
