"""Images worth labelling, on cases worked out by hand."""

from __future__ import annotations

import polars as pl
import pytest

from detect_transfer.core.annotations import Detections
from detect_transfer.evaluation.image_ranking import rank_images

IMAGES = pl.DataFrame({"image_id": [1, 2, 3, 4], "width": [90] * 4, "height": [90] * 4})


def detections(*rows: tuple[int, int, float, float]) -> Detections:
    """Make boxes of 20 px by image, class, left edge and score."""
    names = ("image_id", "category_id", "x1", "score")
    columns = {name: [row[k] for row in rows] for k, name in enumerate(names)}
    edges = {"y1": [0.0] * len(rows), "x2": [x + 20 for x in columns["x1"]], "y2": [20.0] * len(rows)}
    return Detections.from_columns({**columns, **edges})


def test_ranking__takes_the_unsure_one_then_what_differs_from_it() -> None:
    # image 2 is as image 1, and 3 shows another class; 4 has nothing
    found = detections((1, 1, 0.0, 0.5), (2, 1, 0.0, 0.45), (3, 2, 0.0, 0.9))
    ranked = rank_images(IMAGES, found, most=10)
    assert ranked["image_id"].to_list() == [1, 3, 2, 4]
    assert ranked["novelty"].to_list() == pytest.approx([1, 1, 0, 1])
    assert ranked["uncertainty"].to_list() == pytest.approx([1, 0.469, 0.9928, 0], abs=1e-4)
    assert rank_images(IMAGES, found, most=2)["image_id"].to_list() == [1, 3]


def test_ranking__of_images_without_detections_keeps_their_order() -> None:
    assert rank_images(IMAGES, Detections.empty(), most=3)["image_id"].to_list() == [1, 2, 3]
