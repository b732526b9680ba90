"""The bootstrap: re-weighting equals scoring again, and intervals tell what they can."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.errors import InputError
from detect_transfer.evaluation import Case, coco_metrics
from detect_transfer.evaluation.coco.bootstrap import draw_weights, mean_ap, sample
from detect_transfer.evaluation.coco.intervals import bias, score_intervals, span_of
from detect_transfer.evaluation.coco.threshold_matches import SMALL_AREA, match_at_thresholds, side_by_side, units_of
from detect_transfer.evaluation.coco.weighted import weighted_ap
from detect_transfer.evaluation.comparison import Plan, compare_groups


def untied(detections: Detections) -> Detections:
    """Give every detection a score of its own in the same order, as copies of tied ones may stand in any order."""
    turn = detections.rows.with_columns(pl.col("score").rank("ordinal") / (len(detections.rows) + 1))
    return Detections(turn.select(detections.rows.columns))


def repeated(truth: AnnotationTable, detections: Detections, times) -> tuple[AnnotationTable, Detections]:
    """Write a table in which each image stands as often as counts say, with new ids."""
    ids = truth.images.sort("image_id")["image_id"]
    copies = pl.DataFrame({"image_id": np.repeat(ids.to_numpy(), times)}).with_row_index("new", offset=1)
    copies = copies.with_columns(pl.col("new").cast(pl.Int64))
    parts = [
        part.join(copies, on="image_id", maintain_order="left_right")
        .with_columns(pl.col("new").alias("image_id"))
        .drop("new")
        for part in (truth.images, truth.boxes, detections.rows)
    ]
    boxes = parts[1].with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("annotation_id"))
    return AnnotationTable(parts[0], boxes, truth.categories), Detections(parts[2])


def values_of(ap) -> dict[str, float | None]:
    return {name: None if np.isnan(v[0]) else pytest.approx(v[0], abs=1e-9) for name, v in mean_ap(ap).items()}


@pytest.mark.parametrize("policy", ["region", "strict"])
@pytest.mark.parametrize("cap", [100, 2])
def test_ones__equal_the_metrics_of_the_images_as_they_are(generated, policy: str, cap: int) -> None:
    for seed in range(40):
        truth, detections = generated(seed)
        matches = match_at_thresholds(Case(truth, detections, policy), max_detections=cap)
        got = values_of(weighted_ap(matches, np.ones((1, len(matches.objects)), np.uint16)))
        metrics = coco_metrics(truth, detections, ignore_policy=policy, max_detections=cap)
        assert {name: metrics[name] for name in got} == got, seed
        assert (
            metrics["AR100"] is None
            or cap != 100
            or sample(matches, np.ones((1, len(matches.objects)), np.uint16)).metrics["AR100"][0]
            == pytest.approx(metrics["AR100"], abs=1e-9)
        )


@pytest.mark.parametrize("policy", ["region", "strict"])
@pytest.mark.parametrize("cap", [100, 2])
def test_small_objects__are_scored_as_coco_scores_them(generated, policy: str, cap: int) -> None:
    """Boxes of the samples are larger than COCO's small ones, so that they are shrunk to lie on both sides of it."""
    n_with = 0
    for seed in range(60):
        truth, detections = generated(seed)
        sides = [pl.col(name) / (1 + seed % 4) for name in ("x1", "y1", "x2", "y2")]
        truth = truth.with_boxes(truth.boxes.with_columns(sides))
        detections = Detections(detections.rows.with_columns(sides))
        matches = match_at_thresholds(Case(truth, detections, policy), max_detections=cap, largest=SMALL_AREA)
        got = mean_ap(weighted_ap(matches, np.ones((1, len(matches.objects)), np.uint16)))["AP"][0]
        expected = coco_metrics(truth, detections, ignore_policy=policy, max_detections=cap)
        assert expected["AP_small"] == (None if np.isnan(got) else pytest.approx(got, abs=1e-9)), seed
        n_with += expected["AP_small"] not in (None, expected["AP"], 0.0)
    assert n_with > 10


def test_draw__equals_a_table_with_repeated_images(generated) -> None:
    rng = np.random.default_rng(0)
    for seed in range(40):
        truth, detections = generated(seed)
        detections = untied(detections)
        matches = match_at_thresholds(Case(truth, detections, "region"))
        times = rng.integers(0, 4, len(matches.objects))
        times[0] += 1  # a table without images cannot be scored
        got = values_of(weighted_ap(matches, times[None].astype(np.uint16)))
        metrics = coco_metrics(*repeated(truth, detections, times[units_of(truth)[0]]))
        assert {name: metrics[name] for name in got} == got, (seed, times)


@pytest.mark.parametrize("scores", [(0.9,), (0.9, 0.5)], ids=["all-alike", "two"])
def test_draw__of_tied_scores_equals_a_table_with_repeated_images(generated, scores) -> None:
    """All copies of an image stand whole behind each other, as the images of the point estimate do."""
    rng = np.random.default_rng(1)
    for seed in range(40):
        truth, detections = generated(seed)
        tied = detections.rows.with_columns(score=pl.Series(rng.choice(scores, len(detections.rows)), dtype=pl.Float64))
        detections = Detections(tied)
        matches = match_at_thresholds(Case(truth, detections, "region"))
        ones = np.ones((100, len(matches.objects)), np.uint16)
        metrics = coco_metrics(truth, detections)
        mean = sample(matches, ones).metrics["AP"][1:].mean()
        assert metrics["AP"] == (None if np.isnan(mean) else pytest.approx(mean, abs=1e-12)), seed
        times = rng.integers(0, 4, len(matches.objects))
        times[0] += 1  # a table without images cannot be scored
        got = values_of(weighted_ap(matches, times[None].astype(np.uint16)))
        metrics = coco_metrics(*repeated(truth, detections, times[units_of(truth)[0]]))
        assert {name: metrics[name] for name in got} == got, (seed, times)


def test_draws_together__equal_draws_one_by_one(generated) -> None:
    truth, detections = generated(3)
    matches = match_at_thresholds(Case(truth, detections, "region"))
    weights = draw_weights(len(matches.objects), n_draws=600)
    alone = np.concatenate([weighted_ap(matches, row[None]) for row in weights])
    np.testing.assert_allclose(weighted_ap(matches, weights), alone, rtol=1e-12)


def test_side_by_side__scores_the_set_that_each_image_is_given_to(generated) -> None:
    truth, detections = generated(4)
    rows = untied(detections).rows
    a, b = rows, rows.with_columns(pl.col("score") * 0.7, pl.col("x2") + 3)
    matches = side_by_side(*(match_at_thresholds(Case(truth, Detections(r), "region")) for r in (a, b)))
    give = np.arange(len(matches.objects) // 2) % 2
    chosen = truth.images.sort("image_id")["image_id"].filter(pl.Series(give == 1)).implode()
    mixed = pl.concat([a.filter(pl.col("image_id").is_in(chosen)), b.filter(~pl.col("image_id").is_in(chosen))])
    got = values_of(weighted_ap(matches, np.concatenate([give, 1 - give])[None].astype(np.uint16)))
    metrics = coco_metrics(truth, Detections(mixed))
    assert metrics["AP"]
    assert {name: metrics[name] for name in got} == got


def test_units__are_groups_where_there_are_any(make_table) -> None:
    table = make_table([], n_images=5)
    assert units_of(table)[1] == 5
    images = table.images.with_columns(pl.Series("group", ["b", None, "a", "b", "5"]))
    unit, n = units_of(AnnotationTable(images, table.boxes, table.categories))
    assert n == 4  # the image_id 5 is no name of a group
    assert unit[0] == unit[3]
    assert len(set(unit.tolist())) == 4


def test_units__are_the_same_where_the_images_lie_in_folders_of_splits(make_table) -> None:
    """A data folder moves images into folders of splits, and may write them as PNG."""
    table = make_table([], n_images=4)
    native, moved = ["c.ppm", "a.ppm", "d.ppm", "b.ppm"], ["train/c.png", "val/a.png", "train/d.png", "val/b.png"]
    units = [
        units_of(replace(table, images=table.images.with_columns(pl.Series("file_name", names))))[0].tolist()
        for names in (native, moved)
    ]
    assert units[0] == units[1] == [2, 0, 3, 1]


@pytest.mark.parametrize("grouped", [False, True])
def test_numbers__are_those_of_any_order_of_the_same_images(generated, grouped: bool) -> None:
    """Draws, exchanges and halves are made of images by name, whatever number a file gives them."""
    for seed in range(5):
        truth, detections = generated(seed)
        detections = untied(detections)
        if grouped:
            videos = pl.Series("group", [f"video {i % 3}" if i % 4 else None for i in range(truth.images.height)])
            truth = replace(truth, images=truth.images.with_columns(videos))
        ids = truth.images["image_id"]
        other = dict(zip(ids, ids.shuffle(seed=seed), strict=True))
        parts = [
            part.with_columns(pl.col("image_id").replace_strict(other)).sample(fraction=1.0, shuffle=True, seed=seed)
            for part in (truth.images, truth.boxes, detections.rows)
        ]
        again = (AnnotationTable(parts[0], parts[1], truth.categories), Detections(parts[2]))
        results = []
        for table, rows in ((truth, detections), again):
            lower = Detections(rows.rows.with_columns(pl.col("score") * 0.7, pl.col("x2") + 3))
            cases = [Case(table, each) for each in (rows, lower)]
            weights = draw_weights(units_of(table)[1], n_draws=100, seed=1)
            a, b = (sample(match_at_thresholds(case), weights) for case in cases)
            spans = score_intervals(cases[0], n_draws=100)
            compared = compare_groups([a], [b], cases[0].gt.category_ids.tolist(), Plan(n_draws=100))
            results.append((spans.as_dict(), [d.as_dict() for d in compared.metrics]))
        assert str(results[0]) == str(results[1])


def test_weights__draw_as_many_units_as_there_are_and_the_same_for_a_seed() -> None:
    weights = draw_weights(7, n_draws=500, seed=3)
    assert (weights.sum(axis=1) == 7).all()
    assert weights.mean() == pytest.approx(1)
    assert weights.var() == pytest.approx(6 / 7, rel=0.1)  # binomial: n p (1 - p)
    np.testing.assert_array_equal(weights, draw_weights(7, n_draws=500, seed=3))
    assert (weights != draw_weights(7, n_draws=500, seed=4)).any()
    with pytest.raises(InputError, match="DRAWS"):
        draw_weights(7, n_draws=10)


def test_interval__half_of_the_images_found(make_table, make_detections) -> None:
    """40 images with one object each, 20 found, no false positive: AP is the share found, binomial with n 40, p .5.

    The step at 101 recalls adds 1/101 or less. The 95 % interval of the share is .5 +- 1.96 sqrt(.25 / 40) = +- .155.
    """
    truth = make_table([(i, 1, 0, 0, 10, 10) for i in range(1, 41)], n_images=40)
    detections = make_detections([(i, 1, 0, 0, 10, 10, 0.9) for i in range(1, 21)])
    spans = score_intervals(Case(truth, detections))
    low, high = spans.metrics["AP"]
    assert low == pytest.approx(0.345, abs=0.03)
    assert high == pytest.approx(0.655, abs=0.03)
    assert spans.per_class[1]["AP50"] == pytest.approx((low, high))
    assert spans.unit == "image"


def test_interval__images_of_one_video_are_drawn_together(make_table, make_detections) -> None:
    truth = make_table([(i, 1, 0, 0, 10, 10) for i in range(1, 41)], n_images=40)
    groups = truth.images.with_columns(pl.Series("group", [str(i // 10) for i in range(40)]))
    detections = make_detections([(i, 1, 0, 0, 10, 10, 0.9) for i in range(1, 21)])
    grouped = score_intervals(Case(AnnotationTable(groups, truth.boxes, truth.categories), detections))
    alone = score_intervals(Case(truth, detections))
    assert grouped.n_units == 4
    assert grouped.unit == "group"
    assert np.diff(grouped.metrics["AP"]) > 1.5 * np.diff(alone.metrics["AP"])


def test_interval__no_object_and_one_image_have_none_and_a_reason(make_table, make_detections) -> None:
    detections = make_detections([(1, 1, 0, 0, 10, 10, 0.9)])
    nothing = score_intervals(Case(make_table([], n_images=3), detections))
    assert nothing.metrics == {"AP": None, "AP50": None}
    assert score_intervals(Case(make_table([], n_classes=0), Detections.empty())).metrics == nothing.metrics
    assert "no object" in nothing.reasons["AP"]
    one = score_intervals(Case(make_table([(1, 1, 0, 0, 10, 10)], n_images=3, n_classes=2), detections))
    assert one.metrics["AP"] is None
    assert "one image" in one.reasons["AP/1"]
    assert "no object" in one.reasons["AP50/2"]


def test_interval__no_detection_at_all_is_zero(make_table) -> None:
    spans = score_intervals(Case(make_table([(i, 1, 0, 0, 9, 9) for i in (1, 2, 3)], n_images=3), Detections.empty()))
    assert spans.metrics["AP"] == (0.0, 0.0)


def test_interval__of_every_box_found_twice_alike_holds_the_number(make_table, make_detections) -> None:
    """Each image has the true positives, then the copies: tied, so that a draw must not put all first ones first."""
    boxes = [(i, 1 + i % 2, 20 * k, 0, 20 * k + 10, 10) for i in range(1, 21) for k in range(1 + i % 4)]
    truth = make_table(boxes, n_images=20, n_classes=2)
    detections = make_detections([(*box, 0.9) for _ in range(2) for box in boxes])
    spans = score_intervals(Case(truth, detections))
    low, high = spans.metrics["AP"]
    assert low < coco_metrics(truth, detections)["AP"] < high


def test_span__draws_on_one_side_have_no_interval_and_a_reason(make_table, make_detections, monkeypatch) -> None:
    draws = np.arange(1, 1001.0)
    for number in (0.5, 10.5, 990.5, 1000.5):
        assert span_of(np.concatenate([[number], draws])) is None, number
        assert span_of(np.concatenate([[number], draws]), corrected=False) is None, number
    for number in (30.5, 500.5, 970.5):
        for corrected in (True, False):
            low, high = span_of(np.concatenate([[number], draws]), corrected=corrected)
            assert low <= number <= high
    assert span_of(np.full(1001, 0.3)) == (0.3, 0.3)
    truth = make_table([(i, 1, 0, 0, 10, 10) for i in range(1, 9)], n_images=8)
    case = Case(truth, make_detections([(1, 1, 0, 0, 10, 10, 0.9)]))
    monkeypatch.setattr("detect_transfer.evaluation.coco.intervals.span_of", lambda values: None)
    assert "one side" in score_intervals(case).reasons["AP"]


def test_span__bias_is_corrected_by_hand() -> None:
    """Draws 1 to 1000, the number at 800: z0 = .8416, so the ends are at Phi(2 z0 -+ 1.96), 39.1 % and 99.986 %."""
    values = np.concatenate([[800.5], np.arange(1, 1001.0)])
    assert bias(values) == pytest.approx(0.8416, abs=1e-3)
    assert span_of(values) == pytest.approx((391.3, 999.9), abs=0.6)
    centred = np.concatenate([[500.5], np.arange(1, 1001.0)])
    assert span_of(centred) == pytest.approx((26, 975), abs=0.1)


def test_span__holds_the_ap_of_all_images_in_most_cases(make_table, make_detections) -> None:
    """Samples of 40 from images of which 60 % have their object found: 95 % of intervals should hold .6."""
    rng = np.random.default_rng(1)
    truth = make_table([(i, 1, 0, 0, 10, 10) for i in range(1, 41)], n_images=40)
    held = 0
    for seed in range(100):
        tp = np.flatnonzero(rng.random(40) < 0.6) + 1
        detections = make_detections([(int(i), 1, 0, 0, 10, 10, 0.9) for i in tp])
        spans = score_intervals(Case(truth, detections), n_draws=200, seed=seed)
        low, high = spans.metrics["AP50"]
        held += low <= 0.6 <= high + 0.01  # the steps of the 101 recalls
    assert held >= 86


def test_interval__of_rare_classes_is_said_to_be_too_narrow(make_table, make_detections) -> None:
    boxes = [(i, 1, 0, 0, 10, 10) for i in range(1, 21)] + [(i, 2, 20, 0, 30, 10) for i in range(1, 5)]
    detections = make_detections([(*box, 0.9) for box in boxes[::2]])
    rare = score_intervals(Case(make_table(boxes, n_images=20, n_classes=3), detections), n_draws=100)
    assert rare.caution is not None
    assert "1 of 2 classes have objects in fewer than 5 images" in rare.caution
    assert rare.as_dict()["caution"] == rare.caution
    often = [*boxes, (5, 2, 20, 0, 30, 10)]
    assert score_intervals(Case(make_table(often, n_images=20, n_classes=3), detections), n_draws=100).caution is None
