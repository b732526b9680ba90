"""The log-average miss rate: curves and rules worked out by hand, and every protocol against plain loops."""

import math

import naive
import numpy as np
import polars as pl
import pytest

from detect_transfer.evaluation import METRICS, Case
from detect_transfer.evaluation.attributes import Span
from detect_transfer.evaluation.miss_rate import log_average, miss_rate
from detect_transfer.evaluation.protocols import CALTECH, CITYPERSONS, PROTOCOLS
from detect_transfer.table import AnnotationTable, Detections

NINE = 9


def sized(table, width=640, height=480):
    images = table.images.with_columns(width=pl.lit(width, pl.Int32), height=pl.lit(height, pl.Int32))
    return AnnotationTable(images, table.boxes, table.categories)


def person(x, y, height, *, image=1, flags=""):
    """A box of the width that Caltech gives every person."""
    return (image, 1, x, y, x + 0.41 * height, y + height, flags)


def hit(box, score):
    return (*box[:6], score)


FAR = (400, 100, 441, 200)


@pytest.mark.parametrize(
    ("read_at", "recalls"),
    [
        # alarm, hit, alarm, hit in 10 images, 4 objects: fppi .1 .1 .2 .2, recall 0 1/4 1/4 2/4
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
def test_miss_rate__by_hand(name, make_table, make_found):
    # one of two persons of 100 px found before any false alarm, in 100 images: half is missed at every point
    table = sized(make_table([person(100, 100, 100), person(200, 100, 100)], n_images=100))
    found = make_found([hit(person(100, 100, 100), 0.9)])
    result = METRICS[name](Case(table, found))
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


@pytest.mark.parametrize(
    ("subset", "occluded", "is_scored"),
    [
        ("occlusion_none", 0.0, True),
        ("occlusion_none", 0.1, False),
        ("occlusion_partial", 0.0, False),
        ("occlusion_partial", 0.1, True),
        ("reasonable", 0.0, True),
        ("occlusion_heavy", 0.5, True),
    ],
)
def test_caltech__nothing_hidden_is_beyond_every_upper_bound(subset, occluded, is_scored, make_table):
    table = sized(make_table([person(100, 100, 60)], extra={"occluded": [occluded]}))
    assert (METRICS["miss_rate_caltech"](Case(table, Detections.empty())).values[subset] is not None) == is_scored


def test_caltech__height_stays_below_the_upper_bound(make_table):
    table = sized(make_table([person(100, 100, 80)]))
    values = METRICS["miss_rate_caltech"](Case(table, Detections.empty())).values
    assert (values["scale_medium"], values["scale_near"]) == (None, 1.0)


@pytest.mark.parametrize(("width", "subset"), [(41.0, "aspect_typical"), (51.5, "aspect_atypical")])
def test_caltech__aspect(width, subset, make_table):
    values = METRICS["miss_rate_caltech"](
        Case(sized(make_table([(1, 1, 100, 100, 100 + width, 200)])), Detections.empty())
    ).values
    assert [s for s in ("aspect_typical", "aspect_atypical") if values[s] is not None] == [subset]


@pytest.mark.parametrize(("x", "is_scored"), [(4.0, True), (3.9, False)])
def test_caltech__an_object_at_the_border_is_ignored(x, is_scored, make_table):
    values = METRICS["miss_rate_caltech"](Case(sized(make_table([person(x, 100, 60)])), Detections.empty())).values
    assert (values["reasonable"] is not None) == is_scored


def test_caltech__only_the_height_of_boxes_counts(make_table, make_found):
    # twice as wide as the object, IoU .5 at most with its real width; with .41 of the height both are one box
    table = sized(make_table([person(100, 100, 100)], n_images=100))
    found = make_found([(1, 1, 79.5, 100, 161.5, 200, 0.9)])
    assert METRICS["miss_rate_caltech"](Case(table, found)).values["reasonable"] == pytest.approx(1e-10)


def test_miss_rate__ignored_excuses_any_number_by_the_share_of_the_detection(make_table, make_found):
    truth = [person(100, 100, 100), (1, 1, 300, 50, 500, 250, "i")]
    found = [hit(person(320, 100, 100), 0.9), hit(person(420, 100, 100), 0.8), hit(person(100, 100, 100), 0.7)]
    table = sized(make_table(truth, n_images=100))
    for name in ("miss_rate_caltech", "miss_rate_citypersons", "miss_rate_crowdhuman"):
        assert METRICS[name](Case(table, make_found(found))).values["all"] == pytest.approx(1e-10), name
    # EuroCity asks for IoU unless it is a group; two alarms in 100 images pass .01 (recall 0 there) and .0178
    rest = math.exp((2 * math.log(1) + 7 * math.log(1e-10)) / NINE)
    assert METRICS["miss_rate_eurocity"](Case(table, make_found(found))).values["all"] == pytest.approx(rest)
    group = sized(make_table([truth[0], (*truth[1][:6], "ic")], n_images=100))
    assert METRICS["miss_rate_eurocity"](Case(group, make_found(found))).values["all"] == pytest.approx(1e-10)


def test_miss_rate__an_object_out_of_bounds_excuses(make_table, make_found):
    table = sized(make_table([person(100, 100, 100), person(300, 100, 45)], n_images=100))
    found = make_found([hit(person(300, 100, 45), 0.9), hit(person(100, 100, 100), 0.8)])
    assert METRICS["miss_rate_citypersons"](Case(table, found)).values["reasonable"] == pytest.approx(1e-10)


@pytest.mark.parametrize(
    ("name", "height", "counts"),
    [
        ("miss_rate_citypersons", 40.0, True),
        ("miss_rate_citypersons", 39.9, False),
        ("miss_rate_eurocity", 32.0, False),
        ("miss_rate_eurocity", 32.1, True),
    ],
)
def test_miss_rate__detections_far_below_the_least_height_are_left_out(name, height, counts, make_table, make_found):
    table = sized(make_table([person(100, 100, 100)], n_images=10))
    found = make_found([hit(person(300, 100, height), 0.9), hit(person(100, 100, 100), 0.8)])
    missed = math.exp((4 * math.log(1) + 5 * math.log(1e-10)) / NINE)  # .1 alarms in an image are too many for four
    assert METRICS[name](Case(table, found)).values["reasonable"] == pytest.approx(missed if counts else 1e-10)


def test_citypersons__the_quirk_reads_the_end_of_the_curve(make_table, make_found):
    table = sized(make_table([person(100, 100, 100), person(200, 100, 100)], n_images=10))
    found = make_found([(1, 1, *FAR, 0.9), hit(person(100, 100, 100), 0.8)])
    case = Case(table, found)
    plain = miss_rate(case, "m", CITYPERSONS)
    flattered = miss_rate(case, "m", CITYPERSONS, quirk=True)
    assert plain.values["reasonable"] == pytest.approx(0.5 ** (5 / NINE))
    assert flattered.values["reasonable"] == pytest.approx(0.5)
    assert (plain.bounds["read_at"], flattered.bounds["read_at"]) == ("last_up_to", "last_up_to_wrapping")


def test_eurocity__riders_may_be_found_for_pedestrians(make_table, make_found):
    table = sized(make_table([person(100, 100, 100), (1, 2, *person(300, 100, 100)[2:])], n_classes=2, n_images=10))
    named = AnnotationTable(
        table.images, table.boxes, table.categories.with_columns(pl.Series("name", ["pedestrian", "rider"]))
    )
    found = make_found([hit(person(300, 100, 100), 0.9), hit(person(100, 100, 100), 0.8)])
    values = METRICS["miss_rate_eurocity"](Case(named, found)).values
    assert values["reasonable/pedestrian"] == pytest.approx(1e-10)
    assert values["reasonable/rider"] == 1.0
    alone = METRICS["miss_rate_eurocity"](Case(table, found)).values["reasonable/class1"]  # other names: an alarm
    assert alone == pytest.approx(math.exp(5 * math.log(1e-10) / NINE))


def test_citypersons__only_pedestrians_are_scored_and_others_excuse(make_table, make_found):
    rider, group = (1, 2, *person(300, 100, 100)[2:]), (1, 3, 400, 50, 600, 250, "ic")
    table = make_table([person(100, 100, 100), rider, group], n_classes=3, n_images=100)
    names = pl.Series("name", ["pedestrian", "rider", "person group"])
    named = AnnotationTable(table.images, table.boxes, table.categories.with_columns(names))
    rows = [hit(person(300, 100, 100), 0.9), hit(person(450, 100, 100), 0.9), hit(person(100, 100, 100), 0.8)]
    result = METRICS["miss_rate_citypersons"](Case(named, make_found(rows)))
    assert result.values["reasonable"] == pytest.approx(1e-10)
    assert "reasonable/rider" not in result.values
    assert result.bounds["classes"] == ["pedestrian"]


def test_nightowls__an_occluded_person_is_heavy(make_table):
    table = make_table([person(100, 100, 100)], extra={"occluded": [0.1]})
    values = METRICS["miss_rate_nightowls"](Case(table, Detections.empty())).values
    assert (values["reasonable"], values["reasonable_heavy"]) == (None, 1.0)


def test_crowdhuman__boxes_are_cut_at_the_image_and_half_is_not_enough(make_table, make_found):
    table = sized(make_table([(1, 1, -100, 0, 100, 100)], n_images=100))
    assert METRICS["miss_rate_crowdhuman"](Case(table, make_found([(1, 1, 0, 0, 100, 100, 0.9)]))).values[
        "all"
    ] == pytest.approx(1e-10)
    assert METRICS["miss_rate_crowdhuman"](Case(table, make_found([(1, 1, 0, 0, 50, 100, 0.9)]))).values["all"] == 1.0


def test_bounds__are_told_and_both_heavies_differ():
    subsets = {name: {c: str(s) for c, s in b.items()} for name, b in CITYPERSONS.subsets.items()}
    assert subsets["reasonable_heavy"]["visible"] == "[0.2, 0.65]"
    assert subsets["heavy"]["visible"] == "[0, 0.65]"
    assert str(Span(50, 80, below=True)) == "[50, 80)"
    assert str(Span()) == "(-inf, inf)"


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_miss_rate__equals_plain_loops(name, detailed):
    compared = 0
    for seed in range(30):
        table, found = detailed(seed, names=("pedestrian", "rider"))
        protocol = PROTOCOLS[name]
        values = METRICS[name](Case(table, found)).values
        for subset, bounds in protocol.subsets.items():
            for category_id, class_name in table.categories.select("category_id", "name").iter_rows():
                if f"{subset}/{class_name}" not in values:
                    assert class_name == "rider" or not class_name.startswith("pedestrian")
                    continue
                expected = naive.miss_rate(table, found, protocol, bounds, category_id)
                value = values[f"{subset}/{class_name}"]
                assert (value is None) == (expected is None), (seed, subset)
                assert value is None or value == pytest.approx(expected, rel=1e-9), (seed, subset)
                compared += value is not None
    assert compared > 50
