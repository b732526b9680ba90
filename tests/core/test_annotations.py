"""The table: what it takes, what it refuses and where it points."""

import polars as pl
import pytest

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.errors import InputError, InternalError
from detect_transfer.core.ledger import Ledger

IMAGES = {"image_id": [1, 2], "file_name": ["a.png", "b.png"], "width": [10, 20], "height": [10, 20]}
CATEGORIES = {"category_id": [1, 2], "name": ["sign", "light"]}


def boxes(**changes) -> dict:
    columns = {
        "annotation_id": [1, 2],
        "image_id": [1, 1],
        "category_id": [1, 2],
        "x1": [0.0, 1],
        "y1": [0.0, 1],
        "x2": [5.0, 6],
        "y2": [5.0, 6],
        "source": ["a.xml:3", "a.xml:9"],
    }
    return {**columns, **changes}


def make(**changes) -> AnnotationTable:
    return AnnotationTable.from_columns(images=IMAGES, boxes=boxes(**changes), categories=CATEGORIES)


def test_defaults__flags_are_false_and_the_rest_is_null() -> None:
    row = make().boxes.row(0, named=True)
    assert (row["iscrowd"], row["ignore"], row["difficult"]) == (False, False, False)
    assert row["occluded"] is None
    assert row["attributes"] is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"annotation_id": [7, 7]}, r"ID_DUPLICATE a\.xml:3 annotation_id=7", id="duplicate-id"),
        pytest.param({"image_id": [1, 9]}, r"ID_DANGLING a\.xml:9 image_id=9", id="dangling-image"),
        pytest.param({"category_id": [1, 9]}, r"ID_DANGLING a\.xml:9 category_id=9", id="dangling-category"),
        pytest.param({"category_id": [1, None]}, r"ID_DANGLING a\.xml:9", id="no-category-but-not-ignored"),
        pytest.param({"x2": [5.0, 0.5]}, r"BOX_INVALID a\.xml:9 xyxy=", id="inverted"),
        pytest.param({"x1": [float("nan"), 1]}, r"BOX_INVALID a\.xml:3", id="nan"),
        pytest.param({"y2": [float("inf"), 6]}, r"BOX_INVALID a\.xml:3", id="infinite"),
        pytest.param({"y2": [None, 6.0]}, r"BOX_INVALID a\.xml:3", id="null"),
    ],
)
def test_wrong_rows__are_refused_with_their_place(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(**changes)


def test_a_region_ignored_for_every_class__has_no_category() -> None:
    table = make(category_id=[1, None], ignore=[False, True])
    assert table.boxes["category_id"].to_list() == [1, None]


def test_raw_boxes__may_leave_the_image_and_be_empty() -> None:
    assert make(x1=[-50.0, 6], x2=[500.0, 6]).boxes.height == 2


def test_wrong_type__is_a_bug_of_ours() -> None:
    table = make()
    with pytest.raises(InternalError, match="TABLE_SCHEMA"):
        AnnotationTable(table.images, table.boxes.with_columns(pl.col("x1").cast(pl.Float32)), table.categories)


def test_splits__are_selected_with_their_boxes() -> None:
    table = make()
    table = AnnotationTable(
        table.images.with_columns(pl.Series("split", ["train", "val"])), table.boxes, table.categories
    )
    assert table.split_of("train").boxes.height == 2
    assert table.split_of("val").boxes.height == 0
    with pytest.raises(InputError, match=r"SPLIT_MISSING split=test.*train, val"):
        table.split_of("test")


@pytest.mark.parametrize("score", [float("nan"), 1.5, -0.1, None])
def test_detections__need_a_score_between_0_and_1(score: float | None) -> None:
    row = {"image_id": [1], "category_id": [1], "x1": [0.0], "y1": [0.0], "x2": [1.0], "y2": [1.0], "score": [score]}
    with pytest.raises(InputError, match="SCORE_RANGE"):
        Detections.from_columns(row)


def test_detections__of_a_diverged_model_are_refused() -> None:
    """A NaN box counts as a perfect match in pycocotools."""
    nan = float("nan")
    row = {"image_id": [1], "category_id": [1], "x1": [nan], "y1": [nan], "x2": [nan], "y2": [nan], "score": [0.9]}
    with pytest.raises(InputError, match="BOX_INVALID"):
        Detections.from_columns(row)


def test_empty__is_a_table_too() -> None:
    assert AnnotationTable.from_columns(images={}, boxes={}, categories={}).boxes.height == 0
    assert Detections.empty().rows.height == 0


def test_ledger__that_does_not_add_up_is_a_bug_of_ours() -> None:
    step = Ledger().open("clean", images=2, boxes=5)
    step.add("box", "dropped", "empty", 2, ["a:1", "a:2"])
    with pytest.raises(InternalError, match="LEDGER_UNBALANCED"):
        step.close(images_out=2, boxes_out=4)
    assert step.close(images_out=2, boxes_out=3).boxes_out == 3
