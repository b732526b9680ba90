"""The four policies for ignored and crowd regions, and what each writes in the ledger."""

import numpy as np
import pytest

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.ledger import Ledger
from detect_transfer.data.image_writing import paint_over
from detect_transfer.formats.writing.ignored_regions import covered_share, plan_ignored


@pytest.fixture
def table():
    """A 10 x 10 image for training with a sign (1), a crowd (2), a region without a class (3); the same for val."""
    return AnnotationTable.from_columns(
        images={
            "image_id": [1, 2, 3],
            "file_name": ["a", "b", "c"],
            "split": ["train", "val", "train"],
            "width": [10] * 3,
            "height": [10] * 3,
        },
        boxes={
            "annotation_id": [1, 2, 3, 4, 5, 6, 7],
            "image_id": [1, 1, 1, 2, 2, 2, 3],
            "category_id": [1, 1, None] * 2 + [1],
            "x1": [0.0, 5.0, 0.0] * 2 + [0.0],
            "y1": [0.0, 0.0, 9.0] * 2 + [0.0],
            "x2": [2.0, 10.0, 10.0] * 2 + [4.0],
            "y2": [2.0, 4.0, 10.0] * 2 + [4.0],
            "iscrowd": [False, True, False] * 2 + [False],
            "ignore": [False, False, True] * 2 + [False],
            "source": [f"s:{i}" for i in range(1, 8)],
        },
        categories={"category_id": [1], "name": ["sign"]},
    )


OUT = "ignored or crowd: no label row"
CASES = [
    pytest.param("drop", 0.0, [1, 4, 7], [1, 2, 3], [], {("dropped", OUT): 4}, id="drop"),
    pytest.param(
        "keep",
        0.0,
        [1, 2, 4, 5, 7],
        [1, 2, 3],
        [],
        {
            ("changed", "ignored or crowd: trained as a positive"): 2,
            ("dropped", "ignored for every class: cannot be a positive"): 2,
        },
        id="keep",
    ),
    pytest.param(
        "mask",
        0.0,
        [1, 4, 7],
        [1, 2, 3],
        [2, 3],
        {
            ("dropped", "ignored or crowd: painted over, no label row"): 2,
            ("dropped", "ignored or crowd: no label row (only train images are painted)"): 2,
        },
        id="mask-paints-train-alone",
    ),
    pytest.param(
        "drop-image",
        0.0,
        [4, 7],
        [2, 3],
        [],
        {
            ("dropped", "regions cover more than 0 of it"): 1,
            ("dropped", "in an image that was dropped for its regions"): 3,
            ("dropped", OUT): 2,
        },
        id="drop-image-takes-train-alone",
    ),
    # 20 + 10 of 100 square pixels: the limit itself is tolerated
    pytest.param("drop-image", 0.3, [1, 4, 7], [1, 2, 3], [], {("dropped", OUT): 4}, id="drop-image-at-the-limit"),
    pytest.param("drop-image", 0.29, [4, 7], [2, 3], [], None, id="drop-image-below"),
]


@pytest.mark.parametrize(("policy", "share", "rows", "images", "painted", "lines"), CASES)
def test_plan(table, policy, share, rows, images, painted, lines):
    ledger = Ledger()
    plan = plan_ignored(table, policy, max_ignored_share=share, ledger=ledger)
    assert plan.rows["annotation_id"].to_list() == rows
    assert plan.table.images["image_id"].to_list() == images
    assert plan.painted["annotation_id"].to_list() == painted
    kept_images = plan.table.boxes["image_id"].unique().sort().to_list()
    assert kept_images == images, "regions stay in the table, for the COCO file"
    assert len(plan.table.boxes) == {3: 7, 2: 4}[len(images)]
    step = ledger.steps[0]
    assert (step.images_in, step.images_out, step.boxes_in, step.boxes_out) == (3, len(images), 7, len(rows))
    if lines is not None:
        assert {(line.action, line.reason): line.count for line in step.lines} == lines


def test_plan__unknown_policy(table):
    with pytest.raises(InputError, match=r"IGNORE_POLICY ignored_regions=msak - .*did you mean 'mask'"):
        plan_ignored(table, "msak")


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        pytest.param([], 0.0, id="none"),
        pytest.param([[0, 0, 5, 10]], 0.5, id="one"),
        pytest.param([[0, 0, 5, 10]] * 2, 0.5, id="twice-the-same"),
        pytest.param([[0, 0, 6, 10], [4, 0, 10, 10]], 1.0, id="overlap-counts-once"),
        pytest.param([[0, 0, 1, 1], [9, 9, 10, 10]], 0.02, id="apart"),
    ],
)
def test_covered_share(boxes, expected):
    assert covered_share(np.array(boxes, dtype=float).reshape(-1, 4), (10, 10)) == pytest.approx(expected)


def test_covered_share__unknown_size_counts_as_covered():
    assert covered_share(np.array([[0.0, 0.0, 1.0, 1.0]]), (None, None)) == 1.0


def test_paint_over__spares_objects_that_are_trained_on():
    image = np.full((10, 12, 3), 7, dtype=np.uint8)
    painted = paint_over(image, np.array([[1.5, 2.0, 8.0, 9.2]]), np.array([[3.0, 3.0, 5.0, 5.5]]))
    expected = np.full((10, 12), 7)
    expected[2:10, 1:8] = 114  # every pixel that the region touches
    expected[3:6, 3:5] = 7
    assert (painted == expected[..., None]).all()
    assert (image == 7).all(), "the argument stays as it was"
