"""The training images as a list: files, targets, ignored regions, and how often each is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.arrays import FloatArray

_FREQUENT = 0.1  # share of the images from which on a class is not repeated


@dataclass(frozen=True)
class SampleRef:
    """A training image: its file, its targets, and the regions that are neither target nor background."""

    path: Path
    xyxy: FloatArray  # (N, 4) image pixels
    labels: NDArray[np.int64]  # (N,) class indices
    ignored: FloatArray  # (M, 4) image pixels


def samples_of(table: AnnotationTable, paths: dict[int, Path]) -> list[SampleRef]:
    """Return a sample an image, in the order of the table.

    Args:
        table: Images and boxes; class indices follow the order of `category_id`.
        paths: The file of each image_id.
    """
    label_of = {c: i for i, c in enumerate(table.categories["category_id"].sort())}
    by_image = {key[0]: group for key, group in table.boxes.group_by("image_id", maintain_order=True)}
    samples = []
    for image_id in table.images["image_id"]:
        boxes = by_image.get(image_id)
        if boxes is None:
            samples.append(SampleRef(paths[image_id], np.empty((0, 4)), np.empty(0, np.int64), np.empty((0, 4))))
            continue
        out = boxes["ignore"].to_numpy() | boxes["iscrowd"].to_numpy()
        xyxy = boxes.select(XYXY).to_numpy()
        labels = np.array([label_of[c] for c in boxes["category_id"].to_numpy()[~out]], dtype=np.int64)
        samples.append(SampleRef(paths[image_id], xyxy[~out], labels, xyxy[out]))
    return samples


def repeat_factors(samples: Sequence[SampleRef], *, frequent: float = _FREQUENT) -> FloatArray:
    """Return how often each image is shown in an epoch, 1 or more: rare classes are repeated.

    A class in a share f of the images has the factor max(1, sqrt(frequent / f)); an image has the greatest factor of
    its classes.

    Source: Gupta et al. 2019, "LVIS", section 4.2 (repeat factor sampling).
    """
    labels_of = [np.unique(sample.labels) for sample in samples]
    count = np.bincount(np.concatenate([*labels_of, np.empty(0, np.int64)])) if labels_of else np.zeros(0)
    share = count / max(1, len(samples))
    with np.errstate(divide="ignore"):
        factor = np.maximum(1.0, np.sqrt(frequent / share))
    return np.array([factor[labels].max() if len(labels) else 1.0 for labels in labels_of])


def class_weights(samples: Sequence[SampleRef], n_classes: int) -> FloatArray:
    """Return the weight (K,) of each class in the loss: the inverse root of its boxes, with a mean of 1.

    A class without boxes has the weight of one with a single box.
    """
    labels = np.concatenate([*[sample.labels for sample in samples], np.empty(0, np.int64)])
    weight = 1.0 / np.sqrt(np.maximum(np.bincount(labels, minlength=n_classes), 1))
    return np.asarray(weight / weight.mean(), dtype=np.float64)
