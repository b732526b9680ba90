"""What a detector finds, counted as the classes of a truth, of which one may be several of the detector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from torchvision.ops import batched_nms

from detect_transfer.core.annotations import XYXY, AnnotationTable, Detections
from detect_transfer.workflows.thresholds import above_thresholds, at_thresholds
from detect_transfer.workflows.trained_detector import TrainedDetector


@dataclass(frozen=True)
class MergedClasses:
    """Which class of a truth each class of a detector counts as.

    Args:
        class_names: The classes of the detector in order.
        truth_names: Class of the detector to class of the truth, of those that count.
        category_ids: The id of each class of the truth.
        nms_iou: Overlap from which the lower of two boxes leaves, where several classes count as one.
    """

    class_names: tuple[str, ...]
    truth_names: Mapping[str, str]
    category_ids: Mapping[str, int]
    nms_iou: float

    @classmethod
    def of(cls, trained: TrainedDetector, truth: AnnotationTable) -> MergedClasses:
        """Return what the classes of a detector count as in a truth."""
        ids = dict(truth.categories.select("name", "category_id").iter_rows())
        named = {name: trained.truth_names.get(name, name) for name in trained.class_names}
        own = trained.settings.nms_iou
        return cls(
            trained.class_names,
            {name: other for name, other in named.items() if other is not None and other in ids},
            ids,
            trained.detector.nms_iou if own == "auto" else own,
        )

    def apply(self, detections: Detections) -> Detections:
        """Return detections with the categories of the truth; two of one object, of merged classes, become one.

        Args:
            detections: Their categories are the indices of the detector's classes; those that do not count leave.
        """
        category_of = {
            i: self.category_ids[self.truth_names[name]]
            for i, name in enumerate(self.class_names)
            if name in self.truth_names
        }
        rows = detections.rows.filter(pl.col("category_id").is_in(list(category_of))).with_columns(
            pl.col("category_id").replace_strict(category_of, return_dtype=pl.Int64)
        )
        merged = [category for category, count in Counter(category_of.values()).items() if count > 1]
        doubtful = rows["category_id"].is_in(merged).to_numpy()
        if not doubtful.any():
            return Detections(rows)
        part = rows.filter(doubtful)
        keys = part.select("image_id", "category_id").to_numpy()
        groups = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
        left = batched_nms(
            torch.from_numpy(part.select(XYXY).to_numpy().copy()),
            torch.from_numpy(part["score"].to_numpy().copy()),
            torch.from_numpy(groups),
            self.nms_iou,
        )
        stays = ~doubtful
        stays[np.flatnonzero(doubtful)[left.numpy()]] = True
        return Detections(rows.filter(stays))

    def at_thresholds(
        self, truth: AnnotationTable, detections: Detections, thresholds: Mapping[str, float]
    ) -> dict[str, dict[str, float | None]]:
        """Count as `at_thresholds`; each class of the detector by its own threshold, before classes are merged.

        Args:
            truth: The truth.
            detections: As for `apply`.
            thresholds: The score threshold of each class of the detector; what is found of one without is left out.
        """
        classes = pl.DataFrame({"category_id": range(len(self.class_names)), "name": self.class_names})
        above = above_thresholds(detections, classes, thresholds)
        by_truth: dict[str, dict[str, float]] = {}
        for name, other in self.truth_names.items():
            if name in thresholds:
                by_truth.setdefault(other, {})[name] = thresholds[name]
        return at_thresholds(truth, self.apply(above), by_truth)
