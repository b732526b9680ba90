"""What counts: which truth boxes are objects, which are regions that excuse, and whether the ids agree.

`region`: a truth box marked `ignore` or `iscrowd` is no object; it excuses every detection that lies in it, by
intersection over the area of the detection. `strict`: what pycocotools makes of the same boxes in a COCO file, where
`ignore` without `iscrowd` is an object like any other, because `COCOeval._prepare` overwrites it. A region without a
category excuses every class under `region`; no COCO file can hold it, so `strict` leaves it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np
import polars as pl

from detect_transfer.core import boxes
from detect_transfer.core.annotations import XYXY, AnnotationTable, Detections
from detect_transfer.core.arrays import BoolArray, FloatArray, IntArray
from detect_transfer.core.errors import InputError

IgnorePolicy = Literal["region", "strict"]

EVERY_CLASS = -1  # the class index of a region that is ignored for every class


@dataclass(frozen=True)
class TruthArrays:
    """The truth as arrays, in the row order of `table.boxes`.

    Args:
        image: Position (N,) of the image in the sorted image ids, from 0.
        category: Position (N,) of the class in the sorted category ids, from 0; `EVERY_CLASS` where it has none.
        xywh: Boxes (N, 4) in pixels.
        area: Area (N,) in square pixels that decides the size class: the column `area` where it is given.
        is_object: (N,) True for an object.
        is_region: (N,) True for a box that excuses detections.
        image_ids: The image ids, sorted.
        category_ids: The category ids, sorted.
    """

    image: IntArray
    category: IntArray
    xywh: FloatArray
    area: FloatArray
    is_object: BoolArray
    is_region: BoolArray
    image_ids: IntArray
    category_ids: IntArray


@dataclass(frozen=True)
class DetectionArrays:
    """Detections as arrays, in row order; `image` and `category` as in `TruthArrays`, `score` (N,) in [0, 1]."""

    image: IntArray
    category: IntArray
    xywh: FloatArray
    score: FloatArray


def parse_ignore_policy(name: str) -> IgnorePolicy:
    """Return the policy of that name.

    Raises:
        InputError: There is none.
    """
    for policy in get_args(IgnorePolicy):
        if name == policy:
            return cast(IgnorePolicy, policy)
    raise InputError(
        "IGNORE_POLICY",
        "there is no such way to treat ignored boxes",
        field="ignore_policy",
        value=name,
        remedy="give one of " + ", ".join(get_args(IgnorePolicy)),
    )


def truth_arrays(truth: AnnotationTable, *, ignore_policy: IgnorePolicy) -> TruthArrays:
    """Sort the truth boxes into objects and regions under a policy.

    Raises:
        InputError: There is no image, or no such policy.
    """
    parse_ignore_policy(ignore_policy)
    if truth.images.is_empty():
        raise InputError(
            "TRUTH_EMPTY", "the truth lists no image, so nothing can be scored", remedy="give the split that was meant"
        )
    image_ids = np.sort(truth.images["image_id"].to_numpy())
    category_ids = np.sort(truth.categories["category_id"].to_numpy())
    rows = truth.boxes
    xywh = boxes.xyxy_to_xywh(rows.select(XYXY).to_numpy())
    has_class = rows["category_id"].is_not_null().to_numpy()
    category = np.searchsorted(category_ids, rows["category_id"].fill_null(0).to_numpy())
    crowd = rows["iscrowd"].fill_null(False).to_numpy()
    ignored = rows["ignore"].fill_null(False).to_numpy()
    region = (crowd | ignored) if ignore_policy == "region" else (crowd & has_class)
    return TruthArrays(
        image=np.searchsorted(image_ids, rows["image_id"].to_numpy()),
        category=np.where(has_class, category, EVERY_CLASS),
        xywh=xywh,
        area=_areas(rows, xywh),
        is_object=has_class & ~region,
        is_region=region,
        image_ids=image_ids,
        category_ids=category_ids,
    )


def _areas(rows: pl.DataFrame, xywh: FloatArray) -> FloatArray:
    own = xywh[:, 2] * xywh[:, 3]
    if "area" not in rows.columns:
        return own
    given = rows["area"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return np.where(np.isfinite(given), given, own)


def detection_arrays(detections: Detections, truth: TruthArrays) -> DetectionArrays:
    """Turn detections into arrays that point into `truth`.

    Raises:
        InputError: A detection names an image or a class that the truth does not have; the first ten are listed.
    """
    rows = detections.rows
    return DetectionArrays(
        image=_positions(rows["image_id"], truth.image_ids),
        category=_positions(rows["category_id"], truth.category_ids),
        xywh=boxes.xyxy_to_xywh(rows.select(XYXY).to_numpy()),
        score=rows["score"].to_numpy(),
    )


def _positions(ids: pl.Series, sorted_ids: IntArray) -> IntArray:
    """Return the positions (N,) of `ids` in the ids of the truth."""
    position = np.searchsorted(sorted_ids, ids.fill_null(0).to_numpy())
    if not ids.is_in(pl.Series(sorted_ids).implode()).fill_null(False).all():
        raise _unknown_ids(ids, sorted_ids)
    return np.asarray(position, dtype=np.int64)


def _unknown_ids(ids: pl.Series, sorted_ids: IntArray) -> InputError:
    wrong = ids.filter(~ids.is_in(pl.Series(sorted_ids).implode()).fill_null(False))
    listed = ", ".join("none" if i is None else str(i) for i in wrong.unique(maintain_order=True)[:10].to_list())
    n = len(sorted_ids)
    possible = f"{n} from {sorted_ids[0]} to {sorted_ids[-1]}" if n else "none at all"
    hint = "; YOLO's class indices start at 0" if ids.name == "category_id" else ""
    return InputError(
        "DETECTION_UNKNOWN_ID",
        f"{len(wrong)} detections name a {ids.name} that the truth does not have: {listed}",
        field=ids.name,
        value=wrong[0],
        remedy=f"use the ids of the truth ({possible}{hint}), or give the truth that was predicted on",
    )
