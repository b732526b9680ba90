"""What the four numbers of a box are: what the layout says, unless the numbers or the truth speak against it.

A wrong form would give a plausible low score, so it is refused with the option that says what is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.arrays import BoolArray, FloatArray
from detect_transfer.core.boxes import xywh_to_xyxy
from detect_transfer.core.choices import BoxForm
from detect_transfer.core.errors import InputError
from detect_transfer.formats.detections.overlaps import on_an_object

_CORNERS_OF: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "xyxy": lambda b: b,
    "xywh": xywh_to_xyxy,
    "cxcywh": lambda b: np.concatenate([b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2], axis=1),
    "yxyx": lambda b: b[:, [1, 0, 3, 2]],
    "yxhw": lambda b: xywh_to_xyxy(b[:, [1, 0, 3, 2]]),
}
_LARGEST_SHARE = 1.5  # boxes may leave the image a little
_SMALLEST_IMAGE_PX = 8  # in smaller ones a box below 2 px is nothing special
_LEAVING = 0.02  # by this share of a side, and two pixels, a box is outside
_MOST_LEAVING = 0.2  # more boxes outside than this are no accident
_OUTLIERS = 0.1  # so many boxes may be odd without hiding what the others show
_MOST_ROWS = 500  # the best detections are evidence enough
_LEAST_ROWS = 20
_LEAST_ON_OBJECTS, _LEAST_SHARE, _TIMES_BETTER = 5, 0.15, 5  # boxes at random reach none of these together
_CONFIDENT, _NEARLY_NONE = 0.25, 0.03
_OPTION = "--box-form"


def corners_in_pixels(numbers: FloatArray, form: BoxForm, sizes_wh: FloatArray) -> FloatArray:
    """Return the corners (N, 4) in pixels of boxes (N, 4) of any form, in images (N, 2) of these sizes."""
    kind, _, norm = form.value.partition("-")
    corners = _CORNERS_OF[kind](numbers)
    return corners * np.tile(sizes_wh, 2) if norm else corners


def fits_image(shares: FloatArray, form: BoxForm) -> bool:
    """Tell whether nearly all boxes (N, 4) in shares of the image lie in it when read in this form."""
    corners = _CORNERS_OF[form.value.removesuffix("-norm")](shares)
    ordered = (corners[:, 2:] >= corners[:, :2]).all(axis=1)
    inside = ((corners >= -_LEAVING) & (corners <= 1 + _LEAVING)).all(axis=1)
    return bool(len(shares)) and bool((ordered & inside).mean() > 1 - _LEAVING)


@dataclass(frozen=True)
class OnObjects:
    """How many of the best detections lie on an object of the truth, of whatever class.

    Args:
        n_best: The best detections.
        n_confident: Those of them with a score that a user would look at.
        n_own: Those on an object if read as the layout says.
        likely: The form that reads clearly more of them; None where there is none.
        n_likely: Those on an object if read so.
    """

    n_best: int
    n_confident: int
    n_own: int
    likely: BoxForm | None = None
    n_likely: int = 0


def count_on_objects(rows: pl.DataFrame, form: BoxForm, sizes_wh: FloatArray, truth: AnnotationTable) -> OnObjects:
    """Compare the best detections with the objects of the truth.

    Args:
        rows: Detections with `image_id`, the four numbers as `XYXY` and `score`.
        form: What the layout says the numbers are.
        sizes_wh: (N, 2) width and height of the image of each; NaN where not known.
        truth: The objects.
    """
    n_objects = truth.boxes.filter(pl.col("image_id").is_in(rows["image_id"].unique().implode())).height
    if not n_objects:
        return OnObjects(0, 0, 0)
    n_best = min(_MOST_ROWS, max(_LEAST_ROWS, n_objects))  # the best detector has false positives behind them
    best = rows.with_row_index("row").sort("score", descending=True, maintain_order=True).head(n_best)
    numbers, sizes_wh = best.select(XYXY).to_numpy(), sizes_wh[best["row"].to_numpy()]

    def count(form: BoxForm) -> int:
        return int(on_an_object(best["image_id"], corners_in_pixels(numbers, form, sizes_wh), truth).sum())

    counted = OnObjects(len(best), int((best["score"] >= _CONFIDENT).sum()), count(form))
    if counted.n_own >= len(best) / _TIMES_BETTER:
        return counted
    counts = {other: count(other) for other in BoxForm if other != form}
    likely = max(counts, key=counts.__getitem__)
    enough = max(_LEAST_ON_OBJECTS, _LEAST_SHARE * len(best), _TIMES_BETTER * counted.n_own)
    return replace(counted, likely=likely, n_likely=counts[likely]) if counts[likely] >= enough else counted


def check_box_form(numbers: FloatArray, form: BoxForm, sizes_wh: FloatArray, counted: OnObjects, where: Path) -> None:
    """Refuse boxes that are of another form by their numbers or by the objects; a tenth of them may be otherwise.

    Args:
        numbers: (N, 4) numbers as they stand.
        form: What the layout says they are.
        sizes_wh: (N, 2) width and height of the image of each; NaN where not known.
        counted: What the objects of the truth say.
        where: The file.

    Raises:
        InputError: The boxes are of another form.
    """
    what, likely = _by_numbers(numbers, form, sizes_wh)
    likely = counted.likely or likely
    if likely is None:
        return
    if not what:
        what = (
            f"of the {counted.n_best:,} best boxes {counted.n_own:,} lie on an object of the truth if read as "
            f"{form.value}, and {counted.n_likely:,} if read as {likely.value}"
        )
    remedy = f"if so, give {_OPTION} {likely.value}; if they are right, {_OPTION} {form.value}"
    raise InputError("DETECTION_BOXES", what, where=where, field=_OPTION, remedy=remedy)


def warn_of_boxes(counted: OnObjects) -> tuple[str, ...]:
    """Return a warning where many detections are confident and hardly one lies on an object."""
    if counted.n_confident < _LEAST_ROWS or counted.n_own > _NEARLY_NONE * counted.n_best:
        return ()
    reading = f"as {counted.likely.value}" if counted.likely else f"by any {_OPTION}"
    return (
        f"WARNING: {counted.n_own:,} of the {counted.n_best:,} best detections lie on an object of the truth, "
        f"and {counted.n_likely:,} if read {reading}: are they of these images, in pixels of their full size?",
    )


def _by_numbers(numbers: FloatArray, form: BoxForm, sizes_wh: FloatArray) -> tuple[str, BoxForm | None]:
    """Tell what speaks against boxes in pixels, and which form is likely: shares, or corners for a size."""
    telling = (numbers != 0).any(axis=1) & ~(sizes_wh < _SMALLEST_IMAGE_PX).any(axis=1)  # rows of 0 fill up a table
    numbers, sizes_wh = numbers[telling], sizes_wh[telling]
    if form.value.endswith("-norm") or not len(numbers):
        return "", None
    tiny = np.abs(numbers).max(axis=1) <= _LARGEST_SHARE
    if tiny.mean() >= 1 - _OUTLIERS:
        own = BoxForm(f"{form.value}-norm")
        likely = own if fits_image(numbers[tiny], own) else BoxForm.CXCYWH_NORM
        return f"{_of_all(tiny)} lie within 2 pixels: their numbers are shares of the image, not pixels", likely
    if form == BoxForm.XYWH:
        leaving = _leaving(corners_in_pixels(numbers, form, sizes_wh), sizes_wh)
        as_corners = (numbers[:, 2:] >= numbers[:, :2]).all(axis=1) & ~_leaving(numbers, sizes_wh)
        if leaving.mean() > _MOST_LEAVING and as_corners.mean() >= 1 - _OUTLIERS:
            n_odd = len(numbers) - int(as_corners.sum())
            what = f"{_of_all(leaving)} leave their images if read as x, y, width, height, "
            return f"{what}and {n_odd or 'none'} if read as two corners", BoxForm.XYXY
    return "", None


def _leaving(corners: FloatArray, sizes_wh: FloatArray) -> BoolArray:
    """Tell which boxes (N, 4) reach clearly out of their images; not those of images of unknown size."""
    over = np.maximum(-corners[:, :2], corners[:, 2:] - sizes_wh)
    return np.asarray((over > np.maximum(2.0, _LEAVING * sizes_wh)).any(axis=1))


def _of_all(chosen: BoolArray) -> str:
    n = len(chosen)
    return f"all {n:,} boxes" if chosen.all() else f"{int(chosen.sum()):,} of {n:,} boxes"
