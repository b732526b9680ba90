"""The miss rate of Caltech and INRIA: every setting, on cases worked out by hand."""

import pytest
from persons import FLOOR, NINE, person, sized, tp

from detect_transfer.core.annotations import Detections
from detect_transfer.evaluation import METRICS, Case


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


def test_caltech__only_the_height_of_boxes_counts(make_table, make_detections):
    # twice as wide as the object, IoU .5 at most with its real width; with .41 of the height both are one box
    table = sized(make_table([person(100, 100, 100)], n_images=100))
    detections = make_detections([(1, 1, 79.5, 100, 161.5, 200, 0.9)])
    assert METRICS["miss_rate_caltech"](Case(table, detections)).values["reasonable"] == pytest.approx(1e-10)


@pytest.mark.parametrize(
    ("lower", "n_tp"),
    [
        pytest.param(14, {25, 50, 75}, id="86-of-114"),
        pytest.param(15, {25, 50}, id="85-of-115"),
        pytest.param(34, {25}, id="66-of-134"),
        pytest.param(60, {25}, id="just-a-quarter"),
        pytest.param(61, set(), id="39-of-161"),
    ],
)
def test_caltech__overlap_settings(lower, n_tp, make_table, make_detections):
    # a box of 100 px that lies lower by so much overlaps by (100 - lower) / (100 + lower)
    table = sized(make_table([person(100, 100, 100)], n_images=100))
    detections = make_detections([tp(person(100, 100 + lower, 100), 0.9)])
    values = METRICS["miss_rate_caltech"](Case(table, detections)).values
    got = {percent for percent in (25, 50, 75) if values[f"overlap_{percent}"] == pytest.approx(FLOOR)}
    assert got == n_tp
    assert values["overlap_50"] == values["reasonable"]


@pytest.mark.parametrize(("share", "excused_at"), [(0.8, {25, 50, 75}), (0.6, {25, 50}), (0.3, {25}), (0.2, set())])
def test_caltech__overlap_settings_excuse_by_the_same_share(share, excused_at, make_table, make_detections):
    # the region covers so much of the height of the first detection
    region = (1, None, 250, 0, 400, 100 + 100 * share, "i")
    table = sized(make_table([person(100, 100, 100), region], n_images=10))
    detections = make_detections([tp(person(300, 100, 100), 0.9), tp(person(100, 100, 100), 0.8)])
    values = METRICS["miss_rate_caltech"](Case(table, detections)).values
    assert {p for p in (25, 50, 75) if values[f"overlap_{p}"] == pytest.approx(FLOOR)} == excused_at


@pytest.mark.parametrize(
    ("height", "counts_in"),
    [(50, {100, 125, 150}), (49, {125, 150}), (40, {125, 150}), (39, {150}), (34, {150}), (33, set())],
)
def test_caltech__expand_settings(height, counts_in, make_table, make_detections):
    # an fp lower than 50 px / 1.00, 1.25 or 1.50 does not take part
    table = sized(make_table([person(100, 100, 100)], n_images=10))
    detections = make_detections([tp(person(300, 100, height), 0.9), tp(person(100, 100, 100), 0.8)])
    values = METRICS["miss_rate_caltech"](Case(table, detections)).values
    assert {p for p in (100, 125, 150) if values[f"expand_{p}"] != pytest.approx(FLOOR)} == counts_in
    assert values["expand_125"] == values["reasonable"]


def test_caltech__mr4_reads_nine_points_from_a_ten_thousandth(make_table, make_detections):
    # one fp before the only person in 100 images: .01 is too many for .0001, .0003, .001 and .003, enough for MR^-2
    table = sized(make_table([person(100, 100, 100)], n_images=100))
    detections = make_detections([tp(person(300, 100, 100), 0.9), tp(person(100, 100, 100), 0.8)])
    result = METRICS["miss_rate_caltech"](Case(table, detections))
    assert result.values["reasonable"] == pytest.approx(FLOOR)
    assert result.values["reasonable_mr4"] == pytest.approx(FLOOR ** (5 / NINE))
    assert [round(fppi, 4) for fppi in result.bounds["variants"]["reasonable_mr4"]["fppi"]] == [
        *(0.0001, 0.0003, 0.001, 0.0032, 0.01, 0.0316, 0.1, 0.3162, 1.0)
    ]


def test_inria__an_object_at_the_border_is_scored(make_table):
    table = sized(make_table([person(0, 100, 60)]))
    inria, caltech = (METRICS[f"miss_rate_{name}"](Case(table, Detections.empty())) for name in ("inria", "caltech"))
    for subset in ("reasonable", "overlap_25", "expand_100"):
        assert (inria.values[subset], caltech.values[subset]) == (1.0, None)
    assert (inria.bounds["margin"], caltech.bounds["margin"]) == (None, 5)


def test_caltech__a_published_visible_share_counts_where_there_is_no_visible_box(make_table, make_detections):
    """Reasonable: the whole person and the one of .8, of whom one is found. Heavy: three persons, two found."""
    persons = [person(100 + 80 * i, 100, 100) for i in range(5)]
    ratios = [1.0, 0.8, 0.5, 0.3, 0.25]
    detections = make_detections([tp(persons[i], score) for i, score in ((0, 0.9), (2, 0.8), (4, 0.7))])
    table = sized(make_table(persons, n_images=100, extra={"vis_ratio": ratios}))
    values = METRICS["miss_rate_caltech"](Case(table, detections)).values
    assert values["reasonable"] == pytest.approx(1 / 2)
    assert values["occlusion_heavy"] == pytest.approx(1 / 3)
    assert values["occlusion_partial"] == pytest.approx(1.0)
    seen = {c: [box[i] for box in persons] for i, c in ((2, "vis_x1"), (3, "vis_y1"), (4, "vis_x2"), (5, "vis_y2"))}
    by_box = sized(make_table(persons, n_images=100, extra={"vis_ratio": ratios, **seen}))
    assert METRICS["miss_rate_caltech"](Case(by_box, detections)).values["occlusion_heavy"] is None
