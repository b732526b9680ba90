"""What a file of detections means where its layout leaves it open: the form of its boxes, the numbers of its classes.

A reading that the rows themselves, or the objects of the truth, speak against is refused with the option that says
what is meant: a wrong one would give a plausible low score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.arrays import BoolArray, FloatArray
from detect_transfer.core.boxes import xywh_to_xyxy
from detect_transfer.core.choices import BoxForm, ClassNumbers
from detect_transfer.core.errors import InputError
from detect_transfer.formats.detections.names import KnownNames

_CORNERS_OF: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "xyxy": lambda b: b,
    "xywh": xywh_to_xyxy,
    "cxcywh": lambda b: np.concatenate([b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2], axis=1),
}
_LARGEST_SHARE = 1.5  # boxes may leave the image a little
_SMALLEST_IMAGE_PX = 8  # in smaller ones a box below 2 px is nothing special
_LEAVING = 0.02  # by this share of a side, and two pixels, a box is outside
_MOST_LEAVING = 0.2  # more boxes outside than this are no accident
_LEAST_IOU = 0.5
_MOST_ROWS = 5000  # the best detections are evidence enough
_LEAST_PAIRS, _MAJORITY = 5, 0.8
_OPTION = "--box-form"


def corners_in_pixels(numbers: FloatArray, form: BoxForm, sizes_wh: FloatArray) -> FloatArray:
    """Return the corners (N, 4) in pixels of boxes (N, 4) of any form, in images (N, 2) of these sizes."""
    kind, _, norm = form.value.partition("-")
    corners = _CORNERS_OF[kind](numbers)
    return corners * np.tile(sizes_wh, 2) if norm else corners


def check_box_form(numbers: FloatArray, form: BoxForm, sizes_wh: FloatArray, where: Path) -> None:
    """Refuse boxes (N, 4) in pixels that are shares of the image, or corners where a size was expected.

    Args:
        numbers: The four numbers of each box as they stand.
        form: What the layout says they are.
        sizes_wh: (N, 2) width and height of the image of each; NaN where not known.
        where: The file.

    Raises:
        InputError: All boxes are of another form.
    """
    if not len(numbers) or form.value.endswith("-norm"):
        return
    small = (sizes_wh < _SMALLEST_IMAGE_PX).any()
    if not small and np.abs(numbers).max() <= _LARGEST_SHARE:
        what = f"all {len(numbers):,} boxes lie within 2 pixels: their numbers are shares of the image, not pixels"
        likely = f"{form.value}-norm" if fits_image(numbers, BoxForm(f"{form.value}-norm")) else "cxcywh-norm"
        raise _other_form(what, form, likely, where)
    if form != BoxForm.XYWH:
        return
    leaving = _leaving(corners_in_pixels(numbers, form, sizes_wh), sizes_wh)
    ordered = (numbers[:, 2] > numbers[:, 0]) & (numbers[:, 3] > numbers[:, 1])
    if leaving.mean() > _MOST_LEAVING and ordered.all() and not _leaving(numbers, sizes_wh).any():
        what = f"{int(leaving.sum()):,} of {len(numbers):,} boxes leave their images if read as x, y, width, height, "
        raise _other_form(what + "and none if read as two corners", form, BoxForm.XYXY.value, where)


def fits_image(shares: FloatArray, form: BoxForm) -> bool:
    """Tell whether nearly all boxes (N, 4) in shares of the image lie in it when read in this form."""
    corners = _CORNERS_OF[form.value.removesuffix("-norm")](shares)
    ordered = (corners[:, 2:] >= corners[:, :2]).all(axis=1)
    inside = ((corners >= -_LEAVING) & (corners <= 1 + _LEAVING)).all(axis=1)
    return bool(len(shares)) and bool((ordered & inside).mean() > 1 - _LEAVING)


def _leaving(corners: FloatArray, sizes_wh: FloatArray) -> BoolArray:
    """Tell which boxes (N, 4) reach clearly out of their images; not those of images of unknown size."""
    over = np.maximum(-corners[:, :2], corners[:, 2:] - sizes_wh)
    return np.asarray((over > np.maximum(2.0, _LEAVING * sizes_wh)).any(axis=1))


def _other_form(what: str, form: BoxForm, likely: str, where: Path) -> InputError:
    remedy = f"if so, give {_OPTION} {likely}; if they are right, {_OPTION} {form.value}"
    return InputError("DETECTION_BOXES", what, where=where, field=_OPTION, remedy=remedy)


def number_classes(
    rows: pl.DataFrame, known: KnownNames, *, from_1_first: bool, where: Path
) -> tuple[Mapping[int, int], ClassNumbers] | None:
    """Return the category_id that each class number means, and how they are counted.

    Args:
        rows: Detections with `image_id`, corners, `score` and the class number as `number`.
        known: The truth, and what its files number.
        from_1_first: The file is of a tool that counts the classes from 1.
        where: The file.

    Returns:
        None where the numbers are neither ids nor are known to count from 1.

    Raises:
        InputError: The objects of the truth say that they are counted otherwise.
    """
    readings = class_readings(known)
    used = rows["number"].unique().to_list()
    readings = {kind: ids for kind, ids in readings.items() if all(number in ids for number in used)}
    usual = [ClassNumbers.IDS, *([ClassNumbers.FROM_1] if from_1_first else [])]
    usual = [kind for kind in usual if kind in readings]
    if not usual:
        return None
    first = usual[0]
    pairs = _overlapping(rows, known.truth)
    for kind, ids in readings.items():
        n_better, n_worse = _agreement(pairs, ids, readings[first])
        if n_better + n_worse < _LEAST_PAIRS or n_better <= _MAJORITY * (n_better + n_worse):
            continue
        if kind in usual:
            first = kind
            continue
        raise InputError(
            "CLASS_NUMBERS",
            f"{n_better:,} detections lie on an object of their class only if the class numbers are {_MEANING[kind]}, "
            f"and {n_worse:,} only if they are {_MEANING[first]}",
            where=where,
            field="--class-numbers",
            value=first.value,
            remedy=f"give --class-numbers {kind.value}, or {first.value} if that is what they are",
        )
    return readings[first], first


def class_readings(known: KnownNames) -> dict[ClassNumbers, Mapping[int, int]]:
    """Return the category_id of each number by each way to number the classes of a truth, as far as its files tell."""
    readings: dict[ClassNumbers, Mapping[int, int]] = {}
    if known.class_ids is not None:
        readings[ClassNumbers.IDS] = known.class_ids
    if known.class_order:
        order = known.truth.categories["category_id"].sort().to_list()
        readings[ClassNumbers.FROM_1] = dict(enumerate(order, start=1))
        readings[ClassNumbers.FROM_0] = dict(enumerate(order))
    return readings


_MEANING = {
    ClassNumbers.IDS: "category ids",
    ClassNumbers.FROM_0: "places in the list of classes from 0",
    ClassNumbers.FROM_1: "places in the list of classes from 1",
}


def meaning_of(numbers: ClassNumbers) -> str:
    """Return in words what class numbers are."""
    return _MEANING[numbers]


def _overlapping(rows: pl.DataFrame, truth: AnnotationTable) -> pl.DataFrame:
    """Return class number and true class of the best detections that lie on an object of whatever class."""
    best = rows.sort("score", descending=True, maintain_order=True).head(_MOST_ROWS)
    objects = truth.boxes.filter(~pl.col("ignore") & pl.col("category_id").is_not_null())
    boxes = objects.select(
        "image_id", pl.col("category_id").alias("true_id"), *(pl.col(c).alias(f"{c}_t") for c in XYXY)
    )
    pairs = best.select("image_id", "number", *XYXY).join(boxes, on="image_id")
    sides = [
        (pl.min_horizontal(f"{a}2", f"{a}2_t") - pl.max_horizontal(f"{a}1", f"{a}1_t")).clip(0) for a in ("x", "y")
    ]
    common = sides[0] * sides[1]
    areas = [(pl.col(f"x2{e}") - pl.col(f"x1{e}")) * (pl.col(f"y2{e}") - pl.col(f"y1{e}")) for e in ("", "_t")]
    return pairs.filter(common >= _LEAST_IOU * (areas[0] + areas[1] - common), common > 0).select("number", "true_id")


def _agreement(pairs: pl.DataFrame, ids: Mapping[int, int], usual: Mapping[int, int]) -> tuple[int, int]:
    """Count the pairs that one reading alone gets right, and those that the usual one alone does."""
    first, other = (
        pairs["number"].replace_strict(reading, default=None, return_dtype=pl.Int64).eq_missing(pairs["true_id"])
        for reading in (ids, usual)
    )
    return int((first & ~other).sum()), int((other & ~first).sum())
