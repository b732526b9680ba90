"""Detections whose classes are counted in another order than those of the truth."""

import polars as pl
import pytest

from detect_transfer.core.annotations import XYXY, Detections
from detect_transfer.evaluation import Case
from detect_transfer.evaluation.class_order import exchanged_classes


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        pytest.param({1: 1, 2: 2, 3: 3}, "", id="right"),
        pytest.param({1: 2, 2: 1, 3: 3}, "", id="two-of-three-of-which-one-is-most"),
        pytest.param(
            {1: 2, 2: 3, 3: 1},
            "0 of 46 that lie on an object have its class, and 46 would if class2 is class1",
            id="turned",
        ),
        pytest.param({1: 2, 2: 2, 3: 2}, "", id="all-taken-for-one"),
        pytest.param(
            {1: 3, 2: 3, 3: 2}, "0 of 46 that lie on an object have its class, and 40 would if", id="two-of-three"
        ),
    ],
)
def test_exchanged_classes__are_told_from_confused_ones(classes, words, make_table) -> None:
    counts = {1: 10, 2: 6, 3: 30}
    objects = [(1, c, 20 * i, 100 * c, 20 * i + 10, 100 * c + 10) for c, n in counts.items() for i in range(n)]
    truth = make_table(objects, n_classes=3)
    rows = truth.boxes.select("image_id", pl.col("category_id").replace_strict(classes), *XYXY, score=pl.lit(0.9))
    sentence = exchanged_classes(Case(truth, Detections(rows)))
    assert (words in sentence) if words else sentence == ""
