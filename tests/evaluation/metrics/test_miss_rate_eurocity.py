"""The miss rate of EuroCity Persons: what is an object, what excuses and what does neither."""

import json
import math

import pytest
from persons import FLOOR, NINE, called, of_class, person, sized, tp

from detect_transfer.core.annotations import Detections
from detect_transfer.evaluation import METRICS, Case
from detect_transfer.formats.pedestrians import eurocity


def test_eurocity__riders_found_for_pedestrians_are_alarms_unless_others_are_ignored(make_table, make_detections):
    rider = of_class(person(300, 100, 100), 2)
    table = sized(make_table([person(100, 100, 100), rider], n_classes=2, n_images=10))
    detections = make_detections([tp(person(300, 100, 100), 0.9), tp(person(100, 100, 100), 0.8)])
    values = METRICS["miss_rate_eurocity"](Case(called(table, "pedestrian", "rider"), detections)).values
    assert values["reasonable_others_ignored/pedestrian"] == pytest.approx(FLOOR)
    # .1 fp in an image are too many for four of the nine points
    assert values["reasonable/pedestrian"] == pytest.approx(math.exp(5 * math.log(FLOOR) / NINE))
    assert values["reasonable/rider"] == values["reasonable_others_ignored/rider"] == 1.0


@pytest.mark.parametrize(
    ("name", "flags", "reason", "is_fp"),
    [
        pytest.param("person-group-far-away", "ic", "group", False, id="group"),
        pytest.param("person-group-far-away", "ic", "depiction", True, id="group-that-is-a-depiction"),
        pytest.param("person-group-far-away", "ic", "behind-glass", False, id="group-behind-glass"),
        pytest.param("pedestrian", "i", "sitting-lying", False, id="who-sits"),
        pytest.param("bicycle", "", None, True, id="another-class"),
        pytest.param("bicycle-group", "ic", "group", True, id="group-of-another-class"),
    ],
)
def test_eurocity__what_is_discarded_excuses_nothing(name, flags, reason, is_fp, make_table, make_detections):
    # as large as the detection, so that IoU and share of the detection are both 1
    other = (*of_class(person(300, 100, 100), 1 if name == "pedestrian" else 2)[:6], flags)
    boxes = [person(100, 100, 100), other]
    table = sized(make_table(boxes, n_classes=2, n_images=10, extra={"ignore_reason": [None, reason]}))
    table = called(table, "pedestrian", "other" if name == "pedestrian" else name)
    detections = make_detections([tp(person(300, 100, 100), 0.9), tp(person(100, 100, 100), 0.8)])
    values = METRICS["miss_rate_eurocity"](Case(table, detections)).values
    expected = math.exp(5 * math.log(FLOOR) / NINE) if is_fp else FLOOR
    assert values["reasonable/pedestrian"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "reason", "is_object"),
    [
        ("pedestrian", "depiction", True),
        ("pedestrian", "behind-glass", False),
        ("rider", "behind-glass", True),
        ("rider", "sitting-lying", True),
        ("rider", "another reason", False),
    ],
)
def test_eurocity__tags_that_the_benchmark_does_not_look_at_make_no_difference(name, reason, is_object, make_table):
    box = (*person(100, 100, 100)[:6], "i")
    table = called(sized(make_table([box], extra={"ignore_reason": [reason]})), name)
    result = METRICS["miss_rate_eurocity"](Case(table, Detections.empty()))
    assert result.values["reasonable"] == (1.0 if is_object else None)
    assert result.bounds["discarded"] == {"person-group-far-away": ["depiction"]}


def test_eurocity__groups_of_the_native_files(tmp_path, make_detections):
    def child(identity, x, *tags):
        return {"identity": identity, "x0": x, "y0": 100, "x1": x + 41, "y1": 200, "tags": list(tags), "children": []}

    frame = {"identity": "frame", "imagewidth": 1920, "imageheight": 1024, "tags": []}
    frame["children"] = [
        child("pedestrian", 100, "occluded>10"),
        child("person-group-far-away", 300),
        child("person-group-far-away", 500, "occluded>10", "depiction"),
        child("pedestrian", 700, "behind-glass"),
        child("rider", 900),
    ]
    folder = tmp_path / "day" / "labels" / "val" / "lyon"
    folder.mkdir(parents=True)
    (folder / "lyon_00001.json").write_text(json.dumps(frame))
    table = eurocity.read(tmp_path, missing_images="keep")
    image, category = table.images["image_id"][0], table.boxes["category_id"][0]

    def fppi(subset, x):
        rows = [(image, category, x, 100, x + 41, 200, 0.9), (image, category, 100, 100, 141, 200, 0.8)]
        detections = make_detections(rows)
        curve = METRICS["miss_rate_eurocity"](Case(table, detections)).curves[f"{subset}/pedestrian"]
        return curve["fppi"][-1]

    assert [x for x in (300, 500, 700, 900) if fppi("reasonable", x)] == [500, 900]
    assert [x for x in (300, 500, 700, 900) if fppi("reasonable_others_ignored", x)] == [500]
