"""The round trip through COCO and YOLO: what comes back, what is named as not carried, and that a loss is seen."""

import json
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from strategies import tables

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import read_size_wh
from detect_transfer.data import round_trip as roundtrip
from detect_transfer.data.round_trip import png_header, round_trip


def make(**boxes):
    """Two images with three boxes, the last of them a region without a class."""
    return AnnotationTable.from_columns(
        images={
            "image_id": [3, 4],
            "file_name": ["a.png", "b.png"],
            "width": [40, 30],
            "height": [30, 20],
            "split": ["train", "val"],
        },
        boxes={
            "annotation_id": [1, 2, 3],
            "image_id": [3, 3, 4],
            "category_id": [1, 2, None],
            **{"x1": [1.5, 0.0, 3.0], "y1": [2.0, 0.0, 3.0], "x2": [10.0, 40.0, 9.0], "y2": [9.0, 30.0, 9.0]},
            "ignore": [False, False, True],
            "ignore_reason": [None, None, "far"],
            "occluded": [0.5, None, None],
            "attributes": ['{"b": 1, "a": [2]}', None, None],
            "source": ["s:1", "s:2", "s:3"],
            **boxes,
        },
        categories={"category_id": [1, 2], "name": ["person", "sign"]},
    )


def test_round_trip__tells_every_field():
    trip = round_trip(make())
    assert trip.ok
    coco, yolo = trip.legs
    assert {f.field: (f.equal, f.differing) for f in coco.fields if f.field.startswith("box ")} == {
        f"box {name}": (3, 0)
        for name in (
            *("rows", "xyxy", "visible box", "annotation_id", "category_id", "iscrowd", "ignore", "ignore_reason"),
            *("occluded", "truncated", "difficult", "vis_ratio", "track_id", "attributes", "source", "class"),
        )
    }
    assert {f.field: f.equal for f in yolo.fields} == {
        **{"image rows": 2, "image width": 2, "image height": 2, "image split": 2},
        **{"box rows": 2, "box xyxy": 2, "box class": 2, "class rows": 2},
    }
    assert {(n.field, n.rows) for n in yolo.not_carried} == {
        *(("ignored and crowd regions", 1), ("occluded", 1), ("attributes", 1)),
    }
    assert json.loads(json.dumps(trip.as_dict()))["ok"] is True


def test_round_trip__says_that_ids_below_1_are_numbered_anew():
    trip = round_trip(make(annotation_id=[0, 1, 2]))
    assert trip.ok
    assert trip.legs[0].not_carried[0].field == "annotation_id"


def test_round_trip__says_that_a_reason_was_made_up():
    trip = round_trip(make(ignore_reason=[None, None, None]))
    assert trip.ok
    assert [(n.field, n.rows) for n in trip.legs[0].not_carried] == [("ignore_reason", 1)]


def test_round_trip__takes_splits_that_yolo_has_no_name_for():
    table = make()
    images = table.images.with_columns(pl.Series("split", ["trainval", None]))
    trip = round_trip(replace(table, images=images))
    assert trip.ok
    assert ("image split", 1) in {(n.field, n.rows) for n in trip.legs[1].not_carried}


def test_round_trip__tells_what_cleaning_took_and_what_has_no_size():
    table = make(x2=[60.0, 40.0, 9.0])
    images = table.images.with_columns(
        pl.Series("width", [40, None], dtype=pl.Int32), pl.Series("height", [30, None], dtype=pl.Int32)
    )
    trip = round_trip(replace(table, images=images))
    assert trip.ok
    assert {(n.field, n.rows) for n in trip.legs[1].not_carried} >= {("images", 1), ("boxes, changed", 1)}


def shifted(table):
    """Move one box by a little more than the tolerance of YOLO."""
    return table.with_boxes(table.boxes.with_columns(pl.col("x1", "x2") + 0.02))


SPOILT = [
    pytest.param(shifted, "box xyxy", "s:1: 1.5, 2.0, 10.0, 9.0, then 1.52", id="shifted"),
    pytest.param(lambda t: t.with_boxes(t.boxes.head(1)), "box rows", "s:2: lost", id="lost"),
    pytest.param(
        lambda t: replace(t, categories=t.categories.with_columns(pl.col("name").str.replace("sign", "pole"))),
        "box class",
        "s:2: sign, then pole",
        id="another-class",
    ),
    pytest.param(
        lambda t: replace(t, images=t.images.with_columns(width=pl.col("width") + 1)),
        "image width",
        "a.png: 40, then 41",
        id="another-size",
    ),
    pytest.param(
        lambda t: t.with_boxes(
            pl.concat([t.boxes, t.boxes.head(1).with_columns(annotation_id=pl.lit(99, dtype=pl.Int64))])
        ),
        "box rows",
        "a.png: added",
        id="added",
    ),
]


@pytest.mark.parametrize(("spoil", "field", "example_start"), SPOILT)
def test_round_trip__sees_what_a_reader_would_lose(monkeypatch, spoil, field, example_start):
    read = roundtrip.read_coco
    monkeypatch.setattr(roundtrip, "read_coco", lambda path: spoil(read(path)))
    trip = round_trip(make())
    assert not trip.ok
    differing = {f.field: f.examples for f in trip.legs[0].fields if f.differing}
    assert any(example.startswith(example_start) for example in differing[field])
    with pytest.raises(InputError, match="ROUND_TRIP"):
        trip.raise_differences()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(table=tables())
def test_round_trip__of_any_table(table):
    trip = round_trip(table)
    assert trip.ok, [f for leg in trip.legs for f in leg.fields if f.differing]


def test_png_header__tells_a_size(tmp_path):
    (tmp_path / "a.png").write_bytes(png_header(1234, 5))
    assert read_size_wh(tmp_path / "a.png") == (1234, 5)


def test_round_trip__what_a_format_says_of_a_class_comes_back():
    table = make()
    numbers = pl.Series("native_category_id", [7, None][: len(table.categories)] + [9] * (len(table.categories) - 2))
    table = replace(table, categories=table.categories.with_columns(numbers))
    trip = round_trip(table)
    assert trip.ok
    assert "class native_category_id" in {field.field for field in trip.legs[0].fields}
