"""Classes of the source that a detector goes on finding, in images whose annotations do not know them.

What the source itself finds of them stands in for the annotations: confident detections become targets, doubtful ones
ignored regions, so that a car beside a new traffic sign is never taught to be background.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from detect_transfer.config import Evaluate, Transfer
from detect_transfer.core.annotations import XYXY
from detect_transfer.core.boxes import iou
from detect_transfer.core.input_size import InputSize
from detect_transfer.core.intake import Intake
from detect_transfer.models import Detector
from detect_transfer.models.predict import predict, read_images
from detect_transfer.training.samples import SampleRef

logger = logging.getLogger(__name__)

_DOUBTFUL = 0.1  # detections below this score are no hint of an object
_SAME_OBJECT = 0.5  # iou from which on a detection is the annotated object under its old name
_SOFTMAX = ("fasterrcnn", "ssd")  # architectures whose classes share one softmax


def has_shared_softmax(arch: str) -> bool:
    """Tell whether the classes of an architecture share one softmax, so that teaching one moves the scores of all."""
    return arch.startswith(_SOFTMAX)


def with_keep_from(transfer: Transfer, arch: str) -> Transfer:
    """Return the transfer part with `keep_from`; where it has none, what forgets least of what `arch` can."""
    if transfer.keep_from is not None:
        return transfer
    return transfer.model_copy(update={"keep_from": "pseudo_labels" if has_shared_softmax(arch) else "untouched"})


def add_pseudo_labels(
    samples: Sequence[SampleRef],
    detector: Detector,
    label_of: Mapping[str, int],
    *,
    imgsz: InputSize,
    transfer: Transfer,
    intake: Intake | None = None,
) -> list[SampleRef]:
    """Add what the source detects of its kept classes to the training images.

    Args:
        samples: The training images.
        detector: The source, with its own classes.
        label_of: The label of each kept class in the new detector.
        imgsz: What images are scaled into for the source.
        transfer: From which score on a detection is a target, and whether any may be.
        intake: The window of values of more than 8 bits.

    Returns:
        The images with more targets and ignored regions; detections on an annotated object are left out.
    """
    label_of_index = {detector.class_names.index(name): label for name, label in label_of.items()}
    detections = predict(
        detector,
        read_images(((i, sample.path) for i, sample in enumerate(samples)), imgsz, intake),
        settings=Evaluate(score_floor=_DOUBTFUL),
        category_ids=range(len(detector.class_names)),
    ).rows.filter(pl.col("category_id").is_in(list(label_of_index)))
    by_image = {key[0]: rows for key, rows in detections.group_by("image_id")}
    added = [
        _add(sample, by_image[i], label_of_index, transfer) if i in by_image else sample
        for i, sample in enumerate(samples)
    ]
    targets = sum(len(sample.labels) for sample in added) - sum(len(sample.labels) for sample in samples)
    regions = sum(len(sample.ignored) for sample in added) - sum(len(sample.ignored) for sample in samples)
    logger.info("pseudo labels: %d detections of the source are targets, %d are ignored", targets, regions)
    return added


def _add(sample: SampleRef, rows: pl.DataFrame, label_of_index: Mapping[int, int], transfer: Transfer) -> SampleRef:
    xyxy = rows.select(XYXY).to_numpy()
    labels = np.array([label_of_index[index] for index in rows["category_id"]], dtype=np.int64)
    new = (iou(xyxy, sample.xyxy) < _SAME_OBJECT).all(axis=1)
    sure = rows["score"].to_numpy() >= transfer.keep_score
    if transfer.keep_from == "ignore":
        sure = np.zeros_like(sure)
    return replace(
        sample,
        xyxy=np.concatenate([sample.xyxy, xyxy[new & sure]]),
        labels=np.concatenate([sample.labels, labels[new & sure]]),
        ignored=np.concatenate([sample.ignored, xyxy[new & ~sure]]),
    )
