"""The log-average miss rate after the pedestrian benchmarks (MR^-2). Imports `boxes` and its own room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from detect_transfer import boxes
from detect_transfer.evaluation.assign import in_turn
from detect_transfer.evaluation.attributes import Bounds, inside, truth_attributes
from detect_transfer.evaluation.case import LEAST_OVERLAP, Case, Overlaps, overlaps_of, tolerate
from detect_transfer.evaluation.fates import Fates, Ranked, ranked, settle
from detect_transfer.evaluation.policy import BoolArray, FloatArray
from detect_transfer.evaluation.protocols import Clip, Protocol
from detect_transfer.evaluation.result import MetricResult, Sheet

_FLOOR = 1e-10  # of a miss rate under the logarithm
_FIRST_PIXEL = 1  # Caltech counts pixels from 1


def miss_rate(case: Case, name: str, protocol: Protocol, *, quirk: bool = False) -> MetricResult:
    """Score every subset of a protocol: `reasonable` is the mean over its classes, `reasonable/person` one class.

    Args:
        case: What is scored.
        name: The name of the result.
        protocol: How.
        quirk: Read the curve as the CityPersons code does where its first point has more false alarms than is asked
            for: at its very last point, which flatters. It happens with fewer than 100 images.
    """
    case = tolerate(case, protocol.neighbours)
    read_at = "last_up_to_wrapping" if quirk and protocol.read_at == "last_up_to" else protocol.read_at
    found_xywh, overlaps = prepared(case, protocol)
    attributes = _attributes(case, protocol)
    scored = {name.casefold() for name in protocol.classes}
    names = [name for name in case.names if name.casefold() in scored] or case.names
    sheet, curves = Sheet(), {}
    for subset, bounds in protocol.subsets.items():
        fates = _fates(case, protocol, bounds, attributes, overlaps, heights=found_xywh[:, 3])
        rates: dict[str, float | None] = dict.fromkeys(names)
        for rows in ranked(case, fates):
            class_name = case.names[rows.category]
            if class_name not in rates:
                continue
            fppi = np.cumsum(~rows.hit) / case.n_images
            rates[class_name] = log_average(fppi, rows.recall, protocol.fppi, read_at)
            curves[f"{subset}/{class_name}"] = _curve(rows, fppi)
        sheet.spread(subset, rates, "no object lies within " + (_told(bounds) or "the truth"))
    return sheet.result(name, {**_bounds(protocol, read_at), "classes": names}, curves)


def log_average(fppi: FloatArray, recall: FloatArray, references: tuple[float, ...], read_at: str) -> float:
    """Return exp(mean(log(1 - recall))) over the reference points of a curve (C,); 1 where nothing was found.

    Args:
        fppi: False alarms per image, rising.
        recall: Recall at each point.
        references: Where to read.
        read_at: See `Protocol`.
    """
    if not len(fppi):
        return 1.0
    if read_at == "first_from":
        at = np.minimum(np.searchsorted(fppi, references, side="left"), len(fppi) - 1)
        reached = recall[at]
    else:
        at = np.searchsorted(fppi, references, side="right") - 1  # -1 is the last point
        reached = np.where((at >= 0) | (read_at == "last_up_to_wrapping"), recall[at], 0.0)
    return float(np.exp(np.log(np.maximum(1 - reached, _FLOOR)).mean()))


def prepared(case: Case, protocol: Protocol) -> tuple[FloatArray, Overlaps]:
    """Return the detections (D, 4) `xywh` as the protocol wants them, and what they overlap."""
    key = (protocol.aspect, protocol.clip, protocol.strictly)
    if key not in case.prepared:
        case.prepared[key] = _prepare(case, protocol)
    return case.prepared[key]


def _prepare(case: Case, protocol: Protocol) -> tuple[FloatArray, Overlaps]:
    sizes = image_sizes(case)
    found = _clipped(case.found.xywh, sizes[case.found.image], protocol.clip)
    truth = _clipped(case.known.xywh, sizes[case.known.image], protocol.clip)
    if protocol.aspect is not None:
        found = _with_aspect(found, protocol.aspect)
        overlaps = overlaps_of(case, found, _with_aspect(truth, protocol.aspect), region_xywh=truth)
    elif np.array_equal(found, case.found.xywh) and np.array_equal(truth, case.known.xywh):
        overlaps = case.overlaps
    else:
        overlaps = overlaps_of(case, found, truth)
    if protocol.strictly:
        iou, ioa = (p.take(p.overlap > LEAST_OVERLAP) for p in (overlaps.iou, overlaps.ioa))
        overlaps = Overlaps(in_turn(iou, case.rank, first_wins=True), ioa)
    return found, overlaps


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


def _attributes(case: Case, protocol: Protocol) -> Mapping[str, FloatArray]:
    attributes = truth_attributes(case.truth)
    if protocol.visible == "unhidden_is_infinite":
        attributes["visible"] = np.where(attributes["visible"] >= 1, np.inf, attributes["visible"])
    elif protocol.visible == "flag":
        attributes["visible"] = np.where(attributes["occluded"] > 0, 0.5, 1.0)
    if protocol.clip == "image":
        xywh = _clipped(case.known.xywh, image_sizes(case)[case.known.image], protocol.clip)
        attributes["height"] = xywh[:, 3]
    return attributes


def _fates(
    case: Case,
    protocol: Protocol,
    bounds: Bounds,
    attributes: Mapping[str, FloatArray],
    overlaps: Overlaps,
    *,
    heights: FloatArray,
) -> Fates:
    objects = case.known.is_object & inside(attributes, bounds)
    if protocol.margin is not None:
        objects &= _within_margin(case, protocol.margin)
    by_iou = None
    if protocol.ignored_by_iou:
        by_iou = ~case.truth.boxes["iscrowd"].fill_null(False).to_numpy() & (case.known.category >= 0)
    return settle(case, overlaps, objects, kept=_kept(case, protocol, bounds, heights), by_iou=by_iou)


def _kept(case: Case, protocol: Protocol, bounds: Bounds, heights: FloatArray) -> BoolArray:
    """Tell (D,) which detections take part in a subset."""
    kept = np.ones(len(heights), bool)
    if protocol.max_detections is not None:
        kept = case.place_in_class < protocol.max_detections
    if "height" in bounds:
        span = bounds["height"]
        low = span.low / protocol.expand
        kept &= (heights > low if protocol.above_lowest else heights >= low) & (heights < span.high * protocol.expand)
    return kept


def _within_margin(case: Case, margin: float) -> BoolArray:
    xyxy = boxes.xywh_to_xyxy(case.known.xywh) + _FIRST_PIXEL
    far = image_sizes(case)[case.known.image] - margin
    return np.asarray((xyxy[:, :2] >= margin).all(axis=1) & (xyxy[:, 2:] <= far).all(axis=1))


def _curve(rows: Ranked, fppi: FloatArray) -> dict[str, list[float]]:
    """Keep the points before which the miss rate falls, and the last; the others only repeat it."""
    keep = rows.hit.copy()
    keep[-1:] = True
    return {"fppi": fppi[keep].tolist(), "miss_rate": (1 - rows.recall[keep]).tolist()}


def _told(bounds: Bounds) -> str:
    return " and ".join(f"{column} {span}" for column, span in bounds.items())


def _bounds(protocol: Protocol, read_at: str) -> dict[str, Any]:
    return {
        "subsets": {name: {c: str(span) for c, span in b.items()} for name, b in protocol.subsets.items()},
        "source": protocol.source,
        "overlap": "> 0.5" if protocol.strictly else ">= 0.5",
        "fppi": list(protocol.fppi),
        "read_at": read_at,
        "miss_rate_floor": _FLOOR,
        "visible": protocol.visible,
        "detections_expand_height_by": protocol.expand,
        "aspect": protocol.aspect,
        "margin": protocol.margin,
        "clip": protocol.clip,
        "ignored_by": "IoU, crowds by share of the detection" if protocol.ignored_by_iou else "share of the detection",
        "max_detections": protocol.max_detections,
        "neighbours": {name: list(others) for name, others in protocol.neighbours.items()},
    }
