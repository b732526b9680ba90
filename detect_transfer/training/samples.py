"""The training images as a list: files, targets, ignored regions, and how often each is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.arrays import FloatArray
from detect_transfer.core.input_size import InputSize
from detect_transfer.data.box_checks import scaled_into

_FREQUENT = 0.1  # share of the images from which on a class is not repeated
REPEATING = ("repeat", "both")  # of `train.class_balance`


@dataclass(frozen=True)
class SampleRef:
    """A training image: its file, its targets, and the regions that are neither target nor background."""

    path: Path
    xyxy: FloatArray  # (N, 4) image pixels
    labels: NDArray[np.int64]  # (N,) class indices
    ignored: FloatArray  # (M, 4) image pixels


class TrainSamples(Sequence[SampleRef]):
    """The training images of a table, held as a few columns: objects would be copied by every loading process.

    Args:
        table: Images and boxes; class indices follow the order of `category_id`.
        paths: The file of each image_id.
    """

    def __init__(self, table: AnnotationTable, paths: Mapping[int, Path]) -> None:
        self._paths = paths
        self._image_ids = table.images["image_id"].to_numpy()
        rows = table.images.select("image_id").with_row_index("row")
        boxes = table.boxes.join(rows, on="image_id").sort("row", maintain_order=True)
        out = boxes["ignore"].to_numpy() | boxes["iscrowd"].to_numpy()
        category_ids = table.categories["category_id"].sort().to_numpy()
        edges = np.arange(len(rows) + 1)
        self._xyxy, self._ignored = (boxes.select(XYXY).to_numpy()[part] for part in (~out, out))
        self._labels = np.searchsorted(category_ids, boxes["category_id"].to_numpy()[~out]).astype(np.int64)
        row_of_box = boxes["row"].to_numpy()
        self._first_target, self._first_ignored = (np.searchsorted(row_of_box[part], edges) for part in (~out, out))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._image_ids)

    @overload
    def __getitem__(self, index: int) -> SampleRef: ...

    @overload
    def __getitem__(self, index: slice) -> list[SampleRef]: ...

    def __getitem__(self, index: int | slice) -> SampleRef | list[SampleRef]:
        """Return an image, or a list of them."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        row = range(len(self))[index]
        targets, ignored = (slice(*first[row : row + 2]) for first in (self._first_target, self._first_ignored))
        path = self._paths[int(self._image_ids[row])]
        return SampleRef(path, self._xyxy[targets], self._labels[targets], self._ignored[ignored])


def box_sizes(table: AnnotationTable, imgsz: int | InputSize) -> FloatArray:
    """Return width and height (N, 2) of the boxes that count, in network pixels."""
    rows = table.boxes.filter(~pl.col("ignore") & ~pl.col("iscrowd")).join(table.images, on="image_id")
    scale = scaled_into(InputSize.of(imgsz), pl.lit(1.0))
    return rows.select((pl.col("x2") - pl.col("x1")) * scale, (pl.col("y2") - pl.col("y1")) * scale).to_numpy()


def box_sides(table: AnnotationTable, imgsz: int | InputSize) -> FloatArray:
    """Return the roots (N,) of the areas of the boxes that count, in network pixels."""
    return np.asarray(np.sqrt(np.prod(box_sizes(table, imgsz), axis=1)), dtype=np.float64)


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
