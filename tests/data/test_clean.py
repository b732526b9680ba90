"""Cleaning: each rule by hand, each event in the ledger."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.ledger import Ledger
from detect_transfer.data.clean import clean
from detect_transfer.data.published import as_published


def one_image(boxes, *, size=(100, 50), **columns):
    n = len(boxes)
    corners = dict(zip(("x1", "y1", "x2", "y2"), map(list, zip(*boxes, strict=True)), strict=True))
    return AnnotationTable.from_columns(
        images={"image_id": [7], "file_name": ["a.jpg"], "width": [size[0]], "height": [size[1]]},
        boxes={
            "annotation_id": list(range(1, n + 1)),
            "image_id": [7] * n,
            "category_id": [1] * n,
            "source": [f"a.txt:{i}" for i in range(1, n + 1)],
            **{name: [float(v) for v in values] for name, values in corners.items()},
            **columns,
        },
        categories={"category_id": [1, 2], "name": ["sign", "light"]},
    )


def corners(table):
    return table.boxes.select("x1", "y1", "x2", "y2").rows()


def lines(ledger):
    return {(line.action, line.reason): line.count for line in ledger.steps[-1].lines}


@pytest.mark.parametrize(
    ("box", "expected", "reason"),
    [
        pytest.param((10, 10, 20, 20), (10, 10, 20, 20), None, id="inside"),
        pytest.param((0, 0, 100, 50), (0, 0, 100, 50), None, id="whole-image-touches-every-edge"),
        pytest.param((99, 49, 100, 50), (99, 49, 100, 50), None, id="last-pixel"),
        pytest.param((10, 10, 101, 20), (10, 10, 100, 20), ("changed", "clipped by <= 1 px"), id="one-pixel-over"),
        pytest.param((-0.25, 10, 20, 20), (0, 10, 20, 20), ("changed", "clipped by <= 1 px"), id="a-quarter-over"),
        pytest.param((10, -5, 20, 20), (10, 0, 20, 20), ("changed", "clipped by > 1 px"), id="five-over"),
        pytest.param((10, 10, 10, 20), None, ("dropped", "no width or no height as annotated"), id="no-width"),
        pytest.param((100, 10, 120, 20), None, ("dropped", "outside the image"), id="touches-from-outside"),
        pytest.param((-9, -9, -1, -1), None, ("dropped", "outside the image"), id="far-outside"),
    ],
)
def test_clean__one_box(box, expected, reason):
    ledger = Ledger()
    found = clean(one_image([box]), ledger)
    assert corners(found) == ([] if expected is None else [expected])
    assert lines(ledger) == ({} if reason is None else {reason: 1})
    assert [i for line in ledger.steps[-1].lines for i in line.examples] == ([] if reason is None else ["a.txt:1"])


@pytest.mark.parametrize(
    ("min_size", "kept"),
    [
        pytest.param(0, 3, id="off"),
        pytest.param(2, 3, id="exactly-two-stays"),
        pytest.param(2.5, 2, id="above-two"),
        pytest.param(5, 1, id="clipped-to-four-goes"),
    ],
)
def test_clean__min_size_is_the_shorter_side_after_clipping(min_size, kept):
    ledger = Ledger()
    found = clean(one_image([(0, 0, 2, 30), (96, 0, 110, 30), (50, 10, 60, 20)]), ledger, min_size=min_size)
    assert len(found.boxes) == kept
    dropped = lines(ledger).get(("dropped", f"a side below {min_size:g} px"), 0)
    assert dropped == 3 - kept


def test_clean__no_clipping_where_the_size_is_unknown():
    found = clean(one_image([(-5, 0, 200, 300)], size=(None, None)), Ledger())
    assert corners(found) == [(-5, 0, 200, 300)]


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        pytest.param({}, 1, id="same-row-twice"),
        pytest.param({"category_id": [1, 2]}, 2, id="same-box-two-classes"),
        pytest.param({"ignore": [False, True]}, 2, id="one-is-a-region"),
        pytest.param({"x2": [30.0, 30.5]}, 2, id="half-a-pixel-apart"),
    ],
)
def test_clean__duplicates(change, kept):
    ledger = Ledger()
    found = clean(one_image([(10, 10, 30, 30)] * 2, **change), ledger)
    assert len(found.boxes) == kept
    assert found.boxes["annotation_id"][0] == 1, "the first one stays"
    assert lines(ledger).get(("dropped", "exact duplicate of a row before it"), 0) == 2 - kept


@pytest.mark.parametrize(
    ("box", "attributes", "expected"),
    [
        pytest.param((90, 0, 110, 10), None, {"raw_box": [90, 0, 110, 10]}, id="half-goes"),
        pytest.param((90, 0, 110, 10), '{"a": "}"}', {"a": "}", "raw_box": [90, 0, 110, 10]}, id="beside-others"),
        pytest.param((90, 0, 110, 10), "{}", {"raw_box": [90, 0, 110, 10]}, id="empty-object"),
        pytest.param((90, 0, 110, 10), '{"raw_box":[1]}', {"raw_box": [1]}, id="known-already"),
        pytest.param((0.5, 0, 100.5, 10), None, {"raw_box": [0.5, 0, 100.5, 10]}, id="half-a-percent"),
        pytest.param((0, 0, 10, 10), '{"a":1}', {"a": 1}, id="not-clipped"),
    ],
)
def test_clean__raw_box_is_kept_where_it_was_clipped(box, attributes, expected):
    found = clean(one_image([box], attributes=[attributes]), Ledger()).boxes["attributes"][0]
    assert (None if found is None else json.loads(found)) == expected


def test_clean__area_and_visible_box_follow_the_clipping():
    table = one_image([(90, 0, 110, 10)], vis_x1=[95.0], vis_y1=[0.0], vis_x2=[110.0], vis_y2=[5.0], area=[150.0])
    row = clean(table, Ledger()).boxes.row(0, named=True)
    assert (row["area"], row["vis_x2"]) == (100.0, 100.0)
    untouched = one_image([(0, 0, 10, 10)], area=[60.0], vis_x1=[None], vis_x2=[3.0])
    row = clean(untouched, Ledger()).boxes.row(0, named=True)
    assert (row["area"], row["vis_x1"], row["vis_x2"]) == (60.0, None, 3.0)


@pytest.mark.parametrize("attributes", [None, "{}", '{"a":"}"}', '{"a":{"b":[1,2]}}'])
def test_as_published__restores_what_was_clipped(attributes):
    raw = one_image(
        [(-10.5, 0, 50, 10), (0, 0, 10, 10), (60, -3, 130, 60)],
        vis_x1=[-10.5, None, 60.0],
        vis_y1=[-0.0, None, 1.0],
        vis_x2=[40.0, None, 90.0],
        vis_y2=[5.0, None, 40.0],
        area=[605.0, 100.0, 4000.25],
        attributes=[attributes] * 3,
    )
    back = as_published(clean(clean(raw, Ledger()), Ledger()))
    expected = [None if text == "{}" and i != 1 else text for i, text in enumerate([attributes] * 3)]
    assert back.boxes["attributes"].to_list() == expected
    assert back.boxes.drop("attributes").equals(raw.boxes.drop("attributes"))
    assert as_published(raw) is raw


def test_clean__boxes_that_differ_outside_the_image_are_no_duplicates():
    raw = one_image([(90, 0, 110, 10), (90, 0, 120, 10), (90, 0, 120, 10)])
    ledger = Ledger()
    once = clean(raw, ledger)
    assert corners(once) == [(90, 0, 100, 10)] * 2
    assert corners(as_published(once)) == corners(raw)
    assert clean(once, Ledger()).boxes.equals(once.boxes)


coordinate = st.sampled_from([-60.0, -1.0, -0.5, 0.0, 0.3, 10.0, 49.0, 50.0, 51.0, 99.5, 100.0, 100.7, 160.0])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(coordinate, coordinate, coordinate, coordinate), min_size=1, max_size=8))
def test_clean__is_idempotent_inside_and_balanced(raw):
    boxes = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in raw]
    once = clean(one_image(boxes), Ledger())
    ledger = Ledger()
    twice = clean(once, ledger)
    assert twice.boxes.equals(once.boxes)
    assert lines(ledger) == {}
    for x1, y1, x2, y2 in corners(once):
        assert 0 <= x1 < x2 <= 100
        assert 0 <= y1 < y2 <= 50
