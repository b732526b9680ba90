"""The gate of an export, on detections that are given to it."""

from __future__ import annotations

import numpy as np
import pytest

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.choices import ExportPrecision
from detect_transfer.workflows.export_gate import GateResult, gate

IMAGES = range(1, 13)


def in_each_image(scores: dict[int, float], *, away: float = 0.0) -> Detections:
    """Return two detections an image of a score; in all images but the first they are moved."""
    shift = {i: 0.0 if i == 1 else away for i in IMAGES}
    rows = [
        (i, 1, 10.0 + shift[i], y, 40.0 + shift[i], y + 20, scores[i] - y / 1e5) for i in IMAGES for y in (10.0, 40.0)
    ]
    names = ("image_id", "category_id", "x1", "y1", "x2", "y2", "score")
    return Detections.from_columns(dict(zip(names, zip(*rows, strict=True), strict=True)))


def measured(first: Detections, second: Detections) -> GateResult:
    truth = AnnotationTable.from_columns(
        images={"image_id": IMAGES, "file_name": [f"{i}.png" for i in IMAGES]},
        boxes={"annotation_id": [1], "image_id": [1], "category_id": [1], "x1": [0], "y1": [60], "x2": [9], "y2": [70]},
        categories={"category_id": [1], "name": ["sign"]},
    )
    return gate(truth, (first, second), (first, second), ExportPrecision.FP32)


@pytest.mark.parametrize("best", [0.3, 0.06, 0.04], ids=["one is sure", "one is above the score", "none is above it"])
def test_gate__compares_the_best_detections_of_weights_that_are_sure_of_few(best: float) -> None:
    scores = dict.fromkeys(IMAGES, 0.03) | {1: best}
    same = measured(in_each_image(scores), in_each_image(scores))
    assert same.compared >= 20
    assert same.failures == ()
    moved = measured(in_each_image(scores), in_each_image(dict.fromkeys(IMAGES, 0.03) | {1: best}, away=2.0))
    assert "move by more than 0.5 px" in moved.failures[0]


def test_gate__compares_from_a_score_on_where_there_are_enough() -> None:
    scores = dict(zip(IMAGES, np.linspace(0.01, 0.9, 12).tolist(), strict=True))
    result = measured(in_each_image(scores), in_each_image(scores))
    assert result.compared == 22
