"""The log-average miss rate: curves and rules worked out by hand, and every protocol against plain loops."""

import math

import naive
import numpy as np
import polars as pl
import pytest
from persons import FLOOR, NINE, called, of_class, person, sized, tp

from detect_transfer.core.annotations import DETECTION_SCHEMA, Detections
from detect_transfer.evaluation import METRICS, Case
from detect_transfer.evaluation.attributes import Span
from detect_transfer.evaluation.metrics.miss_rate import log_average, miss_rate
from detect_transfer.evaluation.metrics.protocols import CALTECH, CITYPERSONS, PROTOCOLS
from detect_transfer.formats.pedestrians import citypersons

FAR = (400, 100, 441, 200)


@pytest.mark.parametrize(
    ("read_at", "recalls"),
    [
        # fp, tp, fp, tp in 10 images, 4 objects: fppi .1 .1 .2 .2, recall 0 1/4 1/4 2/4
        pytest.param("last_up_to", [0] * 4 + [1 / 4] * 2 + [2 / 4] * 3, id="caltech"),
        pytest.param("last_up_to_wrapping", [2 / 4] * 4 + [1 / 4] * 2 + [2 / 4] * 3, id="citypersons-code"),
        pytest.param("first_from", [0] * 5 + [1 / 4] + [2 / 4] * 3, id="crowdhuman"),
    ],
)
def test_log_average__by_hand(read_at, recalls):
    fppi, recall = np.array([0.1, 0.1, 0.2, 0.2]), np.array([0, 1 / 4, 1 / 4, 2 / 4])
    expected = math.exp(sum(math.log(1 - r) for r in recalls) / NINE)
    assert log_average(fppi, recall, CITYPERSONS.fppi, read_at) == pytest.approx(expected)


def test_log_average__nothing_found_is_one_and_a_perfect_curve_ends_at_the_floor():
    assert log_average(np.array([]), np.array([]), CALTECH.fppi, "last_up_to") == 1.0
    assert log_average(np.zeros(1), np.ones(1), CALTECH.fppi, "last_up_to") == pytest.approx(1e-10)


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_miss_rate__by_hand(name, make_table, make_detections):
    # one of two persons of 100 px found before any false positive, in 100 images: half is missed at every point
    table = sized(make_table([person(100, 100, 100), person(200, 100, 100)], n_images=100))
    detections = make_detections([tp(person(100, 100, 100), 0.9)])
    result = METRICS[name](Case(table, detections))
    assert result.values["all"] == pytest.approx(0.5)
    assert result.values["all/class1"] == result.values["all"]
    assert result.curves["all/class1"] == {"fppi": [0.0], "miss_rate": [0.5]}


@pytest.mark.parametrize(
    ("subset", "is_scored"),
    [
        pytest.param("reasonable", True, id="65-percent-is-reasonable"),
        pytest.param("reasonable_heavy", True, id="and-heavy-of-the-code"),
        pytest.param("partial", True, id="and-partial"),
        pytest.param("heavy", True, id="and-heavy-of-the-papers"),
        pytest.param("bare", False, id="but-not-bare"),
        pytest.param("large", True, id="100-px-is-large"),
        pytest.param("middle", True, id="and-middle"),
        pytest.param("reasonable_small", False, id="but-not-small"),
    ],
)
def test_citypersons__both_ends_of_the_bounds_are_in(subset, is_scored, make_table):
    table = make_table([person(100, 100, 100)], extra={"occluded": [0.35]})
    result = METRICS["miss_rate_citypersons"](Case(table, Detections.empty()))
    assert result.values[subset] == (1.0 if is_scored else None)
    if not is_scored:
        assert "visible" in result.reasons[subset]


def test_miss_rate__ignored_excuses_any_number_by_the_share_of_the_detection(make_table, make_detections):
    truth = [person(100, 100, 100), (1, 1, 300, 50, 500, 250, "i")]
    detections = [tp(person(320, 100, 100), 0.9), tp(person(420, 100, 100), 0.8), tp(person(100, 100, 100), 0.7)]
    table = sized(make_table(truth, n_images=100))
    for name in ("miss_rate_caltech", "miss_rate_citypersons", "miss_rate_crowdhuman"):
        assert METRICS[name](Case(table, make_detections(detections))).values["all"] == pytest.approx(1e-10), name
    # EuroCity asks for IoU unless it is a group; two fp in 100 images pass .01 (recall 0 there) and .0178
    rest = math.exp((2 * math.log(1) + 7 * math.log(1e-10)) / NINE)
    assert METRICS["miss_rate_eurocity"](Case(table, make_detections(detections))).values["all"] == pytest.approx(rest)
    group = sized(make_table([truth[0], (*truth[1][:6], "ic")], n_images=100))
    assert METRICS["miss_rate_eurocity"](Case(group, make_detections(detections))).values["all"] == pytest.approx(1e-10)


def test_miss_rate__an_object_out_of_bounds_excuses(make_table, make_detections):
    table = sized(make_table([person(100, 100, 100), person(300, 100, 45)], n_images=100))
    detections = make_detections([tp(person(300, 100, 45), 0.9), tp(person(100, 100, 100), 0.8)])
    assert METRICS["miss_rate_citypersons"](Case(table, detections)).values["reasonable"] == pytest.approx(1e-10)


@pytest.mark.parametrize(
    ("name", "height", "counts"),
    [
        ("miss_rate_citypersons", 40.0, True),
        ("miss_rate_citypersons", 39.9, False),
        ("miss_rate_eurocity", 32.0, False),
        ("miss_rate_eurocity", 32.1, True),
    ],
)
def test_miss_rate__detections_far_below_the_least_height_are_left_out(
    name, height, counts, make_table, make_detections
):
    table = sized(make_table([person(100, 100, 100)], n_images=10))
    detections = make_detections([tp(person(300, 100, height), 0.9), tp(person(100, 100, 100), 0.8)])
    missed = math.exp((4 * math.log(1) + 5 * math.log(1e-10)) / NINE)  # .1 fp in an image are too many for four
    assert METRICS[name](Case(table, detections)).values["reasonable"] == pytest.approx(missed if counts else 1e-10)


def test_citypersons__the_quirk_reads_the_end_of_the_curve(make_table, make_detections):
    table = sized(make_table([person(100, 100, 100), person(200, 100, 100)], n_images=10))
    detections = make_detections([(1, 1, *FAR, 0.9), tp(person(100, 100, 100), 0.8)])
    case = Case(table, detections)
    plain = miss_rate(case, "m", CITYPERSONS)
    flattered = miss_rate(case, "m", CITYPERSONS, quirk=True)
    assert plain.values["reasonable"] == pytest.approx(0.5 ** (5 / NINE))
    assert flattered.values["reasonable"] == pytest.approx(0.5)
    assert (plain.bounds["read_at"], flattered.bounds["read_at"]) == ("last_up_to", "last_up_to_wrapping")


def test_citypersons__only_pedestrians_are_scored_and_others_excuse(make_table, make_detections):
    rider, group = of_class(person(300, 100, 100), 2), (1, 3, 400, 50, 600, 250, "ic")
    table = make_table([person(100, 100, 100), rider, group], n_classes=3, n_images=100)
    named = called(table, "pedestrian", "rider", "person group")
    rows = [tp(person(300, 100, 100), 0.9), tp(person(450, 100, 100), 0.9), tp(person(100, 100, 100), 0.8)]
    result = METRICS["miss_rate_citypersons"](Case(named, make_detections(rows)))
    assert result.values["reasonable"] == pytest.approx(1e-10)
    assert "reasonable/rider" not in result.values
    assert result.bounds["classes"] == ["pedestrian"]


def test_nightowls__an_occluded_person_is_heavy(make_table):
    table = make_table([person(100, 100, 100)], extra={"occluded": [0.1]})
    values = METRICS["miss_rate_nightowls"](Case(table, Detections.empty())).values
    assert (values["reasonable"], values["reasonable_heavy"]) == (None, 1.0)


@pytest.mark.parametrize("name", ["miss_rate_nightowls", "miss_rate_tju"])
def test_miss_rate__who_rides_excuses_no_pedestrian_unless_ignored(name, make_table, make_detections):
    rider = of_class(person(300, 100, 100), 2)
    detections = make_detections([tp(person(300, 100, 100), 0.9), tp(person(100, 100, 100), 0.8)])
    other = called(make_table([person(100, 100, 100), rider], n_classes=2, n_images=10), "Pedestrian", "bicycledriver")
    result = METRICS[name](Case(other, detections))
    assert result.values["reasonable"] == pytest.approx(math.exp(5 * math.log(FLOOR) / NINE))
    assert result.bounds["classes"] == ["Pedestrian"]
    ignored = make_table([person(100, 100, 100), (*person(300, 100, 100)[:6], "i")], n_images=10)
    assert METRICS[name](Case(called(ignored, "pedestrian"), detections)).values["reasonable"] == pytest.approx(FLOOR)


def test_crowdhuman__boxes_are_cut_at_the_image_and_half_is_not_enough(make_table, make_detections):
    table = sized(make_table([(1, 1, -100, 0, 100, 100)], n_images=100))
    assert METRICS["miss_rate_crowdhuman"](Case(table, make_detections([(1, 1, 0, 0, 100, 100, 0.9)]))).values[
        "all"
    ] == pytest.approx(1e-10)
    outside = Case(table, make_detections([(1, 1, 0, 0, 50, 100, 0.9)]))
    assert METRICS["miss_rate_crowdhuman"](outside).values["all"] == 1.0


def test_bounds__are_reported_and_both_heavies_differ():
    subsets = {name: {c: str(s) for c, s in b.items()} for name, b in CITYPERSONS.subsets.items()}
    assert subsets["reasonable_heavy"]["visible"] == "[0.2, 0.65]"
    assert subsets["heavy"]["visible"] == "[0, 0.65]"
    assert str(Span(50, 80, below=True)) == "[50, 80)"
    assert str(Span()) == "(-inf, inf)"


def test_bounds__tell_what_the_variants_change(make_table):
    for name, protocol in PROTOCOLS.items():
        case = Case(make_table([]), Detections.empty())
        bounds = METRICS[name](case).bounds
        variants = {subset for variant in protocol.variants for subset in variant.subsets}
        assert set(bounds["variants"]) == variants
        assert all(bounds["variants"].values())
        assert set(bounds["subsets"]) == {*protocol.subsets, *variants}
    caltech = METRICS["miss_rate_caltech"](case).bounds
    assert caltech["overlap"] == ">= 0.5"
    assert caltech["variants"]["overlap_25"] == {"overlap": ">= 0.25"}
    assert caltech["variants"]["expand_150"] == {"detections_expand_height_by": 1.5}
    assert caltech["subsets"]["overlap_25"] == {"height": "[50, inf)", "visible": "[0.65, inf)"}


NAMES = {
    "miss_rate_caltech": ("person", "people", "person?"),
    "miss_rate_eurocity": ("pedestrian", "person-group-far-away", "rider+vehicle-group-far-away", "rider"),
    "miss_rate_inria": ("person",),
}
REASONS = (None, "depiction", "sitting-lying", "group")


def with_reasons(table, seed):
    reason = pl.Series(np.random.default_rng(seed).choice(np.array(REASONS, object), table.boxes.height).tolist())
    reasons = pl.when("ignore").then(reason.cast(pl.String)).alias("ignore_reason")
    return table.with_boxes(table.boxes.with_columns(reasons))


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_miss_rate__equals_plain_loops(name, detailed):
    compared = dict.fromkeys((name, *(subset for v in PROTOCOLS[name].variants for subset in v.subsets)), 0)
    for seed in range(30):
        table, detections = detailed(seed, names=NAMES.get(name, ("pedestrian", "rider")))
        table = with_reasons(table, seed)
        result = METRICS[name](Case(table, detections))
        ids = dict(table.categories.select("name", "category_id").iter_rows())
        for protocol in (PROTOCOLS[name], *PROTOCOLS[name].variants):
            for subset, bounds in protocol.subsets.items():
                for class_name in result.bounds["classes"]:
                    expected = naive.miss_rate(table, detections, protocol, bounds, ids[class_name])
                    value = result.values[f"{subset}/{class_name}"]
                    assert (value is None) == (expected is None), (seed, subset)
                    assert value is None or value == pytest.approx(expected, rel=1e-9), (seed, subset)
                    compared[subset if subset in compared else name] += value is not None
    assert min(compared.values()) >= 4, compared
    assert sum(compared.values()) > 50


def test_citypersons__real_persons_of_whom_a_third_is_missed(shared):
    table = citypersons.read(shared / "data" / "annotations_only" / "citypersons", missing_images="keep")
    share = (pl.col("vis_x2") - pl.col("vis_x1")) * (pl.col("vis_y2") - pl.col("vis_y1"))
    share = share / ((pl.col("x2") - pl.col("x1")) * (pl.col("y2") - pl.col("y1")))
    tall = pl.col("y2") - pl.col("y1") >= 50
    reasonable = table.boxes.filter(pl.col("category_id").eq(1) & tall & (share >= 0.65))
    assert (table.boxes.height, reasonable.height) == (5795, 1579)
    for missed, detections in ((0, reasonable), (527, reasonable.filter(pl.int_range(pl.len()) % 3 > 0))):
        rows = detections.with_columns(score=pl.lit(0.9)).select(DETECTION_SCHEMA.keys())
        values = METRICS["miss_rate_citypersons"](Case(table, Detections(rows))).values
        assert values["reasonable"] == pytest.approx(missed / 1579 or FLOOR)
