"""Class maps: loading, refusing, applying."""

import pytest

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.ledger import Ledger
from detect_transfer.data.class_map import ClassMap, apply_class_map, class_map_from_dict, load_class_map


@pytest.fixture
def table():
    """One box each of car, van, people and sky, an ignored car, and a region without a class."""
    n = 6
    return AnnotationTable.from_columns(
        images={"image_id": [1], "file_name": ["a.png"], "width": [9], "height": [9]},
        boxes={
            "annotation_id": list(range(1, n + 1)),
            "image_id": [1] * n,
            "category_id": [10, 20, 30, 40, 10, None],
            **{c: [0.0] * n for c in ("x1", "y1")},
            **{c: [5.0] * n for c in ("x2", "y2")},
            "ignore": [False] * 4 + [True] * 2,
            "ignore_reason": [None] * 4 + ["far", "DontCare"],
            "source": [f"a:{i}" for i in range(n)],
        },
        categories={
            "category_id": [10, 20, 30, 40],
            "name": ["car", "van", "people", "sky"],
            "supercategory": ["vehicle", "vehicle", None, None],
        },
    )


def test_apply__many_to_one_ignored_and_dropped(table):
    ledger = Ledger()
    class_map = class_map_from_dict({"vehicle": ["car", "van"], "__ignore__": "people", "__drop__": ["sky"]}, name="m")
    found = apply_class_map(table, class_map, ledger)
    assert found.categories.rows() == [(1, "vehicle", "vehicle")]
    assert found.boxes.select("annotation_id", "category_id", "ignore", "ignore_reason").rows() == [
        (1, 1, False, None),
        (2, 1, False, None),
        (3, None, True, "class map: people"),
        (5, 1, True, "far"),
        (6, None, True, "DontCare"),
    ]
    step = ledger.steps[0]
    assert (step.boxes_in, step.boxes_out) == (6, 5)
    assert {(li.action, li.reason): li.count for li in step.lines} == {
        ("dropped", "class 'sky'"): 1,
        ("marked", "class 'people': ignored for every class"): 1,
        ("changed", "class 'car' became 'vehicle'"): 2,
        ("changed", "class 'van' became 'vehicle'"): 1,
    }


def test_apply__order_of_the_map_gives_the_ids(table):
    class_map = class_map_from_dict({"z": "sky", "a": "car", "__rest__": "__drop__"}, name="m")
    found = apply_class_map(table, class_map, Ledger())
    assert found.categories.select("category_id", "name").rows() == [(1, "z"), (2, "a")]
    assert dict(found.boxes.select("annotation_id", "category_id").rows()) == {1: 2, 4: 1, 5: 2, 6: None}


@pytest.mark.parametrize(
    ("rest", "names", "n_boxes", "n_ignored"),
    [
        pytest.param("keep", ["vehicle", "people", "sky"], 6, 2, id="keep"),
        pytest.param("__ignore__", ["vehicle"], 6, 4, id="ignore"),
        pytest.param("__drop__", ["vehicle"], 4, 2, id="drop"),
    ],
)
def test_apply__rest(table, rest, names, n_boxes, n_ignored):
    found = apply_class_map(table, ClassMap("m", (("vehicle", ("car", "van")),), rest=rest), Ledger())
    assert found.class_names == names
    assert (len(found.boxes), found.boxes["ignore"].sum()) == (n_boxes, n_ignored)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param({"v": ["car", "van"]}, ["2 source classes", "people, sky", "__rest__"], id="rest-not-said"),
        pytest.param(
            {"v": ["cra", "van"], "__rest__": "keep"}, ["no such class", "cra", "did you mean 'car'"], id="typo"
        ),
        pytest.param({"people": ["car"], "__rest__": "keep"}, ["people", "name of a target"], id="kept-name-taken"),
    ],
)
def test_apply__refuses(table, content, words):
    with pytest.raises(InputError) as caught:
        apply_class_map(table, class_map_from_dict(content, name="maps/m.yaml"), Ledger())
    text = str(caught.value)
    assert text.startswith("CLASS_MAP maps/m.yaml")
    assert all(word in text for word in words), text


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({}, id="empty"),
        pytest.param(["car"], id="list"),
        pytest.param({"v": []}, id="target-without-source"),
        pytest.param({"v": ["car"], "w": "car"}, id="source-named-twice"),
        pytest.param({True: "car"}, id="yaml-yes-is-no-text"),
        pytest.param({"v": [3]}, id="number-for-a-name"),
        pytest.param({"v": ["car"], "__rest__": "forget"}, id="unknown-rest"),
    ],
)
def test_from_dict__refuses(content):
    with pytest.raises(InputError, match="CLASS_MAP m "):
        class_map_from_dict(content, name="m")


def test_load__file_card_and_words_say_the_same(tmp_path):
    (tmp_path / "m.yaml").write_text("v: [car, van]\nw: sky\n__ignore__: people\n")
    card = "name: x\nclass_maps:\n  two: {v: [car, van], w: sky, __ignore__: people}\n"
    (tmp_path / "dataset.yaml").write_text(card)
    texts = (f"{tmp_path}/m.yaml", f"{tmp_path}/dataset.yaml#two", "v=car,v=van, w=sky,__ignore__=people")
    maps = [load_class_map(text).as_dict() for text in texts]
    assert maps == [{"v": ["car", "van"], "w": ["sky"], "__ignore__": ["people"]}] * 3


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("{}/none.yaml", "FILE_MISSING", id="no-file"),
        pytest.param("{}/dataset.yaml#tow", "CLASS_MAP_UNKNOWN", id="no-such-map"),
        pytest.param("{}/twice.yaml", "YAML_SYNTAX", id="key-twice"),
        pytest.param("a=", "CLASS_MAP", id="no-source"),
        pytest.param("a=b,c", "CLASS_MAP", id="no-equals"),
    ],
)
def test_load__refuses(tmp_path, text, code):
    (tmp_path / "dataset.yaml").write_text("class_maps: {two: {a: b}}\n")
    (tmp_path / "twice.yaml").write_text("a: b\na: c\n")
    with pytest.raises(InputError) as caught:
        load_class_map(text.format(tmp_path))
    assert caught.value.code == code
