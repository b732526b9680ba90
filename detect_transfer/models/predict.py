"""Prediction on images: fit, batch by shape, run, and turn the boxes back to image pixels."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from detect_transfer.config import Evaluate
from detect_transfer.core.annotations import XYXY, Detections
from detect_transfer.core.arrays import RgbArray
from detect_transfer.core.boxes import clip
from detect_transfer.core.images import read_rgb
from detect_transfer.core.input_size import InputSize
from detect_transfer.core.intake import Intake
from detect_transfer.core.prefetch import prefetched
from detect_transfer.models.base import Postprocess, Prediction, Predictor
from detect_transfer.models.device import Precision, autocast, device_of, full_precision
from detect_transfer.models.letterbox import PAD_MULTIPLE, Fit, letterbox

logger = logging.getLogger(__name__)

_AHEAD = 16  # images that are read while the network runs


@dataclass(frozen=True)
class FittedImage:
    """An image ready for the network.

    Args:
        image_id: Its id.
        pixels: (H, W, 3) uint8 RGB, scaled and padded.
        fit: The way back to image pixels.
        size_wh: Width and height of the image itself.
    """

    image_id: int
    pixels: RgbArray
    fit: Fit
    size_wh: tuple[int, int]


def fit_image(image_id: int, image_rgb: RgbArray, imgsz: int | InputSize) -> FittedImage:
    """Scale an image into `imgsz` and pad it no further than the stride of the network asks."""
    pixels, fit = letterbox(image_rgb, imgsz, multiple=PAD_MULTIPLE)
    return FittedImage(image_id, pixels, fit, (image_rgb.shape[1], image_rgb.shape[0]))


def read_images(
    images: Iterable[tuple[int, Path]], imgsz: int | InputSize, intake: Intake | None = None
) -> Iterator[FittedImage]:
    """Read images and fit them, in order and ahead of where they are needed; ids and paths in, images out."""

    def read(image: tuple[int, Path]) -> FittedImage:
        return fit_image(image[0], read_rgb(image[1], intake=intake), imgsz)

    return prefetched(images, read, ahead=_AHEAD)


def postprocess_of(settings: Evaluate, labels: tuple[int, ...] | None = None) -> Postprocess:
    """Return how boxes become detections by the settings of a config, of some class indices alone if given."""
    return Postprocess(
        score_floor=settings.score_floor,
        max_detections=settings.max_detections,
        nms_iou=None if settings.nms_iou == "auto" else settings.nms_iou,
        multi_label=settings.multi_label,
        agnostic=settings.agnostic,
        labels=labels,
    )


@torch.no_grad()
def run_batch(
    detector: Predictor,
    pixels: Sequence[RgbArray],
    options: Postprocess,
    *,
    precision: Precision = "fp32",
    forward: Callable[[torch.Tensor], Any] | None = None,
) -> list[Prediction]:
    """Run a detector in evaluation mode on fitted images of one shape; its boxes are in network pixels.

    Args:
        detector: The detector.
        pixels: (H, W, 3) uint8 RGB each.
        options: How its boxes become detections.
        precision: The arithmetic of the network; single precision is computed in full.
        forward: Runs in the place of the network, on its inputs.
    """
    device = device_of(detector.module)
    stacked = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
    images = detector.preprocess(stacked.to(device)).contiguous(memory_format=torch.channels_last)
    with full_precision(device) if precision == "fp32" else autocast(device, precision):
        outputs = detector.module(*detector.forward_args(images, None)) if forward is None else forward(images)
    with full_precision(device):  # boxes of half precision would lie up to 4 px off
        return detector.postprocess(outputs, options)


def in_image(image: FittedImage, prediction: Prediction) -> Prediction:
    """Return detections in pixels of the image, clipped to it; without those that are not finite or outside."""
    xyxy = clip(image.fit.to_image(prediction.xyxy), image.size_wh)
    finite = np.isfinite(xyxy).all(axis=1) & np.isfinite(prediction.scores)
    if not finite.all():
        logger.warning("image_id %d: %d boxes that are not finite are left out", image.image_id, (~finite).sum())
    inside = finite & (xyxy[:, 2] > xyxy[:, 0]) & (xyxy[:, 3] > xyxy[:, 1])  # nothing is left of a box in the padding
    return Prediction(xyxy[inside], prediction.scores[inside], prediction.labels[inside].astype(np.int64))


def predict(
    detector: Predictor,
    images: Iterable[FittedImage],
    *,
    settings: Evaluate,
    category_ids: Sequence[int],
    progress: Callable[[int], None] | None = None,
    forward: Callable[[torch.Tensor], Any] | None = None,
) -> Detections:
    """Run a detector over images, in full single precision whatever it was trained in.

    Args:
        detector: The detector; it is put into evaluation mode and back.
        images: Fitted images; those of one shape that follow each other share a batch.
        settings: Score floor, suppression and caps.
        category_ids: The category of each class index.
        progress: Called after each batch with its number of images.
        forward: Runs in the place of the network, on its inputs.

    Returns:
        Detections in image pixels, clipped to the image.
    """
    found: list[tuple[int, Prediction]] = []
    options = postprocess_of(settings)
    with evaluating(detector.module):
        for batch in _batches(images, settings.batch):
            predictions = run_batch(detector, [image.pixels for image in batch], options, forward=forward)
            found += [(image.image_id, in_image(image, row)) for image, row in zip(batch, predictions, strict=True)]
            if progress is not None:
                progress(len(batch))
    return detections_of(found, category_ids)


def detections_of(predictions: Sequence[tuple[int, Prediction]], category_ids: Sequence[int]) -> Detections:
    """Join what was detected in images.

    Args:
        predictions: image_id and the detections of each, in pixels of the image.
        category_ids: The category of each class index.
    """
    if not predictions:
        return Detections.empty()
    xyxy = np.concatenate([prediction.xyxy for _, prediction in predictions])
    columns = {
        "image_id": np.repeat([i for i, _ in predictions], [len(p.scores) for _, p in predictions]),
        "category_id": np.asarray(category_ids, np.int64)[np.concatenate([p.labels for _, p in predictions])],
        **dict(zip(XYXY, xyxy.T, strict=True)),
        "score": np.concatenate([prediction.scores for _, prediction in predictions]),
    }
    return Detections.from_columns(pl.DataFrame(columns))


def _batches(images: Iterable[FittedImage], size: int) -> Iterator[list[FittedImage]]:
    waiting: dict[tuple[int, ...], list[FittedImage]] = {}
    for image in images:
        batch = waiting.setdefault(image.pixels.shape, [])
        batch.append(image)
        if len(batch) == size:
            yield waiting.pop(image.pixels.shape)
    yield from waiting.values()


@contextmanager
def evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, and back."""
    was_training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was_training)
