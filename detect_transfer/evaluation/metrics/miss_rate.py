"""The log-average miss rate after the pedestrian benchmarks (MR^-2, MR^-4).

What a protocol makes of the boxes before is in `protocol_boxes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from detect_transfer.core import boxes
from detect_transfer.core.arrays import BoolArray, FloatArray
from detect_transfer.core.class_names import match_class_names
from detect_transfer.evaluation.attributes import Bounds, inside
from detect_transfer.evaluation.case import Case, Overlaps
from detect_transfer.evaluation.metric_result import Curves, MetricResult, Sheet
from detect_transfer.evaluation.metrics.protocol_boxes import case_of, image_sizes, prepared, protocol_attributes
from detect_transfer.evaluation.metrics.protocols import Protocol
from detect_transfer.evaluation.outcomes import MatchOutcomes, Ranked, match_detections, ranked

_FLOOR = 1e-10  # of a miss rate under the logarithm
_FIRST_PIXEL = 1  # Caltech counts pixels from 1


def miss_rate(case: Case, name: str, protocol: Protocol, *, quirk: bool = False) -> MetricResult:
    """Score every subset of a protocol: `reasonable` is the mean over its classes, `reasonable/person` one class.

    Args:
        case: What is scored.
        name: The name of the result.
        protocol: How.
        quirk: Read the curve as the CityPersons code does where its first point has more false positives than the
            reference: at its very last point, which flatters. It happens with fewer than 100 images.
    """
    if quirk and protocol.read_at == "last_up_to":
        protocol = replace(protocol, read_at="last_up_to_wrapping")
    scored = set(match_class_names(protocol.classes, case.names).values())
    names = [class_name for class_name in case.names if class_name in scored] or case.names
    sheet = Sheet()
    curves: Curves = {}
    prepared_case = case_of(case, protocol)
    for part in (protocol, *protocol.variants):
        same = part.neighbours == protocol.neighbours
        _score(prepared_case if same else case_of(case, part), part, names, sheet, curves)
    return sheet.result(name, {"classes": names, **_bounds(protocol)}, curves)


def _score(case: Case, protocol: Protocol, names: list[str], sheet: Sheet, curves: Curves) -> None:
    """Put the miss rates of the subsets, and their curves, beside what is there."""
    dt_xywh, overlaps = prepared(case, protocol)
    attributes = protocol_attributes(case, protocol)
    for subset, bounds in protocol.subsets.items():
        objects = case.gt.is_object & inside(attributes, bounds)
        outcomes = _outcomes(
            case, protocol, objects, overlaps, included=_included(case, protocol, bounds, dt_xywh[:, 3])
        )
        rates: dict[str, float | None] = dict.fromkeys(names)
        for rows in ranked(case, outcomes):
            class_name = case.names[rows.category]
            if class_name not in rates:
                continue
            fppi = np.cumsum(~rows.tp) / case.n_images
            rates[class_name] = log_average(fppi, rows.recall, protocol.fppi, protocol.read_at)
            curves[f"{subset}/{class_name}"] = _curve(rows, fppi)
        sheet.spread(subset, rates, "no object lies within " + (_in_words(bounds) or "the truth"))


def log_average(fppi: FloatArray, recall: FloatArray, references: tuple[float, ...], read_at: str) -> float:
    """Return exp(mean(log(1 - recall))) over the reference points of a curve (C,); 1 without a detection.

    Args:
        fppi: False positives per image, rising.
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


def _outcomes(
    case: Case, protocol: Protocol, objects: BoolArray, overlaps: Overlaps, *, included: BoolArray
) -> MatchOutcomes:
    if protocol.margin is not None:
        objects = objects & _within_margin(case, protocol.margin)
    by_iou = None
    if protocol.ignored_by_iou:
        by_iou = ~case.truth.boxes["iscrowd"].fill_null(False).to_numpy() & (case.gt.category >= 0)
    return match_detections(case, overlaps, objects, included=included, by_iou=by_iou)


def _included(case: Case, protocol: Protocol, bounds: Bounds, heights: FloatArray) -> BoolArray:
    """Return a mask (D,) of the detections that take part in a subset."""
    included = np.ones(len(heights), bool)
    if protocol.max_detections is not None:
        included = case.rank_in_class < protocol.max_detections
    if "height" in bounds:
        span = bounds["height"]
        low = span.low / protocol.expand
        included &= (heights > low if protocol.above_lowest else heights >= low) & (
            heights < span.high * protocol.expand
        )
    return included


def _within_margin(case: Case, margin: float) -> BoolArray:
    xyxy = boxes.xywh_to_xyxy(case.gt.xywh) + _FIRST_PIXEL
    far = image_sizes(case)[case.gt.image] - margin
    return np.asarray((xyxy[:, :2] >= margin).all(axis=1) & (xyxy[:, 2:] <= far).all(axis=1))


def _curve(rows: Ranked, fppi: FloatArray) -> dict[str, list[float]]:
    """Return the points before which the miss rate falls, and the last; the others only repeat it."""
    keep = rows.tp.copy()
    keep[-1:] = True
    return {"fppi": fppi[keep].tolist(), "miss_rate": (1 - rows.recall[keep]).tolist()}


def _in_words(bounds: Bounds) -> str:
    return " and ".join(f"{column} {span}" for column, span in bounds.items())


def _bounds(protocol: Protocol) -> dict[str, Any]:
    """Return the rules, then of each variant what differs, then the bounds of all subsets."""
    rules, subsets = _rules(protocol), _spans(protocol)
    variants = {}
    for variant in protocol.variants:
        differing = {key: value for key, value in _rules(variant).items() if value != rules[key]}
        variants.update(dict.fromkeys(variant.subsets, differing))
        subsets |= _spans(variant)
    return {**rules, "variants": variants, "subsets": subsets}


def _spans(protocol: Protocol) -> dict[str, dict[str, str]]:
    return {name: {c: str(span) for c, span in b.items()} for name, b in protocol.subsets.items()}


def _rules(protocol: Protocol) -> dict[str, Any]:
    return {
        "source": protocol.source,
        "overlap": f"{'>' if protocol.strictly else '>='} {protocol.overlap:g}",
        "fppi": list(protocol.fppi),
        "read_at": protocol.read_at,
        "miss_rate_floor": _FLOOR,
        "visible": protocol.visible,
        "detections_expand_height_by": protocol.expand,
        "aspect": protocol.aspect,
        "margin": protocol.margin,
        "clip": protocol.clip,
        "ignored_by": "IoU, crowds by share of the detection" if protocol.ignored_by_iou else "share of the detection",
        "max_detections": protocol.max_detections,
        "discarded": _lists(protocol.discarded),
        "counted": _lists(protocol.counted),
        "neighbours": _lists(protocol.neighbours),
    }


def _lists(rule: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    return {name: list(others) for name, others in rule.items()}
