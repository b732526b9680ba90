"""`slices`: by hand, against pycocotools where that can say it, and what is too few to tell."""

from dataclasses import replace

import polars as pl
import pytest

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.errors import InputError
from detect_transfer.evaluation import METRICS, Case, slice_rows
from detect_transfer.evaluation.attributes import Span
from detect_transfer.evaluation.metrics.slices import Slice, all_slices, by_height, choose_slices, score_slice


def score(case, part):
    return score_slice(case, part, min_positives=1)


def table_area(rows):
    return ((rows["x2"] - rows["x1"]) * (rows["y2"] - rows["y1"])).to_numpy()


def test_slices__areas_equal_pycocotools(generated, pycocotools):
    compared = 0
    for seed in range(60):
        table, detections = generated(seed)
        expected, _ = pycocotools(table, detections, as_region=True)
        case = Case(table, detections)
        spans = {3: Span(0, 32**2), 4: Span(32**2, 96**2), 5: Span(96**2, 1e10), 0: Span(0, 1e10)}
        for index, span in spans.items():
            area = table_area(detections.rows)
            part = replace(next(all_slices(case)), objects=span.holds(case.gt.area), out_of_range=~span.holds(area))
            row = score(case, part)
            assert (row.ap is None) == (expected[index] is None), seed
            assert row.ap is None or row.ap == pytest.approx(expected[index], abs=1e-9), seed
            compared += row.ap is not None
    assert compared > 100


def test_slices__all_equals_coco(generated):
    for seed in range(40):
        table, detections = generated(seed)
        case = Case(table, detections)
        whole = score(case, next(all_slices(case)))
        values = METRICS["coco"](case).values
        assert (whole.ap is None) == (values["AP"] is None)
        if whole.ap is not None:
            assert (whole.ap, whole.ap50) == pytest.approx((values["AP"], values["AP50"]), abs=1e-12)


# two near and two far objects; of each two the first is found, with a false positive of each size
NEAR, FAR = [(1, 1, 0, 0, 50, 60), (1, 1, 100, 0, 150, 60)], [(1, 1, 200, 0, 220, 30), (1, 1, 300, 0, 320, 30)]
FOUND = [
    (*NEAR[0], 0.9),
    (*FAR[0], 0.8),
    (1, 1, 500, 0, 550, 60, 0.85),
    (1, 1, 600, 0, 620, 30, 0.5),
]


def test_by_height__detections_of_another_height_cost_nothing(make_table, make_detections):
    case = Case(make_table([*NEAR, *FAR]), make_detections(FOUND))
    tall = score(case, by_height(case, Span(50, 100, below=True)))
    # tp at .9, fp at .85 of 2: precision 1 up to recall 1/2, which are 51 of 101 points
    assert (tall.n_positives, tall.ap50, tall.recall) == (2, pytest.approx(51 / 101), 0.5)
    low = score(case, by_height(case, Span(20, 50, below=True)))
    assert low.ap50 == pytest.approx(51 / 101)  # the fp at .85 is tall, that at .5 comes after the tp


def test_slices__an_object_outside_excuses_one_detection(make_table, make_detections):
    # an occluded object found twice: in the slice of what is not hidden once excused, once an fp
    table = make_table([*NEAR], extra={"occluded": [0.0, 0.5]})
    once = [(*NEAR[1], 0.9), (*NEAR[0], 0.5)]
    case = Case(table, make_detections(once))
    seen = next(s for s in all_slices(case) if s.name == "occluded [0, 0]")
    assert score(case, seen).ap50 == pytest.approx(1.0)
    case = Case(table, make_detections([*once, (*NEAR[1], 0.8)]))
    assert score(case, seen_of(case)).ap50 == pytest.approx(1 / 2)


def seen_of(case):
    return next(s for s in all_slices(case) if s.name == "occluded [0, 0]")


def test_slices__names_and_positives(make_table, make_detections):
    table = make_table([*NEAR, *FAR], n_classes=2, n_images=2, extra={"occluded": [0.0, 0.3, 0.5, None]})
    images = table.images.with_columns(weather=pl.Series(["rain", "clear"]), camera=pl.lit("a"))
    groups = table.categories.with_columns(supercategory=pl.Series(["near", "other"]))
    case = Case(AnnotationTable(images, table.boxes, groups), make_detections(FOUND))
    result = METRICS["slices"](case)
    positives = {k.removeprefix("n_positives/"): v for k, v in result.values.items() if k.startswith("n_positives")}
    assert positives == {
        "all": 4,
        "height [0, 20)": 0,
        "height [20, 50)": 2,
        "height [50, 100)": 2,
        "height [100, inf)": 0,
        "visible [0, 0.2)": 0,
        "visible [0.2, 0.65)": 1,
        "visible [0.65, 1]": 2,
        "occluded [0, 0]": 1,
        "occluded (0, 0.4)": 1,
        "occluded [0.4, 0.8)": 1,
        "occluded [0.8, 1]": 0,
        "group near": 4,
        "group other": 0,
        "weather clear": 0,
        "weather rain": 4,
    }
    assert result.reasons["AP/all"] == "4 objects in it, fewer than 10"
    assert slice_rows(result)[0] == {
        "slice": "all",
        "n_positives": 4.0,
        "AP": None,
        "AP50": None,
        "recall": None,
        "reason": "4 objects in it, fewer than 10",
    }


def test_slices__an_image_value_leaves_out_the_detections_of_other_images(make_table, make_detections):
    table = make_table([NEAR[0], (2, *NEAR[0][1:])], n_images=2)
    images = table.images.with_columns(rain=pl.Series([True, False]))
    detections = make_detections([(2, 1, 500, 0, 550, 60, 0.9), (*NEAR[0], 0.5)])
    case = Case(AnnotationTable(images, table.boxes, table.categories), detections)
    rows = {s.name: score(case, s) for s in all_slices(case)}
    assert rows["rain true"].ap == pytest.approx(1.0)
    assert rows["rain false"].ap == 0.0


ATTRIBUTES = [
    '{"colour":"dark red","pose":["front","left"],"id":17,"lit":true,"angle":0.5}',
    '{"colour":"blue","pose":[],"lit":true,"raw_box":[1,2]}',
    None,
    '{"pose":["left"],"lit":true,"colour":""}',
]


def test_slices__by_attributes_of_objects(make_table, make_detections):
    """Of the red one and the blue one the red is found; the others are found, excused, and no false positive."""
    table = make_table([*NEAR, *FAR], extra={"attributes": ATTRIBUTES})
    detections = make_detections([(*FAR[0], 0.95), (*FAR[1], 0.9), (*NEAR[0], 0.5), (1, 1, 500, 0, 550, 60, 0.4)])
    case = Case(table, detections)
    rows = {s.name: score(case, s) for s in all_slices(case) if s.name.startswith("attribute")}
    assert {name: (row.n_positives, row.ap) for name, row in rows.items()} == {
        "attribute colour blue": (1, 0.0),
        "attribute colour dark red": (1, pytest.approx(1.0)),
        "attribute pose front": (1, pytest.approx(1.0)),
        "attribute pose left": (2, pytest.approx(1.0)),
    }  # `lit` and `id` have one value, a fraction and a list of numbers are none


def test_slices__an_attribute_that_ignored_boxes_alone_have_tells_nothing(make_table):
    table = make_table([(*NEAR[0], ""), (*NEAR[1], "i")], extra={"attributes": ['{"on":"bike"}', '{"on":"horse"}']})
    assert not [s.name for s in all_slices(Case(table, Detections.empty())) if s.name.startswith("attribute")]


@pytest.mark.parametrize(("n_values", "n_slices"), [(12, 12), (13, 0)])
def test_slices__an_attribute_of_many_values_is_no_property(make_table, n_values, n_slices):
    boxes = [(1, 1, 20 * i, 0, 20 * i + 10, 60) for i in range(n_values)]
    table = make_table(boxes, extra={"attributes": [f'{{"track":{i}}}' for i in range(n_values)]})
    parts = [s for s in all_slices(Case(table, Detections.empty())) if s.name.startswith("attribute track ")]
    assert len(parts) == n_slices


@pytest.mark.parametrize(
    ("words", "names"),
    [
        pytest.param(["colour"], {"attribute colour blue", "attribute colour dark red"}, id="attribute"),
        pytest.param(["attribute colour dark red"], {"attribute colour dark red"}, id="one-value"),
        pytest.param(["time of day"], {"time of day early morning", "time of day noon"}, id="column-with-blanks"),
        pytest.param(
            ["time of day early morning", "pose front"], {"time of day early morning", "attribute pose front"}
        ),
    ],
)
def test_choose_slices__names_and_values_with_blanks(make_table, words, names):
    table = make_table([*NEAR, *FAR], n_images=2, extra={"attributes": ATTRIBUTES})
    images = table.images.with_columns(pl.Series("time of day", ["early morning", "noon"]))
    result = METRICS["slices"](Case(AnnotationTable(images, table.boxes, table.categories), Detections.empty()))
    chosen = choose_slices(result, words)
    assert {key.partition("/")[2] for key in chosen.values} == {"all", *names}
    assert set(chosen.reasons) == {key for key, value in chosen.values.items() if value is None}


def test_choose_slices__a_wrong_name_is_reported_with_the_nearest(make_table):
    result = METRICS["slices"](Case(make_table(NEAR, extra={"attributes": ATTRIBUTES[:2]}), Detections.empty()))
    with pytest.raises(InputError, match=r"SLICE_UNKNOWN slices=color - .*did you mean 'colour'"):
        choose_slices(result, ["color"])


def test_slices__enough_positives_are_scored(make_table):
    many = [(1, 1, 20 * i, 0, 20 * i + 10, 60) for i in range(10)]
    result = METRICS["slices"](Case(make_table(many), Detections.empty()))
    assert result.values["AP/height [50, 100)"] == 0.0
    assert result.reasons["AP/height [20, 50)"] == "no object in it, fewer than 10"
    nine = METRICS["slices"](Case(make_table(many[:9]), Detections.empty()))
    assert nine.values["AP/height [50, 100)"] is None


def test_slice__of_classes(make_table, make_detections):
    table = make_table([NEAR[0], (1, 2, *NEAR[1][2:])], n_classes=2)
    case = Case(table, make_detections([(*NEAR[0], 0.9)]))
    whole = next(all_slices(case))
    one = Slice("one", whole.objects, whole.images, (whole.classes * [True, False]).astype(bool), whole.out_of_range)
    assert (score(case, whole).ap, score(case, one).ap) == (pytest.approx(0.5), pytest.approx(1.0))
