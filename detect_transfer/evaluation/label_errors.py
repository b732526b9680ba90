"""Labels that are most likely wrong: where a detector that has not seen an image is sure of something else.

Three kinds, each with a suspicion in [-1, 1] that is higher the surer the detector is: an object without a label
(`missing`), a label whose box is elsewhere (`location`), a label of another class (`class`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from detect_transfer.core.annotations import XYXY, AnnotationTable, Detections
from detect_transfer.core.arrays import BoolArray, FloatArray, IntArray
from detect_transfer.core.boxes import ioa, iou

KINDS = ("missing", "location", "class")
_SAME_PLACE = 0.5  # a detection that overlaps a label so much says what class is there
_LABELLED = 0.3  # a detection that no label overlaps so much is an object without one
_WELL_PLACED = 0.8
_TOUCHING = 0.1
_SCHEMA = {
    **{"kind": pl.String, "image_id": pl.Int64, "annotation_id": pl.Int64, "category_id": pl.Int64},
    **{"suggested_id": pl.Int64, **dict.fromkeys(XYXY, pl.Float64), "suspicion": pl.Float64},
}


@dataclass(frozen=True)
class _Image:
    """The labels and detections of an image, and their overlaps (labels, detections)."""

    image_id: int
    ids: IntArray
    classes: IntArray
    is_object: BoolArray
    detections: FloatArray
    detected: IntArray
    scores: FloatArray
    overlap: FloatArray
    in_region: FloatArray

    @property
    def is_same(self) -> BoolArray:
        """Which detections are of the class of which label."""
        return np.asarray(self.classes[:, None] == self.detected[None, :])


def label_errors(truth: AnnotationTable, detections: Detections) -> pl.DataFrame:
    """Return every label, and every detection without one, with how much speaks against it, the most first.

    Per label: `class` is the best score of another class at IoU > .5 less that of its own; `location` is the best score
    of its own class at IoU < .8 less the largest score x IoU. Per detection without an annotation at IoU >= .3:
    `missing` is its score; of detections that overlap each other the best one stands for all. Crowds and ignored
    regions are no labels, and excuse what lies in them. A label is listed once, as the kind that is more suspicious.

    Args:
        truth: Images and labels.
        detections: Of a detector that was not trained on these images, with low scores as well.

    Returns:
        `kind`, `image_id`, `annotation_id` (null for `missing`), `category_id` of the label, and of the detection that
        speaks against it `suggested_id` (its class), `x1` to `y2` in pixels; `suspicion` in [-1, 1].

    Source: the task is that of ObjectLab (Tkachenko et al., https://arxiv.org/abs/2309.00832), the rule our own;
    tools/benchmarks/label_errors.py compares the two.
    """
    rows = [row for image in _images(truth, detections) for row in (*_labels(image), *_missing(image))]
    frame = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    return frame.sort("suspicion", "image_id", descending=[True, False], maintain_order=True)


def _images(truth: AnnotationTable, detections: Detections) -> Iterator[_Image]:
    is_region = pl.col("ignore") | pl.col("iscrowd")
    labels = truth.boxes.select(
        "image_id", "annotation_id", pl.col("category_id").fill_null(-1), *XYXY, region=is_region
    )
    of_image = {int(i): rows for (i,), rows in labels.group_by("image_id", maintain_order=True)}
    detected = {int(i): rows for (i,), rows in detections.rows.group_by("image_id", maintain_order=True)}
    for image_id in truth.images["image_id"]:
        rows, scored_rows = of_image.get(image_id, labels.clear()), detected.get(image_id)
        if scored_rows is None:
            continue
        corners, boxes = rows.select(XYXY).to_numpy(), scored_rows.select(XYXY).to_numpy()
        is_object = ~rows["region"].to_numpy()
        yield _Image(
            image_id,
            rows["annotation_id"].to_numpy(),
            rows["category_id"].to_numpy(),
            is_object,
            boxes,
            scored_rows["category_id"].to_numpy(),
            scored_rows["score"].to_numpy(),
            iou(corners, boxes),
            ioa(boxes, corners[~is_object]).max(axis=1, initial=0.0),
        )


def _labels(image: _Image) -> Iterator[tuple[Any, ...]]:
    """Give a row for each label that a detection touches."""
    near = image.overlap > _SAME_PLACE
    own = image.is_same
    others = np.where(near & ~own, image.scores, 0.0)
    class_suspicion = others.max(axis=1, initial=0.0) - np.where(near & own, image.scores, 0.0).max(axis=1, initial=0.0)
    # a detection speaks of the label of its class that it overlaps most
    nearest = np.where(own, image.overlap, -1.0)
    is_nearest = (nearest == nearest.max(axis=0, initial=-1.0)) & own
    displaced = np.where(is_nearest & (image.overlap > _TOUCHING) & (image.overlap < _WELL_PLACED), image.scores, 0.0)
    placed = (np.where(own, image.overlap, 0.0) * image.scores).max(axis=1, initial=0.0)
    location_suspicion = displaced.max(axis=1, initial=0.0) - placed
    for i in map(int, np.flatnonzero(image.is_object & (image.overlap.max(axis=1, initial=0.0) > _TOUCHING))):
        is_class = class_suspicion[i] >= location_suspicion[i]
        against = int((others if is_class else displaced)[i].argmax())
        kind, suspicion = ("class", class_suspicion[i]) if is_class else ("location", location_suspicion[i])
        yield _row(image, kind, against, suspicion, label=i)


def _missing(image: _Image) -> Iterator[tuple[Any, ...]]:
    """Give a row for each detection without a label, the best of those that overlap each other."""
    free = (image.overlap.max(axis=0, initial=0.0) < _LABELLED) & (image.in_region < _SAME_PLACE)
    order = np.flatnonzero(free)[np.argsort(-image.scores[free], kind="stable")]
    taken = np.empty((0, 4))
    for i in order:
        box = image.detections[i : i + 1]
        if iou(taken, box).max(initial=0.0) < _SAME_PLACE:
            taken = np.vstack([taken, box])
            yield _row(image, "missing", int(i), image.scores[i])


def _row(image: _Image, kind: str, against: int, suspicion: float, label: int | None = None) -> tuple[Any, ...]:
    of_label = (None, None) if label is None else (int(image.ids[label]), int(image.classes[label]))
    corners = image.detections[against].tolist()
    return kind, image.image_id, *of_label, int(image.detected[against]), *corners, float(suspicion)
