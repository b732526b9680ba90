"""The bootstrap: one set of detections, scored on many draws of the images.

Draws are made of units: an image, or all images of one `group` (a video, a sequence), as the images of a group are not
independent and an interval over them would be far too narrow. The same seed gives the same draws, so that two sets of
detections of the same images are compared draw by draw.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detect_transfer.core.arrays import FloatArray, IntArray
from detect_transfer.core.errors import InputError
from detect_transfer.evaluation.coco.threshold_matches import IOU_THRESHOLDS, ThresholdMatches
from detect_transfer.evaluation.coco.weighted import Weights, weighted_ap

N_DRAWS = 1000
LEVEL = 0.95
SAMPLED = ("AP", "AP50", "AP75", "AR100")
_AT_IOU_50, _AT_IOU_75 = 0, 5
_DRAWS_AT_ONCE = 128  # bounds the memory where there are 100,000 images


@dataclass(frozen=True)
class Sampled:
    """One set of detections under the draws; row 0 are the images as they are, then B draws.

    Args:
        matches: The matched case.
        metrics: (1 + B,) for each of `SAMPLED`; NaN in a draw without any object.
        class_ap: (1 + B, K) AP of each class; NaN in a draw without an object of it.
        class_ap50: (1 + B, K) the same at IoU .5.
    """

    matches: ThresholdMatches
    metrics: dict[str, FloatArray]
    class_ap: FloatArray
    class_ap50: FloatArray


def draw_weights(n_units: int, *, n_draws: int = N_DRAWS, seed: int = 0) -> Weights:
    """Return how often (B, U) each unit is drawn when as many units as there are are drawn with replacement.

    Raises:
        InputError: There are less than 100 draws, of which no interval can be read.
    """
    if n_draws < 100:
        raise InputError("DRAWS", "at least 100 are needed", field="draws", value=n_draws, remedy=f"give {N_DRAWS}")
    rng = np.random.default_rng(seed)
    weights = np.empty((n_draws, n_units), np.uint16)
    for row in weights:
        row[:] = np.bincount(rng.integers(0, n_units, n_units), minlength=n_units)
    return weights


def sample(matches: ThresholdMatches, weights: Weights) -> Sampled:
    """Score the images as they are, and each draw of `weights` (B, U)."""
    weights = np.concatenate([np.ones_like(weights[:1]), weights])
    ap = weighted_ap(matches, weights)
    return Sampled(
        matches,
        {**mean_ap(ap), "AR100": mean_of_classes(_recall(matches, weights))},
        ap.mean(axis=2),
        ap[:, :, _AT_IOU_50],
    )


def mean_ap(ap: FloatArray) -> dict[str, FloatArray]:
    """Return AP, AP50 and AP75 (B,) of `weighted_ap` (B, K, T)."""
    columns = {"AP": ap.mean(axis=2), "AP50": ap[:, :, _AT_IOU_50], "AP75": ap[:, :, _AT_IOU_75]}
    return {name: mean_of_classes(values) for name, values in columns.items()}


def mean_of_classes(values: FloatArray) -> FloatArray:
    """Return the mean (B,) over the classes of (B, K) that are not NaN; NaN where all are."""
    present = ~np.isnan(values)
    return ratio(np.where(present, values, 0).sum(axis=1), present.sum(axis=1))


def ratio(over: FloatArray, under: FloatArray | IntArray) -> FloatArray:
    """Return the quotient of two sums over units; NaN where the second is 0."""
    return np.asarray(np.divide(over, under, out=np.full(over.shape, np.nan), where=under > 0))


def _recall(matches: ThresholdMatches, weights: Weights) -> FloatArray:
    """Return the recall (B, K) of all detections, mean over the IoU thresholds."""
    n_tp = np.zeros(matches.objects.shape)
    np.add.at(n_tp, (matches.unit, matches.category), matches.tp.sum(axis=0))
    n_objects = _totals(weights, matches.objects.astype(np.float64))
    return ratio(_totals(weights, n_tp / len(IOU_THRESHOLDS)), n_objects)


def _totals(weights: Weights, of_units: FloatArray) -> FloatArray:
    """Return what the draws have in all (B, K) of what each unit has (U, K), a part of the draws at a time."""
    parts = np.array_split(weights, len(weights) // _DRAWS_AT_ONCE + 1)
    return np.concatenate([part.astype(np.float64) @ of_units for part in parts])
