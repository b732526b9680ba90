"""`Case`: truth and detections as every metric takes them, with what several metrics share computed once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import polars as pl

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.arrays import FloatArray, IntArray
from detect_transfer.core.class_names import match_class_names
from detect_transfer.evaluation.arrays import (
    EVERY_CLASS,
    DetectionArrays,
    IgnorePolicy,
    TruthArrays,
    detection_arrays,
    truth_arrays,
)
from detect_transfer.evaluation.assignment import KeyedBoxes, Pairs, in_turn, joined, overlap_pairs, starts

LEAST_OVERLAP = 0.5  # of the pairs of one class that metrics share
LEAST_NEAR = 0.1  # of the pairs of any class

T = TypeVar("T")


@dataclass(frozen=True)
class Overlaps:
    """Pairs of one image and class that overlap enough.

    Args:
        iou: With every truth box that has a class, by intersection over union; in the order of `in_turn`.
        ioa: The same and the regions of every class, by intersection over the area of the detection.
    """

    iou: Pairs
    ioa: Pairs


@dataclass(frozen=True)
class Case:
    """What is scored.

    Args:
        truth: All images that were predicted on, with their boxes and classes.
        detections: The detections on them.
        ignore_policy: `region` or `strict`, see `arrays`; every protocol but COCO's is defined for `region`.

    Raises:
        InputError: When first used, if the truth has no image or a detection names an unknown id.
    """

    truth: AnnotationTable
    detections: Detections
    ignore_policy: IgnorePolicy = "region"

    @cached_property
    def gt(self) -> TruthArrays:
        """The truth as arrays."""
        return truth_arrays(self.truth, ignore_policy=self.ignore_policy)

    @cached_property
    def dt(self) -> DetectionArrays:
        """The detections as arrays."""
        return detection_arrays(self.detections, self.gt)

    @cached_property
    def names(self) -> list[str]:
        """The names (K,) of the classes, in the order of `gt.category_ids`."""
        return self.truth.class_names

    @cached_property
    def n_images(self) -> int:
        """How many images there are, empty ones among them."""
        return len(self.gt.image_ids)

    @cached_property
    def rank(self) -> IntArray:
        """The rank (D,) of each detection: by falling score, of equal ones by image and row, as pycocotools does."""
        return _inverse(np.lexsort((self.dt.image, -self.dt.score)))

    @cached_property
    def by_rank(self) -> IntArray:
        """The detections (D,) sorted by rank."""
        return np.argsort(self.rank)

    @cached_property
    def by_class(self) -> IntArray:
        """The detections (D,) sorted by class, within it by rank."""
        return np.lexsort((self.rank, self.dt.category))

    @cached_property
    def overlaps(self) -> Overlaps:
        """The pairs of the boxes as they are, from `LEAST_OVERLAP` on."""
        return overlaps_of(self, self.dt.xywh, self.gt.xywh, LEAST_OVERLAP)

    @cached_property
    def near(self) -> Pairs:
        """The pairs of an image whatever their classes, of detections with objects, from `LEAST_NEAR` on."""
        return near_pairs(self, LEAST_NEAR)

    @cached_property
    def excusing(self) -> Pairs:
        """The pairs with objects by IoU and with regions by the share of the detection, in the order of `in_turn`."""
        iou, ioa = self.overlaps.iou, self.overlaps.ioa
        return in_turn(joined([iou.take(self.gt.is_object[iou.gt]), ioa.take(self.gt.is_region[ioa.gt])]), self.rank)

    @cached_property
    def class_bounds(self) -> IntArray:
        """Where (K + 1,) the detections of each class begin in `by_class`."""
        return np.searchsorted(self.dt.category[self.by_class], np.arange(len(self.names) + 1))

    @cached_property
    def position_by_class(self) -> IntArray:
        """The position (D,) of each detection in `by_class`."""
        return _inverse(self.by_class)

    @cached_property
    def rank_in_class(self) -> IntArray:
        """How many detections (D,) of the same image and class come before, by rank."""
        return self._rank_within(self.dt.image * max(1, len(self.names)) + self.dt.category)

    @cached_property
    def rank_in_image(self) -> IntArray:
        """How many detections (D,) of the same image come before, by rank."""
        return self._rank_within(self.dt.image)

    def _rank_within(self, group: IntArray) -> IntArray:
        order = np.lexsort((self.rank, group))
        first = np.flatnonzero(starts(group[order]))
        position = np.empty(len(order), np.int64)
        position[order] = np.arange(len(order)) - np.repeat(first, np.diff(np.append(first, len(order))))
        return position

    @cached_property
    def _results(self) -> dict[Hashable, Any]:
        return {}

    def shared(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return what `compute` returns, computed once for each key."""
        if key not in self._results:
            self._results[key] = compute()
        result: T = self._results[key]
        return result


def _inverse(order: IntArray) -> IntArray:
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    return position


def overlaps_of(
    case: Case, dt_xywh: FloatArray, gt_xywh: FloatArray, least: float, *, region_xywh: FloatArray | None = None
) -> Overlaps:
    """List the pairs of one image and class that overlap enough, of boxes that a protocol may have changed.

    Args:
        case: The images and classes of the boxes.
        dt_xywh: (D, 4) detections.
        gt_xywh: (N, 4) truth boxes.
        least: The least overlap.
        region_xywh: (N, 4) truth boxes for the share of the detection, where they are others.
    """
    gt, dt, n = case.gt, case.dt, max(1, len(case.names))
    regions = gt_xywh if region_xywh is None else region_xywh
    rows, every = np.flatnonzero(gt.category >= 0), np.flatnonzero(gt.category == EVERY_CLASS)
    detections = KeyedBoxes(dt.image * n + dt.category, dt_xywh)
    key = (gt.image * n + gt.category)[rows]
    iou, ioa = overlap_pairs(detections, KeyedBoxes(key, gt_xywh[rows]), least, kinds=("iou", "ioa"))
    if region_xywh is not None:
        (ioa,) = overlap_pairs(detections, KeyedBoxes(key, regions[rows]), least, kinds=("ioa",))
    shares = [ioa.with_gt_rows(rows)]
    if len(every):
        of_images, of_regions = KeyedBoxes(dt.image, dt_xywh), KeyedBoxes(gt.image[every], regions[every])
        shares += [pairs.with_gt_rows(every) for pairs in overlap_pairs(of_images, of_regions, least, kinds=("ioa",))]
    return Overlaps(in_turn(iou.with_gt_rows(rows), case.rank), joined(shares))


def near_pairs(case: Case, least: float) -> Pairs:
    """List the pairs of one image, whatever their classes, of detections with objects that overlap enough by IoU."""
    objects = np.flatnonzero(case.gt.is_object)
    boxes = KeyedBoxes(case.gt.image[objects], case.gt.xywh[objects])
    (pairs,) = overlap_pairs(KeyedBoxes(case.dt.image, case.dt.xywh), boxes, least)
    return pairs.with_gt_rows(objects)


def tolerate(case: Case, neighbours: Mapping[str, tuple[str, ...]]) -> Case:
    """Add the boxes of neighbouring classes to a class as ignored boxes, so that detecting them is no error.

    Args:
        case: What is scored; it is not changed.
        neighbours: Class name to the names of its neighbours, as `match_class_names` takes them; those that do
            not occur do nothing.

    Returns:
        The same case where no neighbour occurs.
    """
    truth = case.truth
    id_of = dict(truth.categories.select("name", "category_id").iter_rows())
    same = match_class_names({*neighbours, *(other for others in neighbours.values() for other in others)}, id_of)
    ids = {name: id_of[own] for name, own in same.items()}
    rows = truth.boxes.with_row_index("_row")
    added = [
        rows.filter(pl.col("category_id") == ids[other]).with_columns(
            category_id=pl.lit(ids[name], pl.Int64),
            ignore=pl.lit(True),
            ignore_reason=pl.lit("neighbouring class"),
        )
        for name, others in neighbours.items()
        for other in others
        if name in ids and other in ids
    ]
    if not added:
        return case
    # each beside the box that it copies, as KITTI goes through the truth boxes in the order of the file
    together = pl.concat([rows, *added]).sort("_row", maintain_order=True).drop("_row")
    boxes = together.with_columns(annotation_id=pl.int_range(pl.len(), dtype=pl.Int64))
    return Case(truth.with_boxes(boxes), case.detections)
