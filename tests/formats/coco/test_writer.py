"""The COCO writer: keys by hand, every field there and back, accepted by pycocotools."""

import contextlib
import io
import json
import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InternalError
from detect_transfer.core.ledger import Ledger
from detect_transfer.formats.coco.reader import read as read_coco
from detect_transfer.formats.coco.writer import write_coco


def make(boxes, *, classes=((3, "b"), (1, "a")), **images):
    defaults = {"image_id": 1, "category_id": 1, "x1": 0.0, "y1": 0.0, "x2": 4.0, "y2": 2.0}
    rows = [{"annotation_id": i, **defaults, **box} for i, box in enumerate(boxes, start=1)]
    names = sorted({name for row in rows for name in row})
    return AnnotationTable.from_columns(
        images={"image_id": [1, 2], "file_name": ["a.jpg", "b.jpg"], "width": [9, 9], "height": [5, 5], **images},
        boxes={name: [row.get(name) if name not in FLAGS else row.get(name, False) for row in rows] for name in names},
        categories={"category_id": [i for i, _ in classes], "name": [n for _, n in classes]},
    )


FLAGS = ("iscrowd", "ignore", "difficult")


def written(table, tmp_path, ledger=None):
    write_coco(table, tmp_path / "instances.json", ledger=ledger)
    return json.loads((tmp_path / "instances.json").read_text())


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        pytest.param({}, {}, id="plain"),
        pytest.param({"iscrowd": True, "ignore": True}, {"iscrowd": 1, "ignore": 1}, id="crowd"),
        pytest.param(
            {"ignore": True, "ignore_reason": 'a "b"\n\\ \u00e9'},
            {"ignore": 1, "ignore_reason": 'a "b"\n\\ \u00e9'},
            id="ignored-with-a-reason-to-escape",
        ),
        pytest.param({"difficult": True}, {"difficult": 1}, id="difficult"),
        pytest.param({"occluded": 0.5, "truncated": 0.0}, {"occluded": 0.5, "truncated": 0.0}, id="zero-is-stated"),
        pytest.param(
            {"vis_x1": 1.0, "vis_y1": 0.5, "vis_x2": 3.0, "vis_y2": 2.0}, {"vis_bbox": [1, 0.5, 2, 1.5]}, id="visible"
        ),
        pytest.param({"track_id": "t1", "source": "f:3"}, {"track_id": "t1", "source": "f:3"}, id="track-and-source"),
        pytest.param({"attributes": '{"k":[1,{"n":null}]}'}, {"attributes": {"k": [1, {"n": None}]}}, id="attributes"),
        pytest.param({"area": 5.5}, {"area": 5.5}, id="mask-area-wins"),
        pytest.param({"x2": 0.0}, {"bbox": [0, 0, 0, 2], "area": 0}, id="no-area"),
        pytest.param(
            {"x1": 0.1, "x2": 0.1 + 0.2},
            {"bbox": [0.1, 0, 0.1 + 0.2 - 0.1, 2], "area": 2 * (0.1 + 0.2 - 0.1)},
            id="full",
        ),
    ],
)
def test_annotation__keys(box, expected, tmp_path):
    plain = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 2], "area": 8, "iscrowd": 0, "ignore": 0}
    assert written(make([box]), tmp_path)["annotations"] == [{**plain, **expected}]


def test_annotation__a_column_is_written_only_where_it_says_something(tmp_path):
    first, second = written(make([{"area": 3.0, "track_id": "t"}, {}]), tmp_path)["annotations"]
    assert (first["area"], first["track_id"]) == (3, "t")
    assert second["area"] == 8
    assert "track_id" not in second


def test_images_and_categories(tmp_path):
    table = make(
        [], split=["train", None], group=[None, "g"], weather=[None, "rain"], width=[9, None], height=[5, None]
    )
    found = written(table, tmp_path)
    assert found["images"] == [
        {"id": 1, "file_name": "a.jpg", "width": 9, "height": 5, "split": "train"},
        {"id": 2, "file_name": "b.jpg", "group": "g", "weather": "rain"},
    ]
    assert found["categories"] == [{"id": 1, "name": "a"}, {"id": 3, "name": "b"}]
    assert found["annotations"] == []


def test_ignored_for_every_class__is_written_once_a_class(tmp_path):
    boxes = [{"annotation_id": 5, "category_id": None, "ignore": True}, {"annotation_id": 9, "category_id": 3}]
    ledger = Ledger()
    found = written(make(boxes), tmp_path, ledger)["annotations"]
    keys = [(a["id"], a["category_id"], a["ignore"], a.get("all_classes")) for a in found]
    assert keys == [(5, 1, 1, 5), (9, 3, 0, None), (10, 3, 1, 5)]
    assert ledger.steps[0].boxes_out == 3
    assert [(line.action, line.count) for line in ledger.steps[0].lines] == [("added", 1)]


def test_ignored_for_every_class__without_classes_leaves_and_is_counted(tmp_path):
    ledger = Ledger()
    table = make([{"category_id": None, "ignore": True}], classes=())
    assert written(table, tmp_path, ledger)["annotations"] == []
    assert [(line.action, line.count) for line in ledger.steps[0].lines] == [("dropped", 1)]


@pytest.mark.parametrize("ids", [(7, 0, 3), (7, 2, -3)])
def test_ids__below_one_are_renumbered(ids, tmp_path):
    ledger = Ledger()
    boxes = [{"annotation_id": i, "x1": float(x)} for x, i in enumerate(ids)]
    found = written(make(boxes), tmp_path, ledger)["annotations"]
    assert [(a["id"], a["bbox"][0]) for a in found] == [(1, 0), (2, 1), (3, 2)]
    assert [(line.action, line.count) for line in ledger.steps[0].lines] == [("noted", 3)]


def test_ids__stay_where_they_can(tmp_path):
    found = written(make([{"annotation_id": 2**53 - 1}, {"annotation_id": 4}]), tmp_path)["annotations"]
    assert [a["id"] for a in found] == [2**53 - 1, 4]


@pytest.mark.parametrize("text", ["[1]", "{", "3"])
def test_attributes__must_be_an_object(text, tmp_path):
    with pytest.raises(InternalError, match="ATTRIBUTES_JSON"):
        written(make([{"attributes": text}]), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_pycocotools__opens_it(tmp_path):
    boxes = [{}, {"category_id": None, "ignore": True, "source": "x"}, {"image_id": 2, "iscrowd": True, "ignore": True}]
    write_coco(make(boxes), tmp_path / "i.json")
    with contextlib.redirect_stdout(io.StringIO()):
        found = COCO(tmp_path / "i.json")
    assert found.getImgIds() == [1, 2]
    assert found.getCatIds() == [1, 3]
    assert found.getAnnIds(imgIds=[1], catIds=[3]) == [4]
    assert found.getAnnIds(imgIds=[2], iscrowd=True) == [3]


text = st.text(st.characters(exclude_categories=("Cs",)), max_size=6)
side = st.floats(0, 5000, allow_nan=False)
share = st.none() | st.floats(0, 1)
json_object = st.dictionaries(text, st.none() | st.integers(-9, 9) | text, max_size=2).map(json.dumps)


@st.composite
def rows(draw):
    x, y, w, h = (draw(side) for _ in range(4))
    ignore = draw(st.booleans())
    visible = draw(st.booleans())
    return {
        "image_id": draw(st.sampled_from([1, 2])),
        "category_id": draw(st.sampled_from([1, 3, None] if ignore else [1, 3])),
        **{"x1": x, "y1": y, "x2": x + w, "y2": y + h},
        "iscrowd": ignore and draw(st.booleans()),
        "ignore": ignore,
        "ignore_reason": draw(text.filter(bool)) if ignore else None,
        "difficult": draw(st.booleans()),
        **{"occluded": draw(share), "truncated": draw(share)},
        **{f"vis_{k}": v if visible else None for k, v in (("x1", x), ("y1", y), ("x2", x + w / 2), ("y2", y + h / 2))},
        "track_id": draw(st.none() | text.filter(bool)),
        "attributes": draw(st.none() | json_object.filter(lambda t: t != "{}")),
        "source": draw(text.filter(bool)),
        "area": draw(st.floats(0, 1e7)),
    }


@settings(max_examples=100, deadline=None)
@given(st.lists(rows(), max_size=5))
def test_round_trip__every_field(boxes):
    table = make(boxes, split=["train", "val"], group=["g", None])
    with tempfile.TemporaryDirectory() as folder:
        write_coco(table, Path(folder) / "some.json")
        back = read_coco(Path(folder) / "some.json")
    assert back.images.select(table.images.columns).equals(table.images)
    assert sorted(back.categories.select("category_id", "name").rows()) == [(1, "a"), (3, "b")]
    found = {row["annotation_id"]: row for row in back.boxes.rows(named=True)}
    assert len(found) == len(boxes)
    for number, row in enumerate(boxes, start=1):
        for key, value in row.items():
            if key == "attributes" and value is not None:
                assert json.loads(found[number][key]) == json.loads(value)
            elif isinstance(value, float):
                assert math.isclose(found[number][key], value, rel_tol=1e-12, abs_tol=1e-6), key
            else:
                assert found[number][key] == value, key
