"""`score`: equal to pycocotools, the two ignore policies, and what bad input gets."""

import json

import pytest

from detect_transfer.core.annotations import Detections
from detect_transfer.core.errors import InputError
from detect_transfer.evaluation import METRIC_NAMES, coco_metrics, score


@pytest.mark.parametrize("block", range(5))
def test_score__equals_pycocotools(block, generated, pycocotools):
    for seed in range(block * 100, block * 100 + 100):
        table, detections = generated(seed)
        for policy in ("region", "strict"):
            expected, _ = pycocotools(table, detections, as_region=policy == "region")
            ours = coco_metrics(table, detections, ignore_policy=policy)
            for name, value in zip(METRIC_NAMES, expected, strict=True):
                assert (ours[name] is None) == (value is None), (seed, policy, name)
                assert value is None or abs(ours[name] - value) <= 1e-9, (seed, policy, name)


def test_score__per_class_and_curves_equal_pycocotools(generated, pycocotools):
    for seed in range(20):
        table, detections = generated(seed)
        _, evaluator = pycocotools(table, detections, as_region=True)
        scores = score(table, detections)
        for k, row in enumerate(scores.per_class):
            precision = evaluator.eval["precision"][:, :, k, 0, 2]
            if row.n_boxes == 0:
                assert (precision == -1).all()
                assert row.AP is row.AP50 is row.AP75 is row.AR100 is row.score_threshold is None
                assert row.category_id not in scores.curves
                continue
            curve = scores.curves[row.category_id]
            ar100 = evaluator.eval["recall"][:, k, 0, 2].mean()
            expected = (precision.mean(), precision[0].mean(), precision[5].mean(), ar100)
            ours = [row.AP, row.AP50, row.AP75, row.AR100]
            assert ours == pytest.approx(expected, abs=1e-9)
            assert curve.precision == pytest.approx(precision[0], abs=1e-9)
            assert curve.score == pytest.approx(evaluator.eval["scores"][0, :, k, 0, 2], abs=1e-9)


def test_score__more_than_100_detections(make_table, make_detections):
    # 101 false positives with higher scores push the only tp past the cap
    table = make_table([(1, 1, 0, 0, 10, 10)])
    detections = make_detections([(1, 1, 50, 50, 60, 60, 0.9)] * 100 + [(1, 1, 0, 0, 10, 10, 0.5)])
    assert score(table, detections).metrics["AP"] == 0.0
    assert score(table, detections, max_detections=101).metrics["AP"] == pytest.approx(1 / 101)
    assert score(table, detections, max_detections=101).metrics["AR100"] == 0.0


def test_score__perfect(make_table, make_detections):
    scores = score(make_table([(1, 1, 0, 0, 10, 10)]), make_detections([(1, 1, 0, 0, 10, 10, 0.3)]))
    for name in ("AP", "AP75", "AP_small", "AR1"):
        assert scores.metrics[name] == pytest.approx(1.0)
    assert scores.metrics["AP_large"] is None
    assert "96 x 96" in scores.reasons["AP_large"]
    assert scores.strict is None
    row = scores.per_class[0]
    assert (row.n_images, row.n_boxes, row.n_ignored, row.n_detections) == (1, 1, 0, 1)
    assert (row.score_threshold, row.precision, row.recall, row.f1) == (0.3, 1.0, 1.0, 1.0)


def test_score__one_of_two_found_is_read_at_101_recalls(make_table, make_detections):
    table = make_table([(1, 1, 0, 0, 10, 10), (1, 1, 50, 50, 60, 60)])
    assert score(table, make_detections([(1, 1, 0, 0, 10, 10, 0.3)])).metrics["AP50"] == pytest.approx(51 / 101)


def test_score__three_detections_in_a_crowd_cost_nothing(make_table, make_detections):
    inside = [(1, 1, 100 + 10 * i, 100, 110 + 10 * i, 110, 0.9) for i in range(3)]
    detections = make_detections([*inside, (1, 1, 0, 0, 10, 10, 0.5)])
    assert score(make_table([(1, 1, 0, 0, 10, 10), (1, 1, 90, 90, 200, 200, "c")]), detections).metrics[
        "AP"
    ] == pytest.approx(1.0)
    assert score(make_table([(1, 1, 0, 0, 10, 10)]), detections).metrics["AP"] == pytest.approx(0.25)


def test_score__ignore_without_crowd_differs_between_the_policies(make_table, make_detections):
    table = make_table([(1, 1, 0, 0, 10, 10), (1, 1, 100, 100, 110, 110, "i")])
    detections = make_detections([(1, 1, 0, 0, 10, 10, 0.9)])
    region = score(table, detections)
    assert region.metrics["AP"] == pytest.approx(1.0)
    assert region.strict["AP"] == pytest.approx(51 / 101)
    strict = score(table, detections, ignore_policy="strict")
    assert strict.metrics == region.strict
    assert strict.strict is None


def test_score__crowds_alone_do_not_differ(make_table, make_detections):
    table = make_table([(1, 1, 0, 0, 10, 10), (1, 1, 100, 100, 110, 110, "c")])
    assert score(table, make_detections([(1, 1, 0, 0, 10, 10, 0.9)])).strict is None


def test_score__region_without_class_excuses_every_class(make_table, make_detections):
    table = make_table([(1, 1, 0, 0, 10, 10), (1, 2, 0, 0, 10, 10), (1, None, 90, 90, 200, 200, "i")], n_classes=2)
    tp = [(1, 1, 0, 0, 10, 10, 0.5), (1, 2, 0, 0, 10, 10, 0.5)]
    detections = make_detections([*tp, (1, 1, 100, 100, 110, 110, 0.9), (1, 2, 120, 100, 130, 110, 0.9)])
    scores = score(table, detections)
    assert scores.metrics["AP"] == pytest.approx(1.0)
    assert scores.strict["AP"] == pytest.approx(0.5)  # no COCO file can hold the region
    assert scores.counts["ignored_for_every_class"] == 1


def test_score__no_detections_is_zero(make_table):
    scores = score(make_table([(1, 1, 0, 0, 10, 10)]), Detections.empty())
    assert scores.metrics["AP"] == scores.metrics["AR100"] == 0.0
    assert scores.per_class[0].score_threshold is None


@pytest.mark.parametrize("boxes", [[], [(1, 1, 0, 0, 10, 10, "i")], [(1, None, 0, 0, 10, 10, "i")]])
def test_score__no_positives_is_null_with_a_reason(boxes, make_table, make_detections, tmp_path):
    scores = score(make_table(boxes), make_detections([(1, 1, 0, 0, 10, 10, 0.3)]))
    assert set(scores.metrics.values()) == {None}
    assert set(scores.reasons) == set(METRIC_NAMES)
    assert scores.classes_without_objects == ["class1"]
    scores.save(tmp_path / "metrics.json")
    assert json.loads((tmp_path / "metrics.json").read_text())["AP"] is None


def test_score__no_classes(make_table):
    assert score(make_table([], n_classes=0), Detections.empty()).metrics["AP"] is None


def test_headline__ours_and_pycocotools_beside_each_other_where_they_differ(make_table, make_detections):
    """One object detected, one ignored and not detected: 1 with it excused, 51 / 101 as pycocotools counts it."""
    detections = make_detections([(1, 1, 0, 0, 10, 10, 0.9)])
    boxes = [(1, 1, 0, 0, 10, 10), (1, 1, 100, 100, 110, 110, "i")]
    scores = score(make_table(boxes), detections)
    (excused, ours), (equal, theirs) = scores.headline
    assert (ours, theirs) == (pytest.approx(1.0), pytest.approx(51 / 101))
    assert ("equal to pycocotools" in excused, "equal to pycocotools" in equal) == (False, True)
    assert [row["AP"] for row in scores.as_dict()["headline"]] == [ours, theirs]
    for same in (
        score(make_table(boxes[:1]), detections),
        score(make_table(boxes), detections, ignore_policy="strict"),
    ):
        ((words, value),) = same.headline
        assert (words, value) == ("AP, equal to pycocotools", same.metrics["AP"])
    boxes = [(1, 1, 0, 0, 10, 10), (1, None, 100, 100, 110, 110, "i")]
    detections = make_detections([(1, 1, 0, 0, 10, 10, 0.5), (1, 1, 100, 100, 110, 110, 0.9)])
    for policy in ("region", "strict"):
        words, value = score(make_table(boxes), detections, ignore_policy=policy).headline[-1]
        assert "equal to pycocotools" in words
        assert words.endswith("regions ignored for every class left out"), "a COCO file would make an object of them"
        assert value == pytest.approx(0.5)


def test_sizes__say_why_they_are_more_than_all_objects(make_table, make_detections):
    limits = make_table([(1, 1, 0, 0, 32, 32), (1, 1, 100, 0, 196, 96), (1, 1, 200, 0, 210, 10)])
    scores = score(limits, make_detections([]))
    assert [scores.counts[size] for size in ("small", "medium", "large", "objects")] == [2, 2, 1, 3]
    assert scores.sizes_note.startswith("2 of exactly 32² or 96² px are in two sizes")
    assert score(make_table([(1, 1, 0, 0, 10, 10)]), make_detections([])).sizes_note == ""


def test_score__metrics_json_has_the_promised_keys(make_table, make_detections, tmp_path):
    detections = make_detections([(1, 1, 0, 0, 10, 10, 0.3)])
    score(make_table([(1, 1, 0, 0, 10, 10)]), detections).save(tmp_path / "metrics.json")
    value = json.loads((tmp_path / "metrics.json").read_text())
    assert set(METRIC_NAMES) <= set(value)
    assert value["per_class"][0]["name"] == "class1"
    assert value["ignore_policy"] == "region"


@pytest.mark.parametrize(
    ("rows", "field", "listed"),
    [
        pytest.param(
            [(i, 1, 0, 0, 1, 1, 0.5) for i in range(2, 20)], "image_id", "2, 3, 4, 5, 6, 7, 8, 9, 10, 11", id="image"
        ),
        pytest.param([(1, 0, 0, 0, 1, 1, 0.5)], "category_id", "0", id="class-index-instead-of-id"),
        pytest.param([(1, None, 0, 0, 1, 1, 0.5)], "category_id", "none", id="no-class"),
    ],
)
def test_score__unknown_id_is_refused(rows, field, listed, make_table, make_detections):
    with pytest.raises(InputError) as caught:
        score(make_table([(1, 1, 0, 0, 10, 10)]), make_detections(rows))
    assert (caught.value.code, caught.value.field) == ("DETECTION_UNKNOWN_ID", field)
    assert caught.value.what.endswith(": " + listed)


def test_score__truth_without_images_is_refused(make_table):
    with pytest.raises(InputError, match="TRUTH_EMPTY"):
        score(make_table([], n_images=0), Detections.empty())


@pytest.mark.parametrize("keywords", [{"ignore_policy": "crowd"}, {"max_detections": 0}])
def test_score__wrong_option_is_refused(keywords, make_table):
    with pytest.raises(InputError):
        score(make_table([]), Detections.empty(), **keywords)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_score__boxes_that_are_not_finite_cannot_come_in(bad, make_detections):
    with pytest.raises(InputError, match="BOX_INVALID"):
        make_detections([(1, 1, 0.0, 0.0, bad, 10.0, 0.5)])


def test_score__inputs_are_not_changed(generated):
    table, detections = generated(3)
    before = [f.clone() for f in (table.images, table.boxes, table.categories, detections.rows)]
    score(table, detections)
    for frame, same in zip((table.images, table.boxes, table.categories, detections.rows), before, strict=True):
        assert frame.equals(same, null_equal=True)
