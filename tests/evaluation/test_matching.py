"""`match`, `confusion`, thresholds and counts, on cases worked out by hand and against pycocotools."""

import numpy as np
import pytest

from detect_transfer.core.annotations import XYXY, Detections
from detect_transfer.core.errors import InputError
from detect_transfer.evaluation import (
    Case,
    assignment,
    best_f1_threshold,
    confusion,
    match,
    threshold_curve,
)

# objects A (0..10) and B (20..30) and a region 100..200; the IoU of 0..10 with 0..8 (same height) is .8
HAND_TRUTH = [(1, 1, 0, 0, 10, 10), (1, 1, 20, 0, 30, 10), (1, 1, 100, 100, 200, 200, "i")]
HAND_DETECTIONS = [
    (1, 1, 0, 0, 8, 10, 0.9),  # tp of A with .8
    (1, 1, 0, 0, 10, 10, 0.8),  # A is taken, and B is too far: a false positive
    (1, 1, 110, 110, 120, 120, 0.7),  # lies in the region
    (1, 1, 95, 110, 105, 120, 0.6),  # half of it lies in the region: excused at .5
    (1, 1, 94, 110, 104, 120, 0.5),  # 4 of 10: a false positive
]


def test_match__by_hand(make_table, make_detections):
    matches = match(make_table(HAND_TRUTH), make_detections(HAND_DETECTIONS))
    assert matches.detections["status"].to_list() == ["tp", "fp", "ignored", "ignored", "fp"]
    assert matches.detections["annotation_id"].to_list() == [1, None, 3, 3, None]
    assert matches.detections["iou"].to_list() == [0.8, None, 1.0, 0.5, None]
    assert matches.truth["status"].to_list() == ["tp", "fn", "ignored"]
    assert matches.truth["score"].to_list() == [0.9, None, None]


def test_match__score_threshold_is_inclusive_and_keeps_the_order(make_table, make_detections):
    matches = match(make_table(HAND_TRUTH), make_detections(HAND_DETECTIONS[::-1]), score_threshold=0.8)
    assert matches.detections["score"].to_list() == [0.8, 0.9]
    assert matches.detections["status"].to_list() == ["fp", "tp"]


def test_match__strict_makes_an_object_of_ignore(make_table, make_detections):
    matches = match(make_table(HAND_TRUTH), make_detections(HAND_DETECTIONS), ignore_policy="strict")
    assert matches.truth["status"].to_list() == ["tp", "fn", "fn"]
    assert matches.detections["status"].to_list()[2:] == ["fp"] * 3


def test_match__second_choice(make_table, make_detections):
    # both overlap A most (9/11 and 8.5/11.5); the second falls to B, which it overlaps by 7.5/12.5
    table = make_table([(1, 1, 0, 0, 10, 10), (1, 1, 4, 0, 14, 10)])
    detections = make_detections([(1, 1, 1, 0, 11, 10, 0.9), (1, 1, 1.5, 0, 11.5, 10, 0.8)])
    assert match(table, detections).detections["annotation_id"].to_list() == [1, 2]


def test_match__object_beats_region_with_less_overlap(make_table, make_detections):
    table = make_table([(1, 1, 0, 0, 10, 10, "c"), (1, 1, 0, 0, 10, 6)])
    matches = match(table, make_detections([(1, 1, 0, 0, 10, 10, 0.9)]))
    assert matches.detections.row(0, named=True)["annotation_id"] == 2


def test_match__edge_cases(make_table, make_detections):
    table = make_table([(1, 1, 0, 0, 10, 10), (1, 1, 50, 50, 50, 50)], n_images=2)
    detections = make_detections([(1, 1, 10, 0, 20, 10, 0.9), (1, 1, 50, 50, 50, 50, 0.8), (2, 1, 0, 0, 10, 10, 0.7)])
    matches = match(table, detections)  # touching edges, an empty box on an empty box, an image without objects
    assert matches.detections["status"].unique().to_list() == ["fp"]
    assert match(table, Detections.empty()).truth["status"].to_list() == ["fn", "fn"]
    assert match(make_table([]), Detections.empty()).truth.is_empty()


def test_match__equals_pycocotools(generated, pycocotools):
    for seed in range(120):
        table, detections = generated(seed)
        _, evaluator = pycocotools(table, detections, as_region=True, caps=(1, 10, 10_000))
        expected = {}
        for image in evaluator.evalImgs:
            if image is not None and image["aRng"] == [0, 1e10]:
                for found_id, truth_id, ignored in zip(
                    image["dtIds"], image["dtMatches"][0], image["dtIgnore"][0], strict=True
                ):
                    row = evaluator.cocoGt.anns[int(truth_id)]["row"] if truth_id else None
                    expected[found_id - 1] = ("ignored" if ignored else "tp" if truth_id else "fp", row)
        ids = table.boxes["annotation_id"].to_list()
        rows = match(table, detections).detections
        for index, (status, annotation_id) in enumerate(rows.select("status", "annotation_id").iter_rows()):
            row = None if annotation_id is None else ids.index(annotation_id)
            assert (status, row) == expected[index], (seed, index)


def test_match__many_pairs_are_cut_into_chunks(generated, monkeypatch):
    table, detections = generated(7)
    whole = match(table, detections)
    monkeypatch.setattr(assignment, "_PAIRS_AT_ONCE", 3)
    assert match(table, detections).detections.equals(whole.detections, null_equal=True)


@pytest.mark.parametrize("keywords", [{"iou_threshold": 50}, {"iou_threshold": 0}, {"score_threshold": -0.1}])
def test_match__threshold_out_of_range_is_refused(keywords, make_table):
    with pytest.raises(InputError, match="THRESHOLD_RANGE"):
        match(make_table([]), Detections.empty(), **keywords)


def test_match__unknown_id_is_refused_below_the_threshold_too(make_table, make_detections):
    with pytest.raises(InputError, match="DETECTION_UNKNOWN_ID"):
        match(make_table(HAND_TRUTH), make_detections([(9, 1, 0, 0, 1, 1, 0.1)]), score_threshold=0.5)


def test_match__inputs_are_not_changed(generated):
    table, detections = generated(3)
    before = [table.boxes.clone(), detections.rows.clone()]
    match(table, detections)
    confusion(Case(table, detections))
    assert table.boxes.equals(before[0], null_equal=True)
    assert detections.rows.equals(before[1])


def test_confusion__by_hand(make_table, make_detections):
    table = make_table(
        [(1, 1, 0, 0, 10, 10), (1, 2, 20, 0, 30, 10), (1, 1, 40, 0, 50, 10), (1, 1, 100, 100, 200, 200, "i")],
        n_classes=2,
    )
    detections = make_detections(
        [
            (1, 1, 0, 0, 10, 10, 0.9),  # right
            (1, 1, 20, 0, 30, 10, 0.8),  # class 2 taken for class 1
            (1, 2, 20, 0, 30, 10, 0.7),  # right, but the object is taken: a false positive of class 2
            (1, 1, 110, 110, 120, 120, 0.7),  # excused by the region of its class
            (1, 2, 110, 110, 120, 120, 0.7),  # the region is not ignored for class 2: a false positive
            (1, 1, 40, 0, 50, 10, 0.2),  # below the threshold, so the third object is missed
        ]
    )
    table_counts = confusion(Case(table, detections), score_threshold=0.25).counts
    assert table_counts.tolist() == [[1, 0, 1], [1, 0, 0], [0, 2, 0]]


def test_confusion__own_class_wins_a_tie(make_table, make_detections):
    table = make_table([(1, 1, 0, 0, 10, 10), (1, 2, 0, 0, 10, 10)], n_classes=2)
    detections = make_detections([(1, 1, 0, 0, 10, 10, 0.9), (1, 2, 0, 0, 10, 10, 0.8)])
    assert confusion(Case(table, detections)).counts.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_confusion__rows_and_columns_add_up(generated):
    for seed in range(30):
        table, detections = generated(seed)
        counts = confusion(Case(table, detections), score_threshold=0.3).counts
        objects = table.boxes.filter(~table.boxes["iscrowd"] & ~table.boxes["ignore"])
        assert counts[:-1].sum() == len(objects)
        assert counts[:, :-1].sum() <= (detections.rows["score"] >= 0.3).sum()


def test_thresholds__by_hand(make_table, make_detections):
    # by score: tp .9, fp .8, tp .7 and fp .7 (one score), tp .6; 4 objects
    objects = [(1, 1, 20 * i, 0, 20 * i + 10, 10) for i in range(4)]
    table = make_table([*objects, (1, 2, 0, 0, 10, 10)], n_classes=3)
    far = (300, 300, 310, 310)
    detections = make_detections(
        [
            (1, 1, *objects[0][2:], 0.9),
            (1, 1, *far, 0.8),
            (1, 1, *objects[1][2:], 0.7),
            (1, 1, *far, 0.7),
            (1, 1, *objects[2][2:], 0.6),
            (1, 3, *far, 0.6),
        ]
    )
    matches = match(table, detections)
    curve = threshold_curve(matches, 1)
    assert curve.score.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert curve.precision == pytest.approx([1, 1 / 2, 2 / 4, 3 / 5])
    assert curve.recall == pytest.approx([1 / 4, 1 / 4, 2 / 4, 3 / 4])
    assert curve.f1 == pytest.approx([2 / 5, 2 / 6, 4 / 8, 6 / 9])
    best = best_f1_threshold(matches)
    assert (best[1].score_threshold, best[1].precision, best[1].recall) == pytest.approx((0.6, 0.6, 0.75))
    assert best[2] is None  # never detected
    assert best[3] is None  # no object
    assert threshold_curve(matches, 3) is None
    assert threshold_curve(matches).recall[-1] == pytest.approx(3 / 5)


def test_thresholds__the_highest_of_equal_f1(make_table, make_detections):
    # F1 is 2/3 at .9 (1 of 2, no fp) and again at .5 (2 of 2, 2 fp)
    table = make_table([(1, 1, 0, 0, 10, 10), (1, 1, 20, 0, 30, 10)])
    fp = [(1, 1, 300, 300, 310, 310, 0.6)] * 2
    detections = make_detections([(1, 1, 0, 0, 10, 10, 0.9), *fp, (1, 1, 20, 0, 30, 10, 0.5)])
    assert best_f1_threshold(match(table, detections))[1].score_threshold == 0.9


def test_thresholds__agree_with_a_matching_at_each_threshold(generated):
    for seed in range(40):
        table, detections = generated(seed)
        curve = threshold_curve(match(table, detections))
        for i in () if curve is None else range(0, len(curve.score), 7):
            at = match(table, detections, score_threshold=curve.score[i])
            cut = match(table, detections).above(curve.score[i])
            assert cut.detections.equals(at.detections, null_equal=True)
            assert cut.truth.equals(at.truth, null_equal=True)
            assert at.precision == pytest.approx(curve.precision[i])
            assert at.recall == pytest.approx(curve.recall[i])
            assert at.fp_per_image == pytest.approx(curve.fp_per_image[i])


@pytest.mark.parametrize(
    ("count", "expected"), [("precision", 1 / 3), ("recall", 1 / 2), ("f1", 2 / 5), ("fp_per_image", 2.0)]
)
def test_counts__by_hand(count, expected, make_table, make_detections):
    # one true positive, two false positives, one false negative, two excused
    assert getattr(match(make_table(HAND_TRUTH), make_detections(HAND_DETECTIONS)), count) == pytest.approx(expected)


@pytest.mark.parametrize("count", ["precision", "recall", "f1"])
def test_counts__nothing_to_score_is_none(count, make_table):
    assert getattr(match(make_table([]), Detections.empty()), count) is None


def test_match__a_dense_case_gives_each_object_one_hit(make_detections, make_table):
    rng = np.random.default_rng(0)
    n = 100_000
    corner = rng.uniform(0, 400, (n, 2))
    columns = np.column_stack([corner, corner + 40, rng.random(n)]).T
    detections = Detections.from_columns(
        {
            "image_id": rng.integers(1, 101, n),
            "category_id": np.ones(n, int),
            **dict(zip((*XYXY, "score"), columns, strict=True)),
        }
    )
    truth = [(i, 1, x, y, x + 40, y + 40) for i in range(1, 101) for x, y in rng.uniform(0, 400, (30, 2)).tolist()]
    matches = match(make_table(truth, n_images=100), detections)
    assert (matches.detections["status"] == "tp").sum() == (matches.truth["status"] == "tp").sum()
