"""Objects of one training image pasted into another by their boxes.

What they hide of an object makes its box smaller; ignored regions and most of every object stay in sight. A pasted
object lies at about the height that it had in its own image, and its surroundings fade into the new ones.

Sources: Dwibedi et al. 2017, "Cut, Paste and Learn" (blended edges); Kisantal et al. 2019, "Augmentation for small
object detection" (several copies, none over others); Ghiasi et al. 2021, "Simple Copy-Paste" (boxes of what is hidden).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detect_transfer.config.augment import CopyPaste
from detect_transfer.core.arrays import FloatArray
from detect_transfer.training.train_sample import LEAST_VISIBLE, SMALLEST_SIDE, FittedImage, TrainSample

_TRIES = 10
_SMALLEST_PASTED = 2 * SMALLEST_SIDE
_SHARED = 0.1  # of the smaller of two boxes; objects that share more are not cut out
_MARGIN = 0.15  # of a side: the surroundings that fade
_OTHER_HEIGHT = 0.1  # of the image


@dataclass(frozen=True)
class _Patch:
    """An object cut out with its surroundings: pixels (h, w, 3), their opacity (h, w) in [0, 1], its box in them."""

    pixels: FloatArray
    opacity: FloatArray
    box: FloatArray

    def cropped(self, left: int, top: int, right: int, bottom: int) -> _Patch:
        """Return the patch without what lies outside of these columns and rows."""
        part = slice(top, bottom), slice(left, right)
        return _Patch(self.pixels[part], self.opacity[part], self.box - [left, top, left, top])


def paste(target: FittedImage, source: FittedImage, options: CopyPaste, *, random: np.random.Generator) -> TrainSample:
    """Return an image into which objects of another are pasted where they hide little.

    Args:
        target: The image.
        source: Where the objects come from.
        options: How many, how large, and how much they may hide.
        random: Chooses objects, sizes and places.
    """
    usable = _whole_objects(source)
    sample = target.sample
    if not len(usable):
        return sample
    canvas = _Canvas(target, options.hides)
    for row in random.choice(usable, int(random.integers(1, options.objects + 1))):
        patch = _cut(source, source.sample.xyxy[row], float(random.uniform(*options.scale)))
        height = _height(source, source.sample.xyxy[row]) + float(random.uniform(-_OTHER_HEIGHT, _OTHER_HEIGHT))
        if min(patch.box[2] - patch.box[0], patch.box[3] - patch.box[1]) >= _SMALLEST_PASTED:
            canvas.add(patch, int(source.sample.labels[row]), height, random)
    return canvas.sample()


def _whole_objects(image: FittedImage) -> NDArray[np.int64]:
    """Return the rows of the objects that no edge cuts and that share little with others and with ignored regions."""
    boxes = image.sample.xyxy
    left, top, right, bottom = image.content
    inside = (boxes[:, :2] > [left, top]).all(axis=1) & (boxes[:, 2:] < [right, bottom]).all(axis=1)
    every = np.concatenate([boxes, image.sample.ignored])
    areas = np.prod(every[:, 2:] - every[:, :2], axis=1)
    common = _common(boxes[:, None], every[None])  # (N, N + M)
    common[np.arange(len(boxes)), np.arange(len(boxes))] = 0
    alone = (common <= _SHARED * np.minimum(areas[: len(boxes), None], areas[None])).all(axis=1)
    large = (boxes[:, 2:] - boxes[:, :2] >= _SMALLEST_PASTED).all(axis=1)
    return np.flatnonzero(inside & alone & large)


def _common(boxes: FloatArray, others: FloatArray) -> FloatArray:
    """Return the common area of boxes (..., 4)."""
    sides = np.minimum(boxes[..., 2:], others[..., 2:]) - np.maximum(boxes[..., :2], others[..., :2])
    return np.asarray(np.clip(sides, 0, None).prod(axis=-1), dtype=np.float64)


def _height(image: FittedImage, box: FloatArray) -> float:
    """Return where in the height of an image a box has its centre: 0 top, 1 bottom."""
    _, top, _, bottom = image.content
    return float((box[1] + box[3]) / 2 - top) / (bottom - top)


def _cut(image: FittedImage, box: FloatArray, scale: float) -> _Patch:
    """Cut an object out and scale it."""
    sides = box[2:] - box[:2]
    left, top = np.maximum(np.floor(box[:2] - _MARGIN * sides), image.content[:2]).astype(int)
    right, bottom = np.minimum(np.ceil(box[2:] + _MARGIN * sides), image.content[2:]).astype(int)
    pixels = image.sample.pixels[top:bottom, left:right]
    width, height = (max(1, round(float(side) * scale)) for side in (right - left, bottom - top))
    factor = np.array([width / (right - left), height / (bottom - top)] * 2)
    new_box = (box - [left, top, left, top]) * factor
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(pixels, (width, height), interpolation=interpolation)
    columns = _fade(width, new_box[0], new_box[2])
    rows = _fade(height, new_box[1], new_box[3])
    return _Patch(np.asarray(resized, dtype=np.float64), np.minimum(rows[:, None], columns[None]), new_box)


def _fade(count: int, low: float, high: float) -> FloatArray:
    """Return the opacity of so many pixels in a row: 1 between two places, falling to 0 over the margin."""
    begin, end = np.floor(low), np.ceil(high)
    at = np.arange(count)
    outside = np.maximum(np.maximum(begin - at, at + 1 - end), 0)
    return np.asarray(np.clip(1 - outside / max(1.0, _MARGIN * (high - low)), 0, 1), dtype=np.float64)


class _Canvas:
    """An image that objects are pasted into, and what is hidden of each."""

    def __init__(self, image: FittedImage, hides: float) -> None:
        sample = image.sample
        self._content = image.content
        self._hides = hides
        self._pixels = sample.pixels.copy()
        self._layer = np.zeros(sample.pixels.shape[:2], np.int32)  # which paste is on top, from 1; 0 the image
        self._boxes = [np.asarray(box) for box in sample.xyxy]
        self._layers = [0] * len(sample.xyxy)
        self._labels = sample.labels.tolist()
        self._ignored = sample.ignored

    def add(self, patch: _Patch, label: int, height: float, random: np.random.Generator) -> None:
        """Paste an object where it hides little; not at all where no place is found.

        Args:
            patch: The object.
            label: Its class index.
            height: Where its centre is to be, as a share of the height of the image; kept inside.
            random: Chooses the place.
        """
        left, top, right, bottom = self._content
        x1, y1, x2, y2 = patch.box
        room = np.array([right - left - (x2 - x1), bottom - top - (y2 - y1)]) - 1  # whole pixels are shifted
        if room.min() < 0:
            return
        for _ in range(_TRIES):
            x = left + float(random.uniform(0, room[0]))
            y = top + float(np.clip(height * (bottom - top) - (y2 - y1) / 2, 0, room[1]))
            shift_x, shift_y = int(np.ceil(x - x1)), int(np.ceil(y - y1))
            part = patch.cropped(max(0, left - shift_x), max(0, top - shift_y), right - shift_x, bottom - shift_y)
            if self._put(part, max(left, shift_x), max(top, shift_y), label):
                return

    def _put(self, patch: _Patch, x: int, y: int, label: int) -> bool:
        """Paste a patch with its first pixel at x, y unless it hides too much; tell whether it was pasted."""
        rows, columns = patch.opacity.shape
        part = slice(y, y + rows), slice(x, x + columns)
        region = np.array([x, y, x + columns, y + rows], dtype=np.float64)
        if (_common(self._ignored, region) > 0).any():
            return False
        layer = max(self._layers, default=0) + 1
        before = self._layer[part].copy()
        self._layer[part][patch.opacity >= 0.5] = layer
        touched = np.flatnonzero(_common(np.array(self._boxes).reshape(-1, 4), region) > 0).tolist()
        if any(1 - self._visible(row).mean() > self._hides for row in touched):
            self._layer[part] = before
            return False
        opacity = patch.opacity[..., None]
        blended = patch.pixels * opacity + self._pixels[part] * (1 - opacity)
        self._pixels[part] = np.rint(blended).astype(np.uint8)
        self._boxes.append(patch.box + np.array([x, y, x, y]))
        self._layers.append(layer)
        self._labels.append(label)
        return True

    def _visible(self, row: int) -> NDArray[np.bool_]:
        """Return which pixels of a box are not hidden by what was pasted after it."""
        x1, y1, x2, y2 = _whole_pixels(self._boxes[row])
        return np.asarray(self._layer[y1:y2, x1:x2] <= self._layers[row])

    def sample(self) -> TrainSample:
        """Return the image; of hidden objects the box of what is seen, ignored where that is too little."""
        boxes, trainable, seen_rows = [], [], []
        for row, box in enumerate(self._boxes):
            visible = self._visible(row)
            if not visible.any():
                continue
            seen_rows.append(row)
            whole = np.array(_whole_pixels(box))
            columns, rows = (np.flatnonzero(visible.any(axis=axis)) for axis in (0, 1))
            extent = whole[[0, 1, 0, 1]] + [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            seen = np.where(extent == whole, box, extent)
            boxes.append(seen)
            is_large = np.array_equal(seen, box) or (seen[2:] - seen[:2] >= SMALLEST_SIDE).all()
            trainable.append(bool(visible.mean() >= LEAST_VISIBLE and is_large))
        every, kept = np.array(boxes).reshape(-1, 4), np.array(trainable, dtype=bool)
        return TrainSample(
            self._pixels,
            every[kept],
            np.array(self._labels, dtype=np.int64)[seen_rows][kept],
            np.concatenate([self._ignored, every[~kept]]),
        )


def _whole_pixels(box: FloatArray) -> tuple[int, int, int, int]:
    """Return the pixels whose centres lie in a box, at least one."""
    first = np.minimum(np.rint(box[:2]), np.ceil(box[2:]) - 1).astype(int)
    last = np.maximum(np.rint(box[2:]).astype(int), first + 1)
    return int(first[0]), int(first[1]), int(last[0]), int(last[1])
