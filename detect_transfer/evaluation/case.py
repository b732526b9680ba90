"""`Case`: truth and detections as every metric takes them, with what several metrics share worked out once."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.evaluation.arrays import (
    EVERY_CLASS,
    DetectionArrays,
    FloatArray,
    IgnorePolicy,
    IntArray,
    TruthArrays,
    detection_arrays,
    truth_arrays,
)
from detect_transfer.evaluation.assignment import Pairs, in_turn, joined, overlapping, starts
from detect_transfer.evaluation.coco.accumulate import Tables, accumulate
from detect_transfer.evaluation.matching import Matches, match

LEAST_OVERLAP = 0.5  # of the pairs that metrics share; those that need less look for themselves


@dataclass(frozen=True)
class Overlaps:
    """Pairs of one image and class that overlap by `LEAST_OVERLAP` or more.

    Args:
        iou: With every truth box that has a class, by intersection over union; in the order of `assign.in_turn`.
        ioa: The same and the regions of every class, by intersection over the area of the detection.
    """

    iou: Pairs
    ioa: Pairs


@dataclass(frozen=True)
class Case:
    """What is scored.

    Args:
        truth: All images that were predicted on, with their boxes and classes.
        detections: What was found.
        ignore_policy: `region` or `strict`, see `policy`; every protocol but COCO's is defined for `region`.

    Raises:
        InputError: When first used, if the truth has no image or a detection names an unknown id.
    """

    truth: AnnotationTable
    detections: Detections
    ignore_policy: IgnorePolicy = "region"

    @cached_property
    def known(self) -> TruthArrays:
        """The truth as arrays."""
        return truth_arrays(self.truth, ignore_policy=self.ignore_policy)

    @cached_property
    def found(self) -> DetectionArrays:
        """The detections as arrays."""
        return detection_arrays(self.detections, self.known)

    @cached_property
    def names(self) -> list[str]:
        """The names (K,) of the classes, in the order of `known.category_ids`."""
        return self.truth.class_names

    @cached_property
    def n_images(self) -> int:
        """How many images there are, empty ones among them."""
        return len(self.known.image_ids)

    @cached_property
    def rank(self) -> IntArray:
        """The turn (D,) of each detection: by falling score, of equal ones by image and row, as pycocotools does."""
        rank = np.empty(len(self.found.score), np.int64)
        rank[np.lexsort((self.found.image, -self.found.score))] = np.arange(len(rank))
        return rank

    @cached_property
    def by_turn(self) -> IntArray:
        """The detections (D,) sorted by turn."""
        return np.argsort(self.rank)

    @cached_property
    def by_class(self) -> IntArray:
        """The detections (D,) sorted by class, within it by turn."""
        return np.lexsort((self.rank, self.found.category))

    @cached_property
    def overlaps(self) -> Overlaps:
        """The shared pairs of the boxes as they are."""
        found, truth = self.found.xywh, self.known.xywh
        iou = pairs_of(self, found, truth, LEAST_OVERLAP)
        return Overlaps(in_turn(iou, self.rank), pairs_of(self, found, truth, LEAST_OVERLAP, by_own_area=True))

    @cached_property
    def prepared(self) -> dict[Hashable, tuple[FloatArray, Overlaps]]:
        """Boxes and pairs as protocols want them, kept by what they did to the boxes."""
        return {}

    @cached_property
    def excusing(self) -> Pairs:
        """The pairs with objects by IoU and with regions by the share of the detection, together in turn."""
        iou, ioa = self.overlaps.iou, self.overlaps.ioa
        objects, regions = self.known.is_object, self.known.is_region
        return in_turn(joined([iou.take(objects[iou.truth]), ioa.take(regions[ioa.truth])]), self.rank)

    @cached_property
    def matches(self) -> Matches:
        """The matching at IoU .5."""
        return match(self.truth, self.detections, ignore_policy=self.ignore_policy)

    @cached_property
    def coco_tables(self) -> Tables:
        """What COCO accumulates with at most 100 detections of a class in an image."""
        return accumulate(self.known, self.found, 100)

    @cached_property
    def class_bounds(self) -> IntArray:
        """Where (K + 1,) the detections of each class begin in `by_class`."""
        return np.searchsorted(self.found.category[self.by_class], np.arange(len(self.names) + 1))

    @cached_property
    def place_by_class(self) -> IntArray:
        """The place (D,) of each detection in `by_class`."""
        place = np.empty(len(self.by_class), np.int64)
        place[self.by_class] = np.arange(len(place))
        return place

    @cached_property
    def place_in_class(self) -> IntArray:
        """How many detections (D,) of the same image and class come before, by turn."""
        return self._place(self.found.image * max(1, len(self.names)) + self.found.category)

    @cached_property
    def place_in_image(self) -> IntArray:
        """How many detections (D,) of the same image come before, by turn."""
        return self._place(self.found.image)

    def _place(self, group: IntArray) -> IntArray:
        order = np.lexsort((self.rank, group))
        first = np.flatnonzero(starts(group[order]))
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order)) - np.repeat(first, np.diff(np.append(first, len(order))))
        return place


def pairs_of(
    case: Case, found_xywh: FloatArray, truth_xywh: FloatArray, least: float, *, by_own_area: bool = False
) -> Pairs:
    """List the pairs of one image and class that overlap enough, of boxes that a protocol may have changed.

    Args:
        case: Says which image and class the boxes are of.
        found_xywh: (D, 4) detections.
        truth_xywh: (N, 4) truth boxes.
        least: The least overlap.
        by_own_area: Divide by the area of the detection, and list those with regions of every class too.
    """
    known, found, n = case.known, case.found, max(1, len(case.names))
    of_class, of_every = (np.flatnonzero(which) for which in (known.category >= 0, known.category == EVERY_CLASS))
    groups = [(of_class, found.image * n + found.category, known.image * n + known.category)]
    if by_own_area:
        groups.append((of_every, found.image, known.image))
    parts = []
    for rows, found_key, key in groups:
        part = overlapping(found_key, found_xywh, key[rows], truth_xywh[rows], threshold=least, by_own_area=by_own_area)
        parts.append(Pairs(part.found, rows[part.truth], part.overlap))
    return joined(parts)


def tolerate(case: Case, neighbours: Mapping[str, tuple[str, ...]]) -> Case:
    """Add the boxes of neighbouring classes to a class as ignored boxes, so that it is no error to find them.

    Args:
        case: What is scored; it is not changed.
        neighbours: Class name to the names of its neighbours, in any case; names that do not occur do nothing.

    Returns:
        The same case where no neighbour occurs.
    """
    truth = case.truth
    ids = {name.casefold(): i for i, name in truth.categories.select("category_id", "name").iter_rows()}
    rows = truth.boxes.with_row_index("_place")
    added = [
        rows.filter(pl.col("category_id") == ids[other.casefold()]).with_columns(
            category_id=pl.lit(ids[name.casefold()], pl.Int64),
            ignore=pl.lit(True),
            ignore_reason=pl.lit("neighbouring class"),
        )
        for name, others in neighbours.items()
        for other in others
        if name.casefold() in ids and other.casefold() in ids
    ]
    if not added:
        return case
    # at their place, as KITTI asks the truth boxes in the order of the file
    together = pl.concat([rows, *added]).sort("_place", maintain_order=True).drop("_place")
    boxes = together.with_columns(annotation_id=pl.int_range(pl.len(), dtype=pl.Int64))
    return Case(truth.with_boxes(boxes), case.detections)
