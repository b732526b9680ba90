"""The bridge to hotcoco: whole columns in, precision and recall tables out, and the twelve numbers read from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from detect_transfer.core.arrays import FloatArray, IntArray
from detect_transfer.evaluation.arrays import EVERY_CLASS, DetectionArrays, TruthArrays

METRIC_NAMES = (
    "AP",
    "AP50",
    "AP75",
    "AP_small",
    "AP_medium",
    "AP_large",
    "AR1",
    "AR10",
    "AR100",
    "AR_small",
    "AR_medium",
    "AR_large",
)
N_IOU_THRESHOLDS = 10  # 0.50, 0.55, ... 0.95
AT_IOU_50, AT_IOU_75 = 0, 5
ALL_AREAS, SMALL, MEDIUM, LARGE = range(4)
_AREAS = {"small": SMALL, "medium": MEDIUM, "large": LARGE}


@dataclass(frozen=True)
class Tables:
    """What COCO accumulates: T = 10 IoU thresholds, R = 101 recalls, K classes, A = 4 areas, M caps; -1 is no value.

    Args:
        precision: (T, R, K, A, M).
        recall: (T, K, A, M), the largest that is reached.
        score: (T, R, K, A, M), the score of the detection that reaches the recall.
        caps: The M caps on detections, ascending.
        cap: Which of the M the precision metrics use.
    """

    precision: FloatArray
    recall: FloatArray
    score: FloatArray
    caps: tuple[int, ...]
    cap: int


def accumulate(gt: TruthArrays, dt: DetectionArrays, max_detections: int) -> Tables:
    """Match and accumulate as COCO does; ids are positions from 1, as id 0 reads as `unmatched` there.

    Source:
        pycocotools 2.0.11, `COCOeval.evaluate` and `accumulate`, through hotcoco.
    """
    from hotcoco import COCO, COCOeval  # here, so that `--help` stays quick

    caps = tuple(sorted({1, 10, 100, max_detections}))
    cap = caps.index(max_detections)
    n_classes = len(gt.category_ids)
    if not n_classes:
        shape = (N_IOU_THRESHOLDS, 101, 0, 4, len(caps))
        return Tables(np.empty(shape), np.empty((shape[0], *shape[2:])), np.empty(shape), caps, cap)
    image, category, rows = _truth_columns(gt, dt)
    objects = COCO.from_arrays(
        [{"id": i} for i in range(1, len(gt.image_ids) + 1)],
        [{"id": i, "name": str(i)} for i in range(1, n_classes + 1)],
        image + 1,
        category + 1,
        gt.xywh[rows],
        area=gt.area[rows],
        iscrowd=gt.is_region[rows],
    )
    columns = (dt.image[:, None] + 1, dt.xywh, dt.score[:, None], dt.category[:, None] + 1)
    evaluator = COCOeval(objects, objects.load_res(np.concatenate(columns, axis=1)), "bbox")
    evaluator.params.max_dets = list(caps)
    evaluator.evaluate()
    evaluator.accumulate()
    result: dict[str, Any] = evaluator.eval or {}
    return Tables(result["precision"], result["recall"], result["scores"], caps, cap)


def _truth_columns(gt: TruthArrays, dt: DetectionArrays) -> tuple[IntArray, IntArray, IntArray]:
    """List image, class and row of every truth box, a region of every class once for each class it could excuse."""
    own = np.flatnonzero((gt.is_object | gt.is_region) & (gt.category != EVERY_CLASS))
    every = np.flatnonzero(gt.is_region & (gt.category == EVERY_CLASS))
    if not len(every):
        return gt.image[own], gt.category[own], own
    n_classes = len(gt.category_ids)
    # only a class that is detected in the image can be excused there: 200 classes do not make 200 copies
    seen = np.unique(dt.image * n_classes + dt.category)
    low = np.searchsorted(seen, gt.image[every] * n_classes)
    count = np.searchsorted(seen, (gt.image[every] + 1) * n_classes) - low
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    rows = np.repeat(every, count)
    category = seen[np.repeat(low, count) + within] % n_classes
    return (
        np.concatenate([gt.image[own], gt.image[rows]]),
        np.concatenate([gt.category[own], category]),
        np.concatenate([own, rows]),
    )


def metrics_of(tables: Tables) -> dict[str, float | None]:
    """Read the twelve numbers from the tables; None where no object is in the range.

    Source:
        pycocotools 2.0.11, `COCOeval.summarize`.
    """
    precision = tables.precision[..., tables.cap]
    values = {
        "AP": mean(precision[:, :, :, ALL_AREAS]),
        "AP50": mean(precision[AT_IOU_50, :, :, ALL_AREAS]),
        "AP75": mean(precision[AT_IOU_75, :, :, ALL_AREAS]),
    }
    for cap in (1, 10, 100):
        values[f"AR{cap}"] = mean(tables.recall[:, :, ALL_AREAS, tables.caps.index(cap)])
    for name, index in _AREAS.items():
        values[f"AP_{name}"] = mean(precision[:, :, :, index])
        values[f"AR_{name}"] = mean(tables.recall[:, :, index, tables.cap])
    return {name: values[name] for name in METRIC_NAMES}


def mean(values: FloatArray) -> float | None:
    """Return the mean of the values above -1, which stands for none; None when there is none."""
    present = values[values > -1]
    return float(present.mean()) if present.size else None
