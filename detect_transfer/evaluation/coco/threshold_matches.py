"""What every detection is at each of COCO's ten IoU thresholds, and the units that a draw of images is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.arrays import BoolArray, FloatArray, IntArray
from detect_transfer.evaluation.assignment import match_in_turn
from detect_transfer.evaluation.case import Case

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
SMALL_AREA = 32.0**2  # square pixels, the largest of COCO's range `small`


@dataclass(frozen=True)
class ThresholdMatches:
    """What every detection is at every IoU threshold, sorted by class, within it by falling score and image.

    Args:
        unit: (D,) unit of the image of each detection.
        category: (D,) position of its class.
        image: (D,) position of its image.
        score: (D,) its score.
        tp: (T, D) whether it is a true positive.
        counted: (T, D) whether it is a true or a false positive.
        objects: (U, K) how many objects of each class each unit has.
    """

    unit: IntArray
    category: IntArray
    image: IntArray
    score: FloatArray
    tp: BoolArray
    counted: BoolArray
    objects: IntArray


def units_of(truth: AnnotationTable) -> tuple[IntArray, int]:
    """Return the unit (N,) of each image in order of image_id, and how many units there are.

    Images of one `group` (a video, a sequence) are one unit, as they are not independent; an image without is its own.
    Units are numbered by the names of groups and images, so that the same seed draws the same ones from any order of
    the same images; the last part of a name comes first, as a data folder keeps it and moves the image.
    """
    alone = pl.col("group").is_null()
    last = pl.col("file_name").str.split("/").list.last().str.replace(r"\.[^.]*$", "")
    keys = truth.images.select(
        "image_id",
        pl.coalesce("group", last).alias("last"),
        pl.coalesce("group", "file_name").alias("name"),
        pl.when(alone).then("image_id").alias("alone"),
    ).sort("image_id")
    units = keys.select("last", "name", "alone").unique().sort("last", "name", "alone").with_row_index("unit")
    unit = keys.join(units, on=["last", "name", "alone"], how="left", nulls_equal=True, maintain_order="left")["unit"]
    return unit.cast(pl.Int64).to_numpy(), units.height


def match_at_thresholds(case: Case, *, max_detections: int = 100, largest: float | None = None) -> ThresholdMatches:
    """Match at all ten IoU thresholds as COCO does.

    Args:
        case: What is scored.
        max_detections: How many detections of a class count in an image.
        largest: Square pixels up to which an object counts, as for COCO's area range `small`; None counts them all.

    Raises:
        InputError: The truth has no image, or a detection names an unknown id.

    Source:
        pycocotools 2.0.11, `COCOeval.evaluateImg`.
    """
    gt = case.gt
    included = case.rank_in_class < max_detections
    pairs = case.excusing.take(included[case.excusing.dt])
    regions = gt.is_region[pairs.gt]
    objects = gt.is_object if largest is None else gt.is_object & (gt.area <= largest)
    tp, counted = (np.zeros((len(IOU_THRESHOLDS), len(included)), bool) for _ in range(2))
    for at, threshold in enumerate(IOU_THRESHOLDS):
        enough = pairs.overlap >= threshold
        matched = match_in_turn(pairs.take(enough & ~regions & objects[pairs.gt]), case.rank, len(gt.image))
        tp[at, matched.dt] = True
        excused = np.zeros(len(included), bool)
        excused[pairs.dt[enough & regions]] = True
        if largest is not None:
            left = enough & ~objects[pairs.gt] & ~tp[at, pairs.dt]
            excused[match_in_turn(pairs.take(left), case.rank, len(gt.image), unlimited=gt.is_region).dt] = True
            excused |= case.dt.xywh[:, 2] * case.dt.xywh[:, 3] > largest
        counted[at] = included & (tp[at] | ~excused)
    return threshold_matches_of(case, tp, counted, objects)


def threshold_matches_of(
    case: Case, tp: BoolArray, counted: BoolArray, are_objects: BoolArray | None = None
) -> ThresholdMatches:
    """Sort the statuses (T, D) of the detections, which are in row order; those that never count are left out.

    Args:
        case: What is scored.
        tp: (T, D) which are true positives.
        counted: (T, D) which are true or false positives.
        are_objects: (N,) truth boxes that are to be detected; None takes all objects.
    """
    gt, dt = case.gt, case.dt
    are_objects = gt.is_object if are_objects is None else are_objects
    unit, n_units = units_of(case.truth)
    objects = np.zeros((n_units, len(case.names)), np.int64)
    np.add.at(objects, (unit[gt.image[are_objects]], gt.category[are_objects]), 1)
    ever = np.asarray(counted.any(axis=0))
    rows = case.by_class[ever[case.by_class]]
    image = dt.image[rows]
    return ThresholdMatches(
        unit[image], dt.category[rows], image, dt.score[rows], tp[:, rows], counted[:, rows], objects
    )


def side_by_side(a: ThresholdMatches, b: ThresholdMatches) -> ThresholdMatches:
    """Put two sets of detections of the same images into one, the units of `b` after those of `a`.

    Weights that give a unit of `a` what they take from that of `b` choose, image by image, which set is scored.
    """
    n = len(a.objects)
    unit = np.concatenate([a.unit, b.unit + n])
    category, image, score = (
        np.concatenate([getattr(a, name), getattr(b, name)]) for name in ("category", "image", "score")
    )
    order = np.lexsort((image, -score, category))
    tp, counted = (np.concatenate([getattr(a, name), getattr(b, name)], axis=1) for name in ("tp", "counted"))
    objects = np.concatenate([a.objects, b.objects])
    unit, category, image, score = (column[order] for column in (unit, category, image, score))
    return ThresholdMatches(unit, category, image, score, tp[:, order], counted[:, order], objects)
