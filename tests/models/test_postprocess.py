"""From scored boxes to detections: labels of a box, suppression, floor and caps."""

import pytest
import torch

from detect_transfer.models.base import Postprocess
from detect_transfer.models.postprocess import OutputNotFinite, select

BOXES = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60]])
SCORES = torch.tensor([[0.9, 0.6], [0.2, 0.8], [0.3, 0.1]])


def labels(
    boxes: torch.Tensor = BOXES[:, None], nms_iou: float | None = 0.5, **options: bool
) -> list[tuple[float, int]]:
    chosen = select(boxes, SCORES, Postprocess(0.05, 10, **options), nms_iou=nms_iou)
    return [(round(float(score), 1), int(label)) for score, label in zip(chosen.scores, chosen.labels, strict=True)]


def test_scoring__gives_a_box_every_label_above_the_floor() -> None:
    assert labels() == [(0.9, 0), (0.8, 1), (0.3, 0), (0.1, 1)]


def test_one_label__is_the_best_of_each_box() -> None:
    assert labels(multi_label=False) == [(0.9, 0), (0.8, 1), (0.3, 0)]


def test_agnostic__gives_an_object_one_box() -> None:
    assert labels(agnostic=True) == labels(agnostic=True, multi_label=False) == [(0.9, 0), (0.3, 0)]


def test_end_to_end_heads__suppress_nothing() -> None:
    assert labels(nms_iou=None, multi_label=False) == [(0.9, 0), (0.8, 1), (0.3, 0)]
    assert len(labels(nms_iou=None)) == 6


@pytest.mark.parametrize("multi_label", [True, False])
def test_boxes_of_each_class__follow_their_label(multi_label: bool) -> None:
    boxes = torch.stack([BOXES, BOXES + 100], dim=1)
    chosen = select(boxes, SCORES, Postprocess(0.7, 10, multi_label=multi_label), nms_iou=0.5)
    assert chosen.xyxy.tolist() == [[0, 0, 10, 10], [100, 100, 110, 109]]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("multi_label", [True, False])
def test_values_that_are_not_finite__are_an_error_and_no_miss(value: float, multi_label: bool) -> None:
    boxes, scores = BOXES[:, None].clone(), SCORES.clone()
    boxes[1, 0, 2] = value
    with pytest.raises(OutputNotFinite, match=r"OUTPUT_NOT_FINITE .* boxes"):
        select(boxes, SCORES, Postprocess(0.05, 10, multi_label=multi_label), nms_iou=0.5)
    assert len(select(boxes, SCORES, Postprocess(0.85, 10, multi_label=multi_label), nms_iou=0.5).scores) == 1
    scores[2, 1] = value
    with pytest.raises(OutputNotFinite, match=r"OUTPUT_NOT_FINITE .* scores"):
        select(BOXES[:, None], scores, Postprocess(0.05, 10, multi_label=multi_label), nms_iou=0.5)
