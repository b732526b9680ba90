"""`score`: the twelve COCO numbers with classes and curves, under both ignore policies; `strict` is pycocotools."""

from __future__ import annotations

import numpy as np

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.errors import InputError
from detect_transfer.evaluation.arrays import EVERY_CLASS, DetectionArrays, IgnorePolicy, TruthArrays, truth_arrays
from detect_transfer.evaluation.case import Case
from detect_transfer.evaluation.coco.accumulate import (
    ALL_AREAS,
    AT_IOU_50,
    AT_IOU_75,
    Tables,
    accumulate,
    mean,
    metrics_of,
)
from detect_transfer.evaluation.coco.intervals import score_intervals
from detect_transfer.evaluation.coco.result import SIZES, ClassScores, Curve, Scores
from detect_transfer.evaluation.matching import match_case
from detect_transfer.evaluation.metric_result import MetricResult, Sheet
from detect_transfer.evaluation.threshold_curves import best_f1_threshold

_AREA_WORDS = {
    "small": "no object with an area up to 32 x 32 pixels is in the truth",
    "medium": "no object with an area from 32 x 32 to 96 x 96 pixels is in the truth",
    "large": "no object with an area of 96 x 96 pixels or more is in the truth",
}
_NO_OBJECT = "the truth has no object"


def score(
    truth: AnnotationTable,
    detections: Detections,
    *,
    ignore_policy: IgnorePolicy = "region",
    max_detections: int = 100,
    n_draws: int = 0,
) -> Scores:
    """Compute the COCO numbers of detections against the truth; neither is changed.

    Args:
        truth: All images that were predicted on, with their boxes and classes.
        detections: The detections; none at all gives AP 0.
        ignore_policy: `region` or `strict`, see `arrays`.
        max_detections: How many detections of a class count in an image; AR1, AR10 and AR100 keep their own caps.
        n_draws: Draws of the bootstrap for the intervals of AP and AP50; 0 leaves them out.

    Raises:
        InputError: The truth has no image, or a detection names an image or a class that the truth does not have.

    Source:
        pycocotools 2.0.11, `COCOeval` with iouType `bbox`.
    """
    return score_case(Case(truth, detections, ignore_policy), max_detections=max_detections, n_draws=n_draws)


def score_case(case: Case, *, max_detections: int = 100, n_draws: int = 0) -> Scores:
    """Do what `score` does with a case, which keeps what other metrics need too."""
    tables = _tables(case, max_detections)
    metrics = metrics_of(tables)
    strict = _strict(case, max_detections) if case.ignore_policy == "region" else None
    return Scores(
        metrics=metrics,
        reasons=_reasons(metrics),
        ignore_policy=case.ignore_policy,
        strict=strict if strict is not None and _differ(metrics, strict) else None,
        per_class=_per_class(case, tables),
        curves=_curves(case.gt, tables),
        counts=_counts(case.gt, case.dt),
        max_detections=max_detections,
        interval=score_intervals(case, max_detections=max_detections, n_draws=n_draws) if n_draws else None,
    )


def coco_metrics(
    truth: AnnotationTable,
    detections: Detections,
    *,
    ignore_policy: IgnorePolicy = "region",
    max_detections: int = 100,
) -> dict[str, float | None]:
    """Compute the twelve numbers alone, without the table of classes; for a score after every epoch.

    Raises:
        InputError: As for `score`.
    """
    return metrics_of(_tables(Case(truth, detections, ignore_policy), max_detections))


def coco_policies(case: Case, *, max_detections: int = 100) -> MetricResult:
    """Compute the twelve under both policies: `AP` under `region`, `strict/AP` as pycocotools has it for the same file.

    `policies_differ` in the bounds says whether any of the twelve does.
    """
    metrics = metrics_of(_tables(case, max_detections))
    strict = _strict(case, max_detections) or metrics
    sheet = Sheet()
    for prefix, values in (("", metrics), ("strict/", strict)):
        reasons = _reasons(values)
        for name, value in values.items():
            sheet.put(prefix + name, value, reasons.get(name, ""))
    bounds = {
        "ignore_policy": "region",
        "policies_differ": _differ(metrics, strict),
        "max_detections": max_detections,
        "overlap": "0.50 to 0.95 in steps of 0.05",
    }
    return sheet.result("coco", bounds)


def _tables(case: Case, max_detections: int) -> Tables:
    if max_detections < 1:
        raise InputError(
            "MAX_DETECTIONS", "at least 1 is needed", field="max_detections", value=max_detections, remedy="give 100"
        )
    return case.shared(("coco tables", max_detections), lambda: accumulate(case.gt, case.dt, max_detections))


def _strict(case: Case, max_detections: int) -> dict[str, float | None] | None:
    """Return the twelve under `strict`; None where it makes of every box what `region` does."""
    return case.shared(("strict", max_detections), lambda: _strict_metrics(case, max_detections))


def _strict_metrics(case: Case, max_detections: int) -> dict[str, float | None] | None:
    as_file = truth_arrays(case.truth, ignore_policy="strict")
    if (as_file.is_object == case.gt.is_object).all() and (as_file.is_region == case.gt.is_region).all():
        return None
    return metrics_of(accumulate(as_file, case.dt, max_detections))


def _reasons(metrics: dict[str, float | None]) -> dict[str, str]:
    reasons = {}
    nothing = metrics["AP"] is None
    for name, value in metrics.items():
        if value is None:
            reasons[name] = _NO_OBJECT if nothing else _AREA_WORDS[name.partition("_")[2]]
    return reasons


def _differ(a: dict[str, float | None], b: dict[str, float | None]) -> bool:
    def apart(x: float | None, y: float | None) -> bool:
        return x is not y if x is None or y is None else abs(x - y) > 1e-12

    return any(apart(a[name], b[name]) for name in a)


def _counts(gt: TruthArrays, dt: DetectionArrays) -> dict[str, int]:
    n_images, n_classes = len(gt.image_ids), len(gt.category_ids)
    with_objects = len(np.unique(gt.image[gt.is_object]))
    present = len(np.unique(gt.category[gt.is_object]))
    area = gt.area[gt.is_object]
    return {
        "images": n_images,
        "images_without_objects": n_images - with_objects,
        "boxes": len(gt.image),
        "objects": int(gt.is_object.sum()),
        "ignored": int((~gt.is_object).sum()),
        "ignored_for_every_class": int((gt.category == EVERY_CLASS).sum()),
        "detections": len(dt.image),
        "classes": n_classes,
        "classes_without_objects": n_classes - present,
        **{name: int(((area >= low) & (area <= high)).sum()) for name, (low, high) in SIZES.items()},
    }


def _per_class(case: Case, tables: Tables) -> tuple[ClassScores, ...]:
    gt, dt = case.gt, case.dt
    n_classes = len(gt.category_ids)
    objects = gt.is_object
    pairs = np.unique(gt.category[objects] * len(gt.image_ids) + gt.image[objects])
    n_images = np.bincount(pairs // len(gt.image_ids), minlength=n_classes)
    n_boxes = np.bincount(gt.category[objects], minlength=n_classes)
    n_ignored = np.bincount(gt.category[~objects & (gt.category != EVERY_CLASS)], minlength=n_classes)
    n_detections = np.bincount(dt.category, minlength=n_classes)
    points = best_f1_threshold(match_case(case))
    at_100 = tables.caps.index(100)
    rows = []
    for k, (category_id, name) in enumerate(zip(gt.category_ids.tolist(), case.names, strict=True)):
        precision = tables.precision[:, :, k, ALL_AREAS, tables.cap]
        point = points.get(category_id)
        rows.append(
            ClassScores(
                category_id=category_id,
                name=name,
                n_images=int(n_images[k]),
                n_boxes=int(n_boxes[k]),
                n_ignored=int(n_ignored[k]),
                n_detections=int(n_detections[k]),
                AP=mean(precision),
                AP50=mean(precision[AT_IOU_50]),
                AP75=mean(precision[AT_IOU_75]),
                AR100=mean(tables.recall[:, k, ALL_AREAS, at_100]),
                score_threshold=point.score_threshold if point else None,
                precision=point.precision if point else None,
                recall=point.recall if point else None,
                f1=point.f1 if point else None,
            )
        )
    return tuple(rows)


def _curves(gt: TruthArrays, tables: Tables) -> dict[int, Curve]:
    curves = {}
    for k, category_id in enumerate(gt.category_ids.tolist()):
        precision = tables.precision[AT_IOU_50, :, k, ALL_AREAS, tables.cap]
        if precision[0] > -1:  # else the class has no object
            at = tables.score[AT_IOU_50, :, k, ALL_AREAS, tables.cap]
            curves[category_id] = Curve(tuple(precision.tolist()), tuple(at.tolist()))
    return curves
