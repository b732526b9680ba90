"""From scored boxes to detections: score floor, one or more labels a box, suppression of doubles."""

from __future__ import annotations

from typing import Any

import torch
from torchvision.ops import batched_nms, nms

from detect_transfer.core.errors import InputError
from detect_transfer.models.base import Postprocess, Prediction, Predictor

MOST_CANDIDATES = 5000
SMALLEST_SIDE = 0.01  # network pixels; nothing is left of a smaller box


class OutputNotFinite(InputError):
    """What a network gives for an image is not finite, though its weights are."""


def output_not_finite(what: str) -> OutputNotFinite:
    """Return the error for scores or boxes that are not finite."""
    return OutputNotFinite(
        "OUTPUT_NOT_FINITE",
        f"the network gives {what} that are not finite: its numbers grow beyond what the arithmetic holds",
        remedy="leave --half out where it was given; else give others: its weights are damaged, or its training failed",
    )


def choose(detector: Predictor, outputs: Any, options: Postprocess) -> list[Prediction]:
    """Choose the detections of each image of a batch; doubles are suppressed where the detector has any.

    Raises:
        OutputNotFinite: As for `select`.
    """
    boxes, scores = detector.decode(outputs)
    nms_iou = (options.nms_iou or detector.nms_iou) if detector.suppresses or options.agnostic else None
    return [select(*each, options, nms_iou=nms_iou) for each in zip(boxes, scores, strict=True)]


def select(boxes: torch.Tensor, scores: torch.Tensor, options: Postprocess, *, nms_iou: float | None) -> Prediction:
    """Choose the detections of one image.

    Args:
        boxes: (R, 1, 4), or one a class (R, K, 4), in network pixels.
        scores: (R, K).
        options: Floor, caps and labels.
        nms_iou: For suppression; None leaves it out, for heads that give each object once.

    Raises:
        OutputNotFinite: A score, or a box above the floor, is not finite: left out, it would be a miss.
    """
    if not torch.isfinite(scores.sum(dtype=torch.float32)):  # one pass
        raise output_not_finite("scores")
    if options.labels is not None:
        wanted = scores.new_zeros(scores.shape[1])
        wanted[list(options.labels)] = 1
        scores = scores * wanted
    if options.multi_label:
        row, label = torch.nonzero(scores > options.score_floor, as_tuple=True)
    else:
        best, label = scores.max(dim=1)
        row = torch.nonzero(best > options.score_floor).flatten()
        label = label[row]
    score = scores[row, label]
    top = score.argsort(descending=True, stable=True)[:MOST_CANDIDATES]
    row, score, label = row[top], score[top], label[top]
    xyxy = boxes[row, label if boxes.shape[1] > 1 else torch.zeros_like(label)]
    if not torch.isfinite(xyxy).all():
        raise output_not_finite("boxes")
    whole = (xyxy[:, 2:] - xyxy[:, :2] >= SMALLEST_SIDE).all(dim=1)
    xyxy, score, label = xyxy[whole], score[whole], label[whole]
    if nms_iou is not None:
        keep = nms(xyxy, score, nms_iou) if options.agnostic else batched_nms(xyxy, score, label, nms_iou)
        xyxy, score, label = xyxy[keep], score[keep], label[keep]
    xyxy, score, label = (each[: options.max_detections].cpu() for each in (xyxy, score, label))
    return Prediction(xyxy.double().numpy(), score.double().numpy(), label.numpy())
