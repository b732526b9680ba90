"""The detections of overlapping tiles of an image become those of the image.

Greedy merging from the best score down, as in SAHI, with one difference: two detections are compared where both tiles
looked. An object that a border cuts is then known again in the tile beside it, and neighbours in one tile never merge.

Source: Akyon, Altinuc and Temizel, Slicing Aided Hyper Inference and Fine-Tuning for Small Object Detection, ICIP 2022.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detect_transfer.core.arrays import BoolArray, FloatArray
from detect_transfer.models.base import Prediction

SAME_OBJECT = 0.5  # IoU in the region that both tiles saw
_NEAR_BORDER = 0.01  # of the side of a tile, and one pixel: how far a box that a border cuts may end before it
_MOST = 5000  # the best of an image; what is behind them would hardly be kept


def merge_tiles(
    predictions: Sequence[Prediction],
    windows: Sequence[tuple[int, int, int, int]],
    size_wh: tuple[int, int],
    *,
    agnostic: bool,
    max_detections: int,
) -> Prediction:
    """Merge the detections of tiles.

    Args:
        predictions: The detections of each tile, in pixels of the image.
        windows: The tile of each, as corners in pixels of the image.
        size_wh: Width and height of the image.
        agnostic: Detections of different classes merge too.
        max_detections: Of the image.
    """
    counts = [len(each.scores) for each in predictions]
    boxes = np.concatenate([each.xyxy for each in predictions]).astype(np.float64)
    scores = np.concatenate([each.scores for each in predictions])
    labels = np.concatenate([each.labels for each in predictions])
    seen = np.repeat(np.asarray(windows, np.float64).reshape(-1, 4), counts, axis=0)
    tile = np.repeat(np.arange(len(windows)), counts)
    order = np.argsort(-scores, kind="stable")[:_MOST]
    boxes, scores, labels, seen, tile = boxes[order], scores[order], labels[order], seen[order], tile[order]
    cut = _is_cut(boxes, seen, size_wh)
    left = np.ones(len(boxes), bool)
    chosen: list[int] = []
    for i in range(len(boxes)):
        if not left[i]:
            continue
        left[i] = False
        chosen.append(i)
        if len(chosen) == max_detections:
            break
        rivals = np.flatnonzero(left & (tile != tile[i]) & (agnostic | (labels == labels[i])))
        for j in rivals[_overlap_in_common(boxes[i], seen[i], boxes[rivals], seen[rivals]) >= SAME_OBJECT]:
            left[j] = False
            if not cut[i]:
                continue  # it was seen whole, with the better score
            if cut[j]:
                boxes[i] = *np.minimum(boxes[i, :2], boxes[j, :2]), *np.maximum(boxes[i, 2:], boxes[j, 2:])
                seen[i] = *np.minimum(seen[i, :2], seen[j, :2]), *np.maximum(seen[i, 2:], seen[j, 2:])
            else:
                boxes[i], seen[i], cut[i] = boxes[j], seen[j], False
    return Prediction(boxes[chosen], scores[chosen], labels[chosen])


def _is_cut(boxes: FloatArray, seen: FloatArray, size_wh: tuple[int, int]) -> BoolArray:
    """Tell which boxes (N, 4) end at a border of their tile that is no border of the image."""
    near = 1 + _NEAR_BORDER * (seen[:, 2:] - seen[:, :2])
    low = (seen[:, :2] > 0) & (boxes[:, :2] <= seen[:, :2] + near)
    high = (seen[:, 2:] < np.asarray(size_wh)) & (boxes[:, 2:] >= seen[:, 2:] - near)
    return np.asarray((low | high).any(axis=1))


def _overlap_in_common(box: FloatArray, seen: FloatArray, others: FloatArray, others_seen: FloatArray) -> FloatArray:
    """Return the IoU of a box with others (N, 4), each within the region that both tiles saw; 0 where there is none."""
    low, high = np.maximum(seen[:2], others_seen[:, :2]), np.minimum(seen[2:], others_seen[:, 2:])
    a1, a2 = np.clip(box[:2], low, high), np.clip(box[2:], low, high)
    b1, b2 = np.clip(others[:, :2], low, high), np.clip(others[:, 2:], low, high)
    common = np.clip(np.minimum(a2, b2) - np.maximum(a1, b1), 0, None).prod(axis=1)
    union = np.clip(a2 - a1, 0, None).prod(axis=1) + np.clip(b2 - b1, 0, None).prod(axis=1) - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0))
