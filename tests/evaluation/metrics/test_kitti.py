"""`kitti` on cases worked out by hand and against plain loops."""

import naive
import numpy as np
import polars as pl
import pytest

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.evaluation import METRICS, Case
from detect_transfer.evaluation.metrics.kitti import _thresholds

NAMES = ("Car", "Pedestrian", "Cyclist", "Van", "Person_sitting")
LEVELS = {"easy": (40, 0, 0.15), "moderate": (25, 1, 0.30), "hard": (25, 2, 0.50)}
OVERLAP = {"Car": 0.7, "Pedestrian": 0.5, "Cyclist": 0.5}


def scene(make_table, boxes, *, levels=None, truncated=None, n_images=1):
    extra = {"occlusion_level": levels or [0] * len(boxes), "truncated": truncated or [0.0] * len(boxes)}
    table = make_table(boxes, n_classes=5, n_images=n_images, extra=extra)
    return AnnotationTable(table.images, table.boxes, table.categories.with_columns(pl.Series("name", NAMES)))


def values(table, detections):
    return METRICS["kitti"](Case(table, detections)).values


def test_kitti__by_hand(make_table, make_detections):
    # 40 cars, the 20 with the best scores found, then one false positive, then 10 found: 30 scores for 41 recalls
    cars = [(i, 1, 0, 0, 100, 50) for i in range(1, 41)]
    detections = [(i, 1, 0, 0, 100, 50, 0.9 - i / 1000) for i in range(1, 21)]
    detections += [(1, 1, 300, 0, 400, 50, 0.5)]
    detections += [(i, 1, 0, 0, 100, 50, 0.4 - i / 1000) for i in range(21, 31)]
    table = scene(make_table, cars, n_images=40)
    # scores of tp 1..30 are at recall 1/40..30/40, so point i reads tp i + 1: precision 1 up to 20 tp, 30/31 at 30
    expected = [1.0] * 20 + [30 / 31] * 10 + [0.0] * 11
    got = values(table, make_detections(detections))
    assert got["AP40_easy/Car"] == pytest.approx(sum(expected[1:]) / 40)
    assert got["AP11_easy/Car"] == pytest.approx(sum(expected[::4]) / 11)


def test_kitti__thresholds_lie_at_the_nearest_recalls():
    # 81 of 81 objects: every second score, the first at 1/81, which is nearest to recall 0
    scores = np.linspace(0.9, 0.1, 81)
    assert len(_thresholds(scores, 81)) == 41
    assert _thresholds(scores, 81)[:3] == scores[[0, 1, 3]].tolist()
    assert _thresholds(scores[:1], 3) == [scores[0]]
    assert _thresholds(scores[:0], 3) == []


@pytest.mark.parametrize(
    ("height", "occlusion", "truncated", "counted"),
    [
        pytest.param(40, 0, 0.15, ("easy", "moderate", "hard"), id="easy"),
        pytest.param(39, 0, 0.0, ("moderate", "hard"), id="lower"),
        pytest.param(40, 1, 0.0, ("moderate", "hard"), id="partly"),
        pytest.param(40, 0, 0.31, ("hard",), id="cut"),
        pytest.param(40, 2, 0.5, ("hard",), id="largely"),
        pytest.param(40, 3, 0.0, (), id="unknown"),
        pytest.param(24, 0, 0.0, (), id="tiny"),
    ],
)
def test_kitti__difficulty(height, occlusion, truncated, counted, make_table):
    table = scene(make_table, [(1, 1, 0, 0, 100, height)], levels=[occlusion], truncated=[truncated])
    got = values(table, Detections.empty())
    assert {level for level in LEVELS if got[f"AP40_{level}/Car"] is not None} == set(counted)
    assert all(got[f"AP40_{level}/Car"] == 0.0 for level in counted)


def test_kitti__level_is_given_or_stands_for_the_hidden_share(make_table):
    def counted(share, attributes=None):
        extra = {"occluded": [share], "attributes": pl.Series([attributes], dtype=pl.String)}
        table = make_table([(1, 1, 0, 0, 100, 50)], extra=extra)
        named = AnnotationTable(table.images, table.boxes, table.categories.with_columns(name=pl.lit("car")))
        got = values(named, Detections.empty())
        return [level for level in LEVELS if got[f"AP40_{level}/Car"] is not None]

    assert counted(0.0) == ["easy", "moderate", "hard"]
    assert counted(0.5) == ["moderate", "hard"]
    assert counted(0.6) == ["hard"]
    assert counted(None) == ["easy", "moderate", "hard"]
    assert counted(0.6, '{"occlusion_level": 0}') == ["easy", "moderate", "hard"]
    assert counted(None, '{"occlusion_level": 3}') == []


def test_kitti__overlap_must_be_passed(make_table, make_detections):
    cyclist, half = (1, 3, 0, 0, 100, 50), (1, 3, 0, 0, 50, 50)
    table = scene(make_table, [cyclist])
    assert values(table, make_detections([(*half, 0.9)]))["AP40_easy/Cyclist"] == 0.0
    assert values(table, make_detections([(1, 3, 0, 0, 51, 50, 0.9)]))["AP11_easy/Cyclist"] == pytest.approx(1 / 11)


def test_kitti__vans_and_dont_care_cost_nothing(make_table, make_detections):
    # one point at recall 0; a false positive above it would give 1/2
    boxes = [(1, 1, 0, 0, 100, 50), (1, 4, 200, 0, 300, 50), (1, None, 400, 0, 600, 100, "ic")]
    fp = [(1, 1, 200, 0, 300, 50, 0.9), (1, 1, 450, 0, 550, 50, 0.9), (1, 1, 700, 0, 800, 39, 0.9)]
    tp = (1, 1, 0, 0, 100, 50, 0.5)
    table = scene(make_table, boxes)
    assert values(table, make_detections([*fp, tp]))["AP11_easy/Car"] == pytest.approx(1 / 11)
    assert values(table, make_detections([(1, 1, 700, 0, 800, 40, 0.9), tp]))["AP11_easy/Car"] == pytest.approx(1 / 22)


def test_kitti__classes_that_are_not_there_are_null_with_a_reason(make_table, make_detections):
    result = METRICS["kitti"](Case(make_table([(1, 1, 0, 0, 100, 50)]), make_detections([])))
    assert set(result.values.values()) == {None}
    assert set(result.reasons) == set(result.values)


def test_kitti__equals_plain_loops(detailed):
    compared = 0
    for seed in range(120):
        table, detections = detailed(seed, names=NAMES)
        case = Case(table, detections)
        result = METRICS["kitti"](case)
        for name in set(OVERLAP) & set(case.names):
            for level, limits in LEVELS.items():
                expected = naive.kitti(table, detections, name, limits, OVERLAP[name])
                if expected is None:
                    assert result.values[f"AP40_{level}/{name}"] is None
                    continue
                assert result.curves[f"{level}/{name}"]["precision"] == pytest.approx(expected, abs=1e-12), seed
                assert result.values[f"AP40_{level}/{name}"] == pytest.approx(sum(expected[1:]) / 40)
                assert result.values[f"AP11_{level}/{name}"] == pytest.approx(sum(expected[::4]) / 11)
                compared += any(expected)
    assert compared > 50
