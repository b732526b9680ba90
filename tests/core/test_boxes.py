"""Box arithmetic, worked out by hand."""

import numpy as np
import pytest

from detect_transfer.core import boxes


def test_conversions__by_hand() -> None:
    assert boxes.xywh_to_xyxy([[1, 2, 3, 4]]).tolist() == [[1, 2, 4, 6]]
    assert boxes.xyxy_to_xywh([[1, 2, 4, 6]]).tolist() == [[1, 2, 3, 4]]
    assert boxes.xyxy_to_cxcywh_norm([[50, 37.5, 150, 62.5]], [200, 100]).tolist() == [[0.5, 0.5, 0.5, 0.25]]


def test_conversions__take_no_box_at_all() -> None:
    for function in (boxes.xywh_to_xyxy, boxes.xyxy_to_xywh, boxes.area):
        assert len(function(np.empty((0, 4)))) == 0
    assert boxes.iou(np.empty((0, 4)), [[0, 0, 1, 1]]).shape == (0, 1)


@pytest.mark.parametrize(
    ("a", "b", "iou", "ioa"),
    [
        pytest.param([0, 0, 10, 10], [0, 0, 10, 10], 1.0, 1.0, id="same"),
        pytest.param([0, 0, 10, 10], [5, 0, 15, 10], 1 / 3, 0.5, id="half"),
        pytest.param([0, 0, 10, 10], [10, 0, 20, 10], 0.0, 0.0, id="touching"),
        pytest.param([2, 2, 4, 4], [0, 0, 10, 10], 0.04, 1.0, id="inside"),
        pytest.param([1, 1, 1, 1], [1, 1, 1, 1], 0.0, 0.0, id="two-empty-boxes"),
        pytest.param([0, 0, 1, 1], [5, 5, 5, 5], 0.0, 0.0, id="one-empty-box"),
    ],
)
def test_iou_and_ioa__by_hand(a: list, b: list, iou: float, ioa: float) -> None:
    assert boxes.iou([a], [b])[0, 0] == pytest.approx(iou)
    assert boxes.ioa([a], [b])[0, 0] == pytest.approx(ioa)


def test_clip__to_one_size_and_to_many() -> None:
    b = [[-5, -5, 20, 20], [1, 1, 2, 2]]
    assert boxes.clip(b, [10, 8]).tolist() == [[0, 0, 10, 8], [1, 1, 2, 2]]
    assert boxes.clip(b, [[10, 8], [1.5, 3]]).tolist() == [[0, 0, 10, 8], [1, 1, 1.5, 2]]
