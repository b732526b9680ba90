"""The transforms of albumentations that a config names, built and tried before training."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from pydantic import ValidationError

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network for a newer version

import albumentations as A
from albumentations.core.type_definitions import Targets

from detect_transfer.config import keys_of
from detect_transfer.config.augment import OWN_TRANSFORMS, AugmentEntry, ScaleByBoxes
from detect_transfer.config.strict import Strict
from detect_transfer.core.arrays import FloatArray, RgbArray
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.core.input_size import InputSize
from detect_transfer.models.letterbox import PAD_VALUE

_FLIPS = ("HorizontalFlip", "VerticalFlip", "Transpose", "D4", "SquareSymmetry", "TimeReverse", "RandomRotate90")
TURNS = ("Transpose", "D4", "SquareSymmetry", "RandomRotate90")  # by chance, so that a trial may miss it
# the first cuts objects into pieces, the second gives boxes of other objects
_WRONG_BOXES = ("RandomGridShuffle", "Morphological")
_LEAST_SHIFT = 0.1  # share of a side


class Affine(A.Affine):  # type: ignore[misc]
    """Warps three channels as four: the same pixels in less than half the time, with the warp of OpenCV 5."""

    def apply(self, img: RgbArray, **params: Any) -> Any:
        """Return a warped image (H, W, C)."""
        if img.shape[2:] != (3,):
            return super().apply(img, **params)
        return cv2.cvtColor(super().apply(cv2.cvtColor(img, cv2.COLOR_RGB2RGBA), **params), cv2.COLOR_RGBA2RGB)


def own_options(entry: AugmentEntry) -> Strict | None:
    """Return the options of a transform of ours; None for one of albumentations.

    Raises:
        InputError: An option is not known, or out of its range.
    """
    kind = OWN_TRANSFORMS.get(entry.name)
    if kind is None:
        return None
    try:
        return kind.model_validate(entry.options)
    except ValidationError as error:
        detail = error.errors()[0]
        option = str(detail["loc"][0]) if detail["loc"] else ""
        keys = {key.name: key for key in keys_of(kind)}
        what, remedy = detail["msg"].removeprefix("Value error, "), "detect-transfer config --explain augment"
        if option in keys:
            what = f"{keys[option].values} was expected"
        elif option:
            what, remedy = f"{entry.name} has no such option", did_you_mean(option, list(keys))
        field = ".".join(filter(None, (entry.field, entry.name, option)))
        raise InputError(
            "AUGMENT_OPTION", what, field=field, value=entry.options.get(option, entry.options), remedy=remedy
        ) from error


def build_transform(
    entry: AugmentEntry, imgsz: InputSize, box_sides: FloatArray | None, *, shapes: Sequence[InputSize]
) -> Any:
    """Build a transform that changes one image by itself, and try it on blank ones.

    Args:
        entry: Its name and options.
        imgsz: What images are scaled into.
        box_sides: (N,) the roots of the areas of the training boxes in network pixels.
        shapes: The sizes of the images that it will be given.

    Raises:
        InputError: It is not known, or gives what cannot be trained on.
    """
    own = own_options(entry)
    if isinstance(own, ScaleByBoxes):
        return _scale_by_boxes(own, imgsz, box_sides)
    usable = {
        name: kind
        for name, kind in {**vars(A), Affine.__name__: Affine}.items()
        if isinstance(kind, type) and not name.startswith("_") and _moves_boxes_along(kind)
    }
    if entry.name not in usable:
        raise InputError(
            "AUGMENT_UNKNOWN",
            "albumentations has no such transform for images with boxes",
            field=entry.field,
            value=entry.name,
            remedy=did_you_mean(entry.name, sorted({*usable, *OWN_TRANSFORMS})),
        )
    rectangle = next((shape for shape in shapes if not shape.is_square), None)
    if entry.name in TURNS and rectangle is not None:
        raise InputError(
            "AUGMENT_SHAPE",
            f"it lays images on their side, and those of {rectangle} px are to stay upright",
            field=entry.field,
            value=entry.name,
            remedy="leave it out, or give train.imgsz one side and train.batch_shapes=one",
        )
    try:
        transform = _build(usable[entry.name], entry.options)
        for shape in shapes:
            _try(transform, shape)
    except Exception as error:  # a transform may raise anything
        raise InputError(
            "AUGMENT_OPTION",
            str(error),
            field=f"{entry.field}.{entry.name}",
            value=entry.options,
            remedy="see the albumentations 2.0.8 documentation of this transform",
        ) from error
    return transform


def scale_range(box_sides: FloatArray, imgsz: int | InputSize, options: ScaleByBoxes) -> tuple[float, float]:
    """Return by which factors images are scaled, so that small boxes stay large enough and large ones fit.

    Args:
        box_sides: (N,) the roots of the areas of the boxes in network pixels, N > 0.
        imgsz: The size of the images.
        options: The bounds.
    """
    small, large = np.quantile(box_sides, [0.1, 0.9])
    low = np.clip(options.smallest / max(small, 1e-9), options.limits[0], 1.0)
    high = np.clip(options.largest * min(InputSize.of(imgsz).hw) / max(large, 1e-9), 1.0, options.limits[1])
    return float(low), float(high)


def _scale_by_boxes(options: ScaleByBoxes, imgsz: InputSize, box_sides: FloatArray | None) -> Any:
    is_known = box_sides is not None and len(box_sides)
    low, high = scale_range(box_sides, imgsz, options) if is_known else options.limits  # type: ignore[arg-type]
    shift = max(_LEAST_SHIFT, (high - 1) / 4)  # else of enlarged images the middle alone would be seen
    return Affine(scale=(low, high), translate_percent=(-shift, shift), keep_ratio=True, fill=PAD_VALUE, p=options.p)


def corners_move(transforms: Sequence[Any]) -> bool:
    """Tell whether all transforms move points too; few cannot."""
    return all(Targets.KEYPOINTS in t._targets for t in transforms if isinstance(t, A.DualTransform))


def mirrors(transform: Any) -> bool:
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


def compose(transforms: Sequence[Any], *, corners: bool) -> Any:
    """Return one pipeline of the transforms, which carries boxes by `indices` and points by `corners`."""
    boxes = A.BboxParams(format="pascal_voc", label_fields=["indices"], clip=True, filter_invalid_bboxes=True)
    points = A.KeypointParams("xy", label_fields=["corners"], remove_invisible=False) if corners else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where no transform moves a box
        return A.Compose(transforms, bbox_params=boxes, keypoint_params=points)


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


def _try(transform: Any, shape: InputSize) -> None:
    """Raise unless a transform turns an image with a box into another of the same form."""
    sure = copy.deepcopy(transform)
    sure.p = 1.0
    pixels = np.full((*shape.hw, 3), PAD_VALUE, np.uint8)
    box = np.array([[0.0, 0.0, shape.width / 2, shape.height / 2]])
    given = {"image": pixels, "bboxes": box, "indices": np.zeros(1)}
    pixels_after = compose([sure], corners=False)(**given)["image"]
    if pixels_after.shape != pixels.shape or pixels_after.dtype != pixels.dtype:
        form, form_after = (f"{each.dtype} {' x '.join(map(str, each.shape))}" for each in (pixels, pixels_after))
        raise ValueError(f"it turns an image of {form} into {form_after}, the same form was expected")
