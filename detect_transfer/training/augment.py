"""Augmentation by albumentations: the default pipeline, or the one that the config lists."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network for a newer version

import albumentations as A
from albumentations.core.type_definitions import Targets

from detect_transfer.core.arrays import BoolArray, FloatArray, RgbArray
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.models.letterbox import PAD_VALUE
from detect_transfer.training.mirroring import Mirroring

SMALLEST_SIDE = 2.0  # network pixels; what an augmentation leaves below this is no target
_FLIPS = ("HorizontalFlip", "VerticalFlip", "Transpose", "D4", "SquareSymmetry", "TimeReverse", "RandomRotate90")
# the first cuts objects into pieces, the second gives boxes of other objects
_WRONG_BOXES = ("RandomGridShuffle", "Morphological")
_ROUNDING = 1e-3  # pixels
_LEAST_VISIBLE = 0.1  # share of the area that must stay in the image
Chosen = Literal["default", "none"] | list[dict[str, dict[str, Any]]]


@dataclass(frozen=True)
class TrainSample:
    """A fitted training image with what is in it.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        xyxy: (N, 4) boxes of the targets in its pixels.
        labels: (N,) their class indices.
        ignored: (M, 4) regions that are neither target nor background.
    """

    pixels: RgbArray
    xyxy: FloatArray
    labels: NDArray[np.int64]
    ignored: FloatArray


def clip_sample(sample: TrainSample, full_xyxy: FloatArray) -> TrainSample:
    """Clip boxes to the image; a target that is left too small, or of which little is left, becomes ignored.

    What is left of such a target is no background, and too little to learn from.

    Args:
        sample: The image; its boxes may reach out of it.
        full_xyxy: (N, 4) the boxes of the targets before anything was clipped.
    """
    height, width = sample.pixels.shape[:2]
    xyxy, ignored = (np.clip(boxes, 0, [width, height] * 2) for boxes in (sample.xyxy, sample.ignored))
    sides = xyxy[:, 2:] - xyxy[:, :2]
    whole = np.prod(full_xyxy[:, 2:] - full_xyxy[:, :2], axis=1)
    trainable = (sides >= SMALLEST_SIDE).all(axis=1) & (np.prod(sides, axis=1) >= _LEAST_VISIBLE * whole)
    ignored = np.concatenate([ignored, xyxy[~trainable]])
    not_empty = (ignored[:, 2:] > ignored[:, :2]).all(axis=1)
    return replace(sample, xyxy=xyxy[trainable], labels=sample.labels[trainable], ignored=ignored[not_empty])


class Augmenter:
    """Albumentations on one image and its boxes, seeded for each image.

    Args:
        chosen: A named pipeline, or transforms by their names with their options.
        imgsz: Pixels of the square images that it will be given.
        mirroring: Whether images are mirrored; None mirrors and swaps no labels.

    Raises:
        InputError: A transform or an option is not known, gives what cannot be trained on, or mirrors against the
                config.
    """

    def __init__(self, chosen: Chosen, *, imgsz: int, mirroring: Mirroring | None = None) -> None:
        mirrored = mirroring is None or mirroring.on
        transforms = _default(mirrored) if chosen == "default" else [] if chosen == "none" else _listed(chosen, imgsz)
        self.mirrors = [type(t).__name__ for t in transforms if _mirrors(t)]  # names of those that do
        self._swaps = {} if mirroring is None else mirroring.swaps
        # the corners tell how large a box would be that was clipped, and whether it is mirrored; few cannot move points
        self._tells_corners = all(Targets.KEYPOINTS in t._targets for t in transforms if isinstance(t, A.DualTransform))
        if mirroring is not None and isinstance(chosen, list):
            _check_mirroring(self.mirrors, mirroring, tells_corners=self._tells_corners)
        self._pipeline = _compose(transforms, corners=self._tells_corners) if transforms else None

    def __call__(self, sample: TrainSample, *, seed: int) -> TrainSample:
        """Return the image, its boxes and its ignored regions, changed by this seed."""
        if self._pipeline is None:
            return sample
        self._pipeline.set_random_seed(seed)
        every = np.concatenate([sample.xyxy, sample.ignored])
        given: dict[str, Any] = {"image": sample.pixels, "bboxes": every, "indices": np.arange(len(every))}
        n_targets = len(sample.labels)
        if self._tells_corners:
            given["keypoints"] = sample.xyxy[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2)
            given["corners"] = np.arange(4 * n_targets)
        out = self._pipeline(**given)
        indices = np.asarray(out["indices"], dtype=np.int64)
        boxes = np.asarray(out["bboxes"], dtype=np.float64).reshape(-1, 4)
        is_target = indices < n_targets
        target_indices = indices[is_target]
        changed = TrainSample(out["image"], boxes[is_target], sample.labels[target_indices], boxes[~is_target])
        if not self._tells_corners:
            return clip_sample(changed, changed.xyxy)
        corners = np.full((n_targets * 4, 2), np.nan)  # a distortion loses those that leave the image
        corners[np.asarray(out["corners"], dtype=np.int64)] = np.asarray(out["keypoints"]).reshape(-1, 2)
        return self._with_corners(changed, corners.reshape(-1, 4, 2)[target_indices])

    def _with_corners(self, sample: TrainSample, corners: FloatArray) -> TrainSample:
        """Clip the boxes by what their corners (N, 4, 2) tell, and swap the labels of those that are mirrored."""
        is_finite: BoolArray = np.asarray(np.isfinite(corners.reshape(len(corners), 8)).all(axis=1))
        full = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        full = np.where(is_finite[:, None], full, sample.xyxy)
        if self._swaps:
            # left is right where the top edge points to the left; upside down alone leaves it (a quarter turn rounds)
            mirrored = corners[:, 1, 0] - corners[:, 0, 0] < -_ROUNDING
            swapped = [self._swaps.get(int(label), int(label)) for label in sample.labels]
            labels = np.where(mirrored, np.array(swapped, dtype=np.int64), sample.labels)
            # of what has lost its corners it is not known whether it is mirrored: it is neither target nor background
            sample = replace(
                sample,
                xyxy=sample.xyxy[is_finite],
                labels=labels[is_finite],
                ignored=np.concatenate([sample.ignored, sample.xyxy[~is_finite]]),
            )
            full = full[is_finite]
        return clip_sample(sample, full)


def _default(mirrored: bool) -> list[Any]:
    """Scale, shift, mirror and colour: what stock YOLO training does once its mosaic is closed."""
    return [
        A.Affine(scale=(0.5, 1.5), translate_percent=(-0.1, 0.1), keep_ratio=True, fill=PAD_VALUE, p=1.0),
        *([A.HorizontalFlip(p=0.5)] if mirrored else []),
        A.ColorJitter(brightness=(0.6, 1.4), contrast=(1.0, 1.0), saturation=(0.3, 1.7), hue=(-0.015, 0.015), p=1.0),
    ]


def _mirrors(transform: Any) -> bool:
    """Tell whether a transform can flip an image, or turn it by more than 90 degrees: left becomes right."""
    if transform.p == 0:
        return False
    if type(transform).__name__ in _FLIPS:
        return True
    scales = transform.scale.values() if isinstance(transform, A.Affine) else ()
    turns = transform.limit if isinstance(transform, A.Rotate) else getattr(transform, "rotate", None)
    return any(low < 0 for low, _ in scales) or (isinstance(turns, tuple) and _turns_over(*turns))


def _turns_over(low: float, high: float) -> bool:
    """Tell whether a range of angles in degrees has one between 90 and 270 (modulo 360) in it."""
    start = (low - 90) % 360
    return 0 < start < 180 or (start == 0 and high > low) or start + high - low > 360


def _check_mirroring(names: Sequence[str], mirroring: Mirroring, *, tells_corners: bool) -> None:
    """Raise where transforms, by name, mirror against the config, or where it is not seen what is mirrored."""
    if names and not mirroring.on:
        raise InputError(
            "AUGMENT_MIRROR",
            f"it turns left into right, and {mirroring.reason}",
            field="augment",
            value=names[0],
            remedy="remove it (or turn by 90 degrees at most), or name mirror.pairs or mirror.images=true",
        )
    if names and mirroring.swaps and not tells_corners:
        raise InputError(
            "AUGMENT_MIRROR",
            "a transform beside it cannot move points, by which mirrored boxes are known",
            field="augment",
            value=names[0],
            remedy="leave out mirror.pairs or the transform",
        )


def _compose(transforms: Sequence[Any], *, corners: bool) -> Any:
    boxes = A.BboxParams(format="pascal_voc", label_fields=["indices"], clip=True, filter_invalid_bboxes=True)
    points = A.KeypointParams("xy", label_fields=["corners"], remove_invisible=False) if corners else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where no transform moves a box
        return A.Compose(transforms, bbox_params=boxes, keypoint_params=points)


def _listed(chosen: list[dict[str, dict[str, Any]]], imgsz: int) -> list[Any]:
    """Build the transforms of a list by their names, and try each on a blank image."""
    usable = {
        name: kind
        for name, kind in vars(A).items()
        if isinstance(kind, type) and not name.startswith("_") and _moves_boxes_along(kind)
    }
    transforms = []
    for i, entry in enumerate(chosen):
        for name, options in entry.items():
            if name not in usable:
                raise InputError(
                    "AUGMENT_UNKNOWN",
                    "albumentations has no such transform for images with boxes",
                    field=f"augment.{i}",
                    value=name,
                    remedy=did_you_mean(name, sorted(usable)),
                )
            try:
                transform = _build(usable[name], options)
                _try(transform, imgsz)
            except Exception as error:  # a transform may raise anything
                raise InputError(
                    "AUGMENT_OPTION",
                    str(error),
                    field=f"augment.{i}.{name}",
                    value=options,
                    remedy="see the albumentations 2.0.8 documentation of this transform",
                ) from error
            transforms.append(transform)
    return transforms


def _moves_boxes_along(kind: type) -> bool:
    """Tell whether a transform moves no pixel, or the boxes with them."""
    if kind.__name__ in _WRONG_BOXES:
        return False
    moves = issubclass(kind, A.DualTransform) and Targets.BBOXES in (getattr(kind, "_targets", None) or ())
    return moves or issubclass(kind, A.ImageOnlyTransform)


def _build(kind: Any, options: dict[str, Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message=r"Argument\(s\) .* are not valid")  # else they are left out
        return kind(**options)


def _try(transform: Any, imgsz: int) -> None:
    """Raise unless a transform turns a square image with a box into another of the same form."""
    sure = copy.deepcopy(transform)
    sure.p = 1.0
    pixels = np.full((imgsz, imgsz, 3), PAD_VALUE, np.uint8)
    box = np.array([[0.0, 0.0, imgsz / 2, imgsz / 2]])
    given = {"image": pixels, "bboxes": box, "indices": np.zeros(1)}
    pixels_after = _compose([sure], corners=False)(**given)["image"]
    if pixels_after.shape != pixels.shape or pixels_after.dtype != pixels.dtype:
        form, form_after = (f"{each.dtype} {' x '.join(map(str, each.shape))}" for each in (pixels, pixels_after))
        raise ValueError(f"it turns an image of {form} into {form_after}, the same form was expected")
