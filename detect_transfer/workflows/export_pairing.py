"""The detections of an exported model beside those of its weights: which vanish, appear or move, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from detect_transfer.core.annotations import XYXY, AnnotationTable, Detections
from detect_transfer.core.arrays import BoolArray, FloatArray, IntArray
from detect_transfer.core.boxes import iou
from detect_transfer.evaluation.coco.bootstrap import draw_weights, ratio
from detect_transfer.evaluation.coco.intervals import Span, span_of

COMPARED_SCORE = 0.05  # detections from it on are compared one by one
FEWEST_COMPARED = 20  # the best ones that are compared where fewer have that score
LARGEST_MOVE = 0.5  # pixels
_SAME_OBJECT = 0.5  # IoU from which two detections of a class are of one object


@dataclass(frozen=True)
class Pairing:
    """For each detection of one side: does the other side have it, and how far off is its box?

    Args:
        image_id: (N,) its image.
        missing: (N,) the other side has none of the object.
        move: (N,) pixels to the nearest box of the other side, infinite where there is none.
    """

    image_id: IntArray
    missing: BoolArray
    move: FloatArray

    @property
    def apart(self) -> BoolArray:
        """Which (N,) lie more than `LARGEST_MOVE` from the box of the same object."""
        return np.asarray(~self.missing & (self.move > LARGEST_MOVE))


def floor_of(detections: Detections) -> float:
    """Return the score from which detections are compared one by one."""
    return min(COMPARED_SCORE, *map(float, detections.rows["score"].top_k(FEWEST_COMPARED)))


def pair(first: Detections, second: Detections, floor: float) -> Pairing:
    """Look for each detection of the first side from a score on among those of the second, down to half the score."""
    others = {key: part for key, part in second.rows.group_by("image_id", "category_id")}
    image_id: list[Any] = []
    missing: list[Any] = []
    move: list[Any] = []
    for key, part in first.rows.filter(pl.col("score") >= floor).group_by(
        "image_id", "category_id", maintain_order=True
    ):
        image_id.append(np.full(len(part), key[0]))
        other = others.get(key)
        boxes = part.select(XYXY).to_numpy()
        if other is None:
            missing.append(np.ones(len(part), bool))
            move.append(np.full(len(part), np.inf))
            continue
        candidates = other.select(XYXY).to_numpy()
        comparable = other["score"].to_numpy()[None] >= part["score"].to_numpy()[:, None] / 2
        apart = np.where(comparable, np.abs(boxes[:, None] - candidates[None]).max(axis=2), np.inf)
        missing.append(~(comparable & (iou(boxes, candidates) >= _SAME_OBJECT)).any(axis=1))
        move.append(apart.min(axis=1))
    if not image_id:
        return Pairing(np.empty(0, np.int64), np.empty(0, bool), np.empty(0))
    return Pairing(np.concatenate(image_id), np.concatenate(missing), np.concatenate(move))


def worst_images(truth: AnnotationTable, forth: Pairing, back: Pairing) -> list[dict[str, Any]]:
    """Return the images with detections that differ, those with most of them first."""
    names = dict(truth.images.select("image_id", "file_name").iter_rows())
    ids = np.concatenate([forth.image_id, back.image_id])
    differ = np.concatenate([forth.missing | forth.apart, back.missing])
    rows = []
    for image_id in np.unique(ids[differ]):
        moves = forth.move[(forth.image_id == image_id) & ~forth.missing]
        rows.append(
            {
                "file_name": names[int(image_id)],
                "differ": int(differ[ids == image_id].sum()),
                "of": max(int((forth.image_id == image_id).sum()), int((back.image_id == image_id).sum())),
                "largest_move_px": float(moves.max()) if len(moves) else None,
            }
        )
    return sorted(rows, key=lambda row: (-int(row["differ"]), str(row["file_name"])))


def share_interval(pairing: Pairing, faulty: BoolArray, units: Mapping[int, int]) -> Span | None:
    """Return the 95 % interval of the share of detections (N,) that are faulty, over draws of units.

    Args:
        pairing: The detections.
        faulty: (N,) which are.
        units: The unit of each image_id; what has no detection draws nothing.

    Returns:
        None where all detections are in one unit, or nearly all draws lie on one side of the share.
    """
    _, at = np.unique([units[int(i)] for i in pairing.image_id], return_inverse=True)
    n_units = int(at.max(initial=-1)) + 1
    if n_units < 2:
        return None
    weights = draw_weights(n_units).astype(np.float64)
    weights = np.concatenate([np.ones_like(weights[:1]), weights])
    over = weights @ np.bincount(at, faulty, minlength=n_units)
    return span_of(ratio(over, weights @ np.bincount(at, minlength=n_units)), corrected=False)
