"""`crowdhuman`: AP, miss rate and Jaccard index on cases worked out by hand; the matching against all choices."""

from itertools import permutations

import naive
import numpy as np
import polars as pl
import pytest

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.evaluation import METRICS, Case
from detect_transfer.evaluation.assignment import Pairs
from detect_transfer.evaluation.metrics.crowdhuman import _islands, _most_overlap

A, B = (1, 1, 0, 0, 10, 10), (1, 1, 100, 0, 110, 10)
FAR = (1, 1, 300, 300, 310, 310)


def sized(table):
    images = table.images.with_columns(width=pl.lit(1000, pl.Int32), height=pl.lit(1000, pl.Int32))
    return AnnotationTable(images, table.boxes, table.categories)


def values(table, detections):
    return METRICS["crowdhuman"](Case(sized(table), detections)).values


def test_ap__is_the_raw_area_from_the_first_detection(make_table, make_detections):
    # tp, fp, tp of 2: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1; nothing is counted before the first
    got = values(make_table([A, B]), make_detections([(*A, 0.9), (*FAR, 0.8), (*B, 0.7)]))
    assert got["AP"] == pytest.approx(1 / 2 * (1 / 2 + 2 / 3) / 2)
    assert got["MR"] == pytest.approx(0.5)  # the first point with an fp is the fp itself, one of two found


def test_jaccard__by_hand(make_table, make_detections):
    # score above .5: one pair of 2 objects and 1 detection: 1/2; above .1: 2 pairs, 3 detections: 2/3
    got = METRICS["crowdhuman"](Case(sized(make_table([A, B])), make_detections([(*A, 0.9), (*FAR, 0.2), (*B, 0.2)])))
    assert got.values["JI"] == pytest.approx(2 / 3)
    assert got.bounds["JI_best_score_threshold"] == {"class1": 0.0}


def test_jaccard__the_best_threshold_wins_and_must_be_passed(make_table, make_detections):
    detections = make_detections([(*A, 0.9), *[(*FAR, 0.3)] * 3])
    got = METRICS["crowdhuman"](Case(sized(make_table([A])), detections))
    assert got.values["JI"] == 1.0
    assert got.bounds["JI_best_score_threshold"] == {"class1": 0.3}  # .3 is not above .3


def test_jaccard__regions_take_away_what_lies_in_them_unless_it_is_matched(make_table, make_detections):
    region = (1, None, 200, 0, 400, 100, "i")
    inside = (1, 1, 210, 10, 220, 20)  # an object in the region that nobody finds, and two detections there
    detections = make_detections([(*A, 0.9), (1, 1, 250, 10, 260, 20, 0.9), (1, 1, 270, 10, 280, 20, 0.9)])
    assert values(make_table([A, region, inside]), detections)["JI"] == 1.0
    # found, it counts on both sides
    both = make_detections([(*A, 0.9), (*inside, 0.9), (*FAR, 0.9)])
    assert values(make_table([A, region, inside]), both)["JI"] == pytest.approx(2 / 3)


def test_jaccard__mean_over_the_images_that_hold_anything(make_table, make_detections):
    table = make_table([A, (2, *B[1:])], n_images=5)
    assert values(table, make_detections([(*A, 0.9), (3, *FAR[1:], 0.9)]))["JI"] == pytest.approx((1 + 0 + 0) / 3)


def test_jaccard__nothing_found_is_zero_and_no_object_is_null(make_table):
    assert values(make_table([A]), Detections.empty())["JI"] == 0.0
    assert values(make_table([(*A, "i")]), Detections.empty())["JI"] is None


def test_most_overlap__equals_the_best_of_all_choices():
    for seed in range(150):
        rng = np.random.default_rng(seed)
        n, m = int(rng.integers(1, 5)), int(rng.integers(1, 5))
        weight = np.where(rng.random((n, m)) < 0.6, rng.uniform(0.5, 1, (n, m)), 0)
        detections, truth = np.nonzero(weight)
        pairs = Pairs(detections, truth, weight[detections, truth])
        kept = rng.random(n) < 0.9
        chosen = _most_overlap(_islands(pairs), kept)
        assert len(set(chosen.dt.tolist())) == len(set(chosen.gt.tolist())) == len(chosen.dt)
        assert kept[chosen.dt].all()
        square = np.zeros((max(n, m), max(n, m)))
        square[:n, :m] = weight * kept[:, None]
        best = max(sum(square[i, j] for i, j in enumerate(p)) for p in permutations(range(len(square))))
        assert chosen.overlap.sum() == pytest.approx(best)


def test_jaccard__equals_plain_loops(detailed):
    compared = 0
    for seed in range(40):
        table, detections = detailed(seed)
        if detections.rows.height > 100:  # all choices are too many
            continue
        got = METRICS["crowdhuman"](Case(table, detections))
        for category_id, name in table.categories.select("category_id", "name").iter_rows():
            value = got.values[f"JI/{name}"]
            if value is not None:
                assert value == pytest.approx(jaccard(table, detections, category_id), abs=1e-12), (seed, name)
                compared += value > 0
    assert compared > 20


def test_jaccard__boxes_are_cut_at_the_image(make_table, make_detections):
    # as drawn they overlap by one half, which is not enough; the image of 1000 px cuts the truth to the detection
    truth, detections = (1, 1, 990, 0, 1010, 10), (1, 1, 990, 0, 1000, 10, 0.9)
    got = values(make_table([truth]), make_detections([detections]))
    assert (got["JI"], got["MR"]) == (1.0, pytest.approx(1e-10))


def test_ap__equals_plain_loops(detailed):
    compared = 0
    for seed in range(60):
        table, detections = detailed(seed)
        got = METRICS["crowdhuman"](Case(table, detections))
        for category_id, name in table.categories.select("category_id", "name").iter_rows():
            labels, n_objects = crowd_labels(table, detections, category_id)
            if not n_objects:
                assert got.values[f"AP/{name}"] is None
                continue
            tp = np.cumsum([is_tp for _, _, is_tp in sorted(labels, key=lambda label: (-label[0], label[1]))])
            expected = np.trapezoid(tp / np.arange(1, len(tp) + 1), tp / n_objects) if len(tp) else 0.0
            assert got.values[f"AP/{name}"] == pytest.approx(expected, abs=1e-12)
            compared += expected > 0
    assert compared > 30


def crowd_labels(table, detections, category_id):
    from detect_transfer.evaluation.metrics.protocols import CROWDHUMAN

    labels, n_objects = [], 0
    for image in table.images.sort("image_id").to_dicts():
        rows = [r for r in table.boxes.to_dicts() if r["image_id"] == image["image_id"]]
        rows = [r for r in rows if r["category_id"] in (category_id, None)]
        boxes = [naive.clipped(naive.box_of(r), image, "start_inside") for r in rows]
        truth = [(b, b, not (r["ignore"] or r["iscrowd"]), False) for b, r in zip(boxes, rows, strict=True)]
        n_objects += sum(t[2] for t in truth)
        labels += naive.match_image(detections, CROWDHUMAN, {}, image, truth, category_id)
    return labels, n_objects


def jaccard(table, detections, category_id):
    """The largest of the mean Jaccard indices over ten score thresholds, by trying every choice of pairs."""
    means = []
    for threshold in (i / 10 for i in range(10)):
        ratios = []
        for image in table.images.to_dicts():
            rows = [
                (naive.clipped(naive.box_of(r), image, "start_inside"), not (r["ignore"] or r["iscrowd"]))
                for r in table.boxes.to_dicts()
                if r["image_id"] == image["image_id"] and r["category_id"] in (category_id, None)
            ]
            objects, regions = ([box for box, wanted in rows if wanted is kind] for kind in (True, False))
            dets = [
                naive.clipped(naive.box_of(r), image, "start_inside")
                for r in detections.rows.to_dicts()
                if (r["image_id"], r["category_id"]) == (image["image_id"], category_id) and r["score"] > threshold
            ]
            _, pairs = most_overlap([[naive.iou(det, box) for box in objects] for det in dets])

            def counted(boxes, matched, regions=regions):
                return sum(i in matched or not any(naive.ioa(b, r) > 0.5 for r in regions) for i, b in enumerate(boxes))

            n = counted(dets, {i for i, _ in pairs})
            m = counted(objects, {j for _, j in pairs})
            if n or m:
                ratios.append(len(pairs) / (n + m - len(pairs)))
        means.append(sum(ratios) / max(1, len(ratios)))
    return max(means)


def most_overlap(overlaps, first=0, taken=()):
    """The largest sum of overlaps above one half, one to one, and its pairs (row, column)."""
    if first == len(overlaps):
        return 0.0, []
    best = most_overlap(overlaps, first + 1, taken)
    for column, overlap in enumerate(overlaps[first]):
        if overlap > 0.5 and column not in taken:
            rest, pairs = most_overlap(overlaps, first + 1, (*taken, column))
            best = max(best, (overlap + rest, [(first, column), *pairs]), key=lambda choice: choice[0])
    return best
