"""Where the name of a box goes: beside it, never on it or on another small box. Imports numpy alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_GAP = 3.0
_RINGS = (0.0, 18.0, 40.0, 70.0)  # how far a tag may move away, in pixels of the drawing
_SMALL = 12_000.0  # square pixels of the drawing: a box up to this must not be covered at all


def place_tags(xyxy: FloatArray, sizes_wh: Sequence[tuple[int, int]], canvas_wh: tuple[int, int]) -> FloatArray:
    """Choose a place for the tag of each box, one after the other.

    Args:
        xyxy: Boxes (N, 4) in pixels of the drawing.
        sizes_wh: The size of each tag; (0, 0) for a box without one.
        canvas_wh: Width and height of the drawing.

    Returns:
        The tags as boxes (N, 4). A tag lies outside its own box unless that fills the drawing.
    """
    tags = np.zeros((len(xyxy), 4))
    taken = np.empty((0, 4))
    for i in np.argsort((xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1]), kind="stable"):
        if sizes_wh[i] == (0, 0):
            continue
        places = _candidates(xyxy[i], sizes_wh[i], canvas_wh)
        cost = _cost(places, xyxy, int(i), taken, canvas_wh)
        tags[i] = places[int(np.argmin(cost))]
        taken = np.vstack([taken, tags[i]])
    return tags


def _candidates(box: FloatArray, size_wh: tuple[int, int], canvas_wh: tuple[int, int]) -> FloatArray:
    """List places (P, 4) from the nearest outwards, shifted sideways into the drawing."""
    x1, y1, x2, y2 = box
    w, h = size_wh
    spots = []
    for ring in _RINGS:
        gap = _GAP + ring
        for x in (x1, x2 - w, x1 - ring - w / 2, x2 + ring - w / 2):
            spots += [(x, y1 - gap - h), (x, y2 + gap)]
        for y in (y1, y2 - h, (y1 + y2 - h) / 2):
            spots += [(x2 + gap, y), (x1 - gap - w, y)]
    spots.append((max(x1, 0) + 4, max(y1, 0) + 4))  # inside: for a box that fills the drawing
    corner = np.array(spots)
    corner[:, 0] = np.clip(corner[:, 0], 0, max(canvas_wh[0] - w, 0))
    return np.concatenate([corner, corner + np.array([w, h])], axis=1)


def _cost(places: FloatArray, xyxy: FloatArray, own: int, taken: FloatArray, canvas_wh: tuple[int, int]) -> FloatArray:
    """Return (P,) how bad each place is: hiding a tag or a small box is worst, then leaving the drawing."""
    area = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    size = places[:, 2:] - places[:, :2]
    whole = size.prod(axis=1)
    inside = np.minimum(places[:, 2:], canvas_wh) - np.maximum(places[:, :2], 0)
    outside = 1 - np.clip(inside, 0, None).prod(axis=1) / whole
    on_tags = _common(places, taken).sum(axis=1) / whole
    common = _common(places, xyxy) / whole[:, None]
    on_own = common[:, own]
    # a box counts the more, the smaller it is: a tag may lie on a street, but not on a sign
    weight = np.minimum(_SMALL / np.maximum(area, 1.0), 1.0)
    weight[own] = 0.0
    on_boxes = (common * weight).sum(axis=1)
    own_weight = 20.0 if area[own] <= _SMALL * 4 else 6.0
    far = np.arange(len(places)) / len(places)
    return np.asarray(40 * outside + 25 * on_tags + own_weight * on_own + 20 * on_boxes + far)


def _common(a: FloatArray, b: FloatArray) -> FloatArray:
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.asarray(np.clip(high - low, 0, None).prod(axis=2))
