"""The gate of an export, on detections that are given to it."""

from __future__ import annotations

import re

import numpy as np
import pytest

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.choices import ExportPrecision
from detect_transfer.core.errors import InputError
from detect_transfer.workflows.export_gate import GateResult, doubt_line, gate, require_sight

IMAGES = range(1, 13)


def in_each_image(scores: dict[int, float], *, away: float = 0.0) -> Detections:
    """Return two detections an image of a score; in all images but the first they are moved."""
    shift = {i: 0.0 if i == 1 else away for i in IMAGES}
    rows = [
        (i, 1, 10.0 + shift[i], y, 40.0 + shift[i], y + 20, scores[i] - y / 1e5) for i in IMAGES for y in (10.0, 40.0)
    ]
    names = ("image_id", "category_id", "x1", "y1", "x2", "y2", "score")
    return Detections.from_columns(dict(zip(names, zip(*rows, strict=True), strict=True)))


def measured(first: Detections, second: Detections, precision: ExportPrecision = ExportPrecision.FP32) -> GateResult:
    truth = AnnotationTable.from_columns(
        images={"image_id": IMAGES, "file_name": [f"{i}.png" for i in IMAGES]},
        boxes={"annotation_id": [1], "image_id": [1], "category_id": [1], "x1": [0], "y1": [60], "x2": [9], "y2": [70]},
        categories={"category_id": [1], "name": ["sign"]},
    )
    return gate(truth, (first, second), (first, second), precision)


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


INT8 = ExportPrecision.INT8


def of_signs(n_images: int, lost: set[int], *, score: float = 0.9, found: set[int] | None = None) -> Detections:
    """Return a detection of the sign of each image but the lost ones; `found` have it exactly, the others roughly."""
    rows = [
        (i, 1, 10.0, 10.0, 20.0 if found is None or i in found else 22.0, 20.0, score)
        for i in range(1, n_images + 1)
        if i not in lost
    ]
    names = ("image_id", "category_id", "x1", "y1", "x2", "y2", "score")
    return Detections.from_columns(dict(zip(names, zip(*rows, strict=True), strict=True)))


def of_int8(n_images: int, first: Detections, second: Detections, precision: ExportPrecision = INT8) -> GateResult:
    ids = range(1, n_images + 1)
    boxes = {"annotation_id": ids, "image_id": ids, "category_id": [1] * n_images}
    boxes |= {name: [value] * n_images for name, value in {"x1": 10, "y1": 10, "x2": 20, "y2": 20}.items()}
    truth = AnnotationTable.from_columns(
        images={"image_id": ids, "file_name": [f"{i}.png" for i in ids]},
        boxes=boxes,
        categories={"category_id": [1], "name": ["sign"]},
    )
    return gate(truth, (first, second), (first, second), precision)


def test_int8__loses_more_than_the_limit_for_sure() -> None:
    """Of 200 signs 30 are lost, which no draw of the images makes up for."""
    result = of_int8(200, of_signs(200, set()), of_signs(200, set(range(1, 31))))
    assert any(re.match(r"AP 1.0000 -> 0\.8\d+ \[-0\.\d+, -0\.\d+\] \(limit 0.01\)", each) for each in result.failures)
    assert any(each.startswith("AP of sign") for each in result.failures)
    assert any(each.startswith("AP_small 1.0000 -> 0.8") for each in result.failures)


def test_int8__gains_are_no_fault_where_single_precision_fails() -> None:
    better, worse = of_signs(40, set()), of_signs(40, {1, 2})
    assert of_int8(40, worse, better).failures == ()
    assert of_int8(40, worse, better, ExportPrecision.FP32).failures[0].startswith("AP 0.9")


def test_int8__says_which_images_are_too_few_to_tell() -> None:
    """Each side has signs that the other has not: the loss is beyond the limit, and may be chance."""
    exact = [set(range(1, 41)) - {1, 2, 3, 4}, set(range(1, 41)) - {5, 6, 7, 8, 9}]
    first, second = (of_signs(40, set(), found=each) for each in exact)
    result = of_int8(40, first, second)
    assert result.ap.difference is not None
    assert result.ap.difference < -0.01
    assert result.failures == ()
    doubts = {each.name: each for each in result.doubts}
    assert set(doubts) >= {"AP", "AP of sign", "AP_small"}
    assert doubts["AP"].interval is not None
    assert doubts["AP"].interval[0] < -0.01 < 0 < doubts["AP"].interval[1]
    record = result.as_dict()
    assert (record["images"], record["not_ruled_out"][0]["name"]) == (40, "AP")
    assert doubt_line(result).startswith("40 images are too few to rule out a loss beyond the limit of: AP, AP_small")
    strict = of_int8(40, first, second, ExportPrecision.FP32)
    assert strict.failures[0].startswith("AP 0.")
    assert strict.doubts == ()


def test_int8__fails_beyond_the_hard_limit_whatever_the_interval() -> None:
    """Two images have no interval that leaves out chance."""
    result = of_int8(2, of_signs(2, set()), of_signs(2, {1}))
    assert result.ap.interval is None or result.ap.interval[1] >= 0
    assert any(each.startswith("AP 1.0000 -> ") for each in result.failures)
    assert any("1 of 2 detections vanish" in each for each in result.failures)


def test_int8__detections_of_few_images_vanish_by_chance() -> None:
    """15 % of them vanish, all in one image of six."""
    few = of_int8(7, of_signs(7, set(), score=0.3), of_signs(7, {1}, score=0.3))
    assert not any("vanish" in each for each in few.failures)
    assert any("vanish" in each.name for each in few.doubts)
    many = of_int8(300, of_signs(300, set()), of_signs(300, set(range(1, 61))))
    assert any("60 of 300 detections vanish" in each for each in many.failures)


def test_sight__of_weights_that_detect_the_same_whatever_is_in_the_image() -> None:
    scores = dict.fromkeys(IMAGES, 0.5)
    with pytest.raises(InputError, match=r"EXPORT_GATE_BLIND --data - .* the same as in grey images .* 12 images"):
        require_sight(in_each_image(scores), in_each_image(scores), 12)
    few = Detections(in_each_image(scores).rows.head(18))  # of equal scores others are kept in a quarter of the images
    with pytest.raises(InputError, match=r"EXPORT_GATE_BLIND .* the same as in grey images"):
        require_sight(in_each_image(scores), few, 12)
    nothing = Detections(in_each_image(scores).rows.head(0))
    require_sight(in_each_image(scores), nothing, 12)
    with pytest.raises(InputError, match=r"EXPORT_GATE_BLIND .* detect nothing in 12 images"):
        require_sight(nothing, nothing, 12)
