"""Where the name of a box goes: beside it, never on it or on another small box."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detect_transfer.core.arrays import BoolArray, FloatArray
from detect_transfer.core.boxes import area, intersection

_GAP = 8.0  # what the outline takes up outside of its box
_RIM = np.array([-_GAP, -_GAP, _GAP, _GAP])
_RINGS = (0.0, 20.0, 42.0, 70.0, 105.0, 150.0, 210.0)  # how far a tag may move away, in pixels of the drawing
_CROWD = 40  # from so many boxes on, a tag far away would tell nothing
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
    tags, lines = np.zeros((len(xyxy), 4)), np.zeros((len(xyxy), 4))
    rings = _RINGS if len(xyxy) <= _CROWD else _RINGS[:4]
    placed = np.zeros(len(xyxy), bool)
    for i in np.argsort(area(xyxy), kind="stable").tolist():
        if sizes_wh[i] == (0, 0):
            continue
        best = np.inf
        for ring in rings:
            if best <= ring / 100:  # what distance alone costs
                break
            places = _candidates(xyxy[i], sizes_wh[i], canvas_wh, ring)
            to_them = leaders(np.broadcast_to(xyxy[i], places.shape), places)
            near = _meets(np.vstack([places, xyxy[i]]), xyxy, tags, lines)
            near[i] = False
            cost = ring / 100 + _cost_of_edge(places, canvas_wh) + _cost_of_own(places, xyxy[i])
            cost += _cost_of_boxes(places, to_them, xyxy[near])
            cost += _cost_of_tags(places, to_them, tags[near & placed], lines[near & placed])
            at = int(np.argmin(cost))
            if cost[at] < best:
                best, tags[i], lines[i] = float(cost[at]), places[at], to_them[at]
        placed[i] = True
    return tags


def leaders(xyxy: FloatArray, tags: FloatArray) -> FloatArray:
    """Return lines (N, 4) from the edge of each box, or from inside it, to the nearest point of its tag."""
    low, high = xyxy[:, :2], xyxy[:, 2:]
    start = np.clip((tags[:, :2] + tags[:, 2:]) / 2, low, np.maximum(low, high))
    return np.concatenate([start, np.clip(start, tags[:, :2], tags[:, 2:])], axis=1)


def _candidates(box: FloatArray, size_wh: tuple[int, int], canvas_wh: tuple[int, int], ring: float) -> FloatArray:
    """List places (P, 4) at a distance from a box, shifted sideways into the drawing."""
    x1, y1, x2, y2 = box
    w, h = size_wh
    gap = _GAP + ring
    spots = []
    for x in (x1, x2 - w, x1 - ring - w / 2, x2 + ring - w / 2):
        spots += [(x, y1 - gap - h), (x, y2 + gap)]
    for y in (y1, y2 - h, (y1 + y2 - h) / 2, y1 - ring / 2 - h, y2 + ring / 2):
        spots += [(x2 + gap, y), (x1 - gap - w, y)]
    if ring == 0:
        spots.append((max(x1, 0) + 4, max(y1, 0) + 4))  # inside: for a box that fills the drawing
    corner = np.array(spots)
    corner[:, 0] = np.clip(corner[:, 0], 0, max(canvas_wh[0] - w, 0))
    return np.concatenate([corner, corner + np.array([w, h])], axis=1)


def _cost_of_edge(places: FloatArray, canvas_wh: tuple[int, int]) -> FloatArray:
    """Return (P,) how bad it is that a part of each place is outside of the drawing."""
    inside = np.minimum(places[:, 2:], canvas_wh) - np.maximum(places[:, :2], 0)
    return np.asarray(40 * (1 - np.clip(inside, 0, None).prod(axis=1) / area(places)))


def _cost_of_own(places: FloatArray, box: FloatArray) -> FloatArray:
    """Return (P,) how bad it is that each place hides the box that it names."""
    share = intersection(places, box[None])[:, 0] / area(places)
    return np.asarray(share * (20 if area(box[None])[0] <= _SMALL * 4 else 6))


def _cost_of_boxes(places: FloatArray, lines: FloatArray, others: FloatArray) -> FloatArray:
    """Return (P,) how much each place hides of other boxes and their outlines, and how many its line crosses.

    A box counts the more, the smaller it is: a tag may lie on a street, but not on a sign.
    """
    areas = np.maximum(area(others), 1.0)
    common = intersection(places, others)
    hidden = common / np.minimum(areas, area(places)[:, None])
    rims = intersection(places, others + _RIM) > common
    return np.asarray((20 * hidden + 0.5 * rims + 3 * _passes(lines, others)) @ np.minimum(_SMALL / areas, 1.0))


def _cost_of_tags(places: FloatArray, lines: FloatArray, tags: FloatArray, tag_lines: FloatArray) -> FloatArray:
    """Return (P,) how much each place and its line hide of tags that are there, or are crossed by their lines."""
    on_tags = intersection(places, tags) / area(places)[:, None]
    crossed = _passes(lines, tags).sum(axis=1) + _passes(tag_lines, places).sum(axis=0)
    return np.asarray(25 * on_tags.sum(axis=1) + 5 * (on_tags > 0).sum(axis=1) + 0.8 * crossed)


def _passes(lines: FloatArray, boxes: FloatArray) -> BoolArray:
    """Return a mask (L, B) of which lines go through which boxes."""
    start = lines[:, None, :2]
    along = lines[:, None, 2:] - start
    along = np.where(along == 0, 1e-9, along)
    low, high = (boxes[:, :2] - start) / along, (boxes[:, 2:] - start) / along  # (L, B, 2), 0 to 1 on the line
    enters, leaves = np.minimum(low, high).max(axis=2), np.maximum(low, high).min(axis=2)
    return np.asarray(np.maximum(enters, 0) < np.minimum(leaves, 1))


def _meets(hull_of: FloatArray, *kinds: FloatArray) -> BoolArray:
    """Return a mask (N,) of where any of several boxes or lines (N, 4) reaches into what some boxes span together."""
    low, high = hull_of[:, :2].min(axis=0) - _GAP, hull_of[:, 2:].max(axis=0) + _GAP
    meets = np.zeros(len(kinds[0]), bool)
    for ends in kinds:
        first, last = np.minimum(ends[:, :2], ends[:, 2:]), np.maximum(ends[:, :2], ends[:, 2:])
        meets |= ((first <= high) & (last >= low)).all(axis=1)
    return meets
