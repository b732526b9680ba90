"""Augmentation by albumentations: the default pipeline, or the one that the config lists."""

from __future__ import annotations

import os
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network for a newer version

import albumentations as A

from detect_transfer.boxes import FloatArray
from detect_transfer.errors import InputError, did_you_mean
from detect_transfer.images import RgbArray
from detect_transfer.models.pixels import PAD_VALUE

_SMALLEST_SIDE = 2.0  # network pixels; what an augmentation leaves below this is no target
_LEAST_VISIBLE = 0.1  # share of the area that must stay in the picture


class Augmenter:
    """Albumentations on one picture and its boxes, seeded for each picture."""

    def __init__(self, chosen: Literal["default", "none"] | list[dict[str, dict[str, Any]]]) -> None:
        transforms = _default() if chosen == "default" else [] if chosen == "none" else _listed(chosen)
        boxes = A.BboxParams(
            format="pascal_voc",
            label_fields=["labels"],
            clip=True,
            filter_invalid_bboxes=True,
            min_width=_SMALLEST_SIDE,
            min_height=_SMALLEST_SIDE,
            min_visibility=_LEAST_VISIBLE,
        )
        self._pipeline = A.Compose(transforms, bbox_params=boxes) if transforms else None

    def __call__(
        self, image_rgb: RgbArray, xyxy: FloatArray, labels: NDArray[np.int64], *, seed: int
    ) -> tuple[RgbArray, FloatArray, NDArray[np.int64]]:
        """Return the picture (H, W, 3), its boxes (N, 4) in pixels and labels (N,), changed by this seed."""
        if self._pipeline is None:
            return image_rgb, xyxy, labels
        self._pipeline.set_random_seed(seed)
        out = self._pipeline(image=image_rgb, bboxes=xyxy, labels=labels)
        kept = np.asarray(out["bboxes"], dtype=np.float64).reshape(-1, 4)
        return out["image"], kept, np.asarray(out["labels"], dtype=np.int64)


def _default() -> list[Any]:
    """Scale, shift, mirror and colour: what stock YOLO training does once its mosaic is closed."""
    return [
        A.Affine(scale=(0.5, 1.5), translate_percent=(-0.1, 0.1), keep_ratio=True, fill=PAD_VALUE, p=1.0),
        A.HorizontalFlip(p=0.5),
        A.ColorJitter(brightness=(0.6, 1.4), contrast=(1.0, 1.0), saturation=(0.3, 1.7), hue=(-0.015, 0.015), p=1.0),
    ]


def _listed(chosen: list[dict[str, dict[str, Any]]]) -> list[Any]:
    known = {
        name: kind
        for name, kind in vars(A).items()
        if isinstance(kind, type) and issubclass(kind, A.BasicTransform) and not name.startswith("_")
    }
    transforms = []
    for i, entry in enumerate(chosen):
        for name, options in entry.items():
            if name not in known:
                raise InputError(
                    "AUGMENT_UNKNOWN",
                    "albumentations has no such transform",
                    field=f"augment.{i}",
                    value=name,
                    remedy=did_you_mean(name, sorted(known)),
                )
            try:
                transforms.append(known[name](**(options or {})))
            except (TypeError, ValueError) as error:
                raise InputError(
                    "AUGMENT_OPTION",
                    str(error),
                    field=f"augment.{i}.{name}",
                    value=options,
                    remedy="see the albumentations 2.0.8 documentation of this transform",
                ) from error
    return transforms
