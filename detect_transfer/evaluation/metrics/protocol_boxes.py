"""The boxes as a protocol of the miss rate sees them, and what they overlap."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from detect_transfer.core import boxes
from detect_transfer.core.arrays import FloatArray
from detect_transfer.evaluation.assignment import in_turn
from detect_transfer.evaluation.attributes import truth_attributes
from detect_transfer.evaluation.case import LEAST_OVERLAP, Case, Overlaps, overlaps_of, tolerate
from detect_transfer.evaluation.metrics.protocols import Clip, Protocol


def case_of(case: Case, protocol: Protocol) -> Case:
    """Return the case with the truth boxes that the protocol discards, counts or ignores; the case is not changed."""
    if protocol.discarded or protocol.counted:
        truth = case.truth
        names = dict(truth.categories.select("category_id", pl.col("name").str.to_lowercase()).iter_rows())
        counted = _ignored_for(protocol.counted, names)
        rows = truth.boxes.filter(~_ignored_for(protocol.discarded, names)).with_columns(
            ignore=pl.col("ignore") & ~counted, ignore_reason=pl.when(~counted).then("ignore_reason")
        )
        case = Case(truth.with_boxes(rows), case.detections)
    return tolerate(case, protocol.neighbours)


def _ignored_for(rule: Mapping[str, tuple[str, ...]], names: Mapping[int, str]) -> pl.Expr:
    """Return which boxes are of a class of the rule and ignored for one of its reasons."""
    ruled = [
        pl.col("category_id").eq(category_id) & pl.col("ignore_reason").is_in(rule[name])
        for category_id, name in names.items()
        if name in rule
    ]
    return pl.any_horizontal(pl.lit(False), *ruled).fill_null(False)


def prepared(case: Case, protocol: Protocol) -> tuple[FloatArray, Overlaps]:
    """Return the detections (D, 4) `xywh` as the protocol wants them, and what they overlap."""
    key = ("protocol boxes", protocol.aspect, protocol.clip, protocol.strictly, protocol.overlap)
    return case.shared(key, lambda: _prepare(case, protocol))


def _prepare(case: Case, protocol: Protocol) -> tuple[FloatArray, Overlaps]:
    sizes = image_sizes(case)
    dt = _clipped(case.dt.xywh, sizes[case.dt.image], protocol.clip)
    gt = _clipped(case.gt.xywh, sizes[case.gt.image], protocol.clip)
    regions = None
    if protocol.aspect is not None:
        dt, gt, regions = _with_aspect(dt, protocol.aspect), _with_aspect(gt, protocol.aspect), gt
    unchanged = np.array_equal(dt, case.dt.xywh) and np.array_equal(gt, case.gt.xywh)
    if unchanged and protocol.overlap == LEAST_OVERLAP:
        overlaps = case.overlaps
    else:
        overlaps = overlaps_of(case, dt, gt, protocol.overlap, region_xywh=regions)
    if protocol.strictly:
        iou, ioa = (pairs.take(pairs.overlap > protocol.overlap) for pairs in (overlaps.iou, overlaps.ioa))
        overlaps = Overlaps(in_turn(iou, case.rank, first_wins=True), ioa)
    return dt, overlaps


def image_sizes(case: Case) -> FloatArray:
    """Return (I, 2) width and height of the images by position; infinite where they are not known."""
    rows = case.truth.images.sort("image_id").select("width", "height").cast(pl.Float64)
    return rows.fill_null(float("inf")).to_numpy()


def _with_aspect(xywh: FloatArray, aspect: float) -> FloatArray:
    width = xywh[:, 3] * aspect
    return np.column_stack([xywh[:, 0] + (xywh[:, 2] - width) / 2, xywh[:, 1], width, xywh[:, 3]])


def _clipped(xywh: FloatArray, sizes_wh: FloatArray, clip: Clip) -> FloatArray:
    if clip == "none":
        return xywh
    xyxy = boxes.clip(boxes.xywh_to_xyxy(xywh), sizes_wh)
    if clip == "start_inside":
        xyxy[:, :2] = np.minimum(xyxy[:, :2], sizes_wh - 1)
    return boxes.xyxy_to_xywh(xyxy)


def protocol_attributes(case: Case, protocol: Protocol) -> dict[str, FloatArray]:
    """Return for all truth boxes (N,) what subsets are cut by, as the protocol sees it."""
    attributes = truth_attributes(case.truth)
    if protocol.visible == "unhidden_is_infinite":
        attributes["visible"] = np.where(attributes["visible"] >= 1, np.inf, attributes["visible"])
    elif protocol.visible == "flag":
        attributes["visible"] = np.where(attributes["occluded"] > 0, 0.5, 1.0)
    if protocol.clip == "image":
        xywh = _clipped(case.gt.xywh, image_sizes(case)[case.gt.image], protocol.clip)
        attributes["height"] = xywh[:, 3]
    return attributes
