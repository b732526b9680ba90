"""The bridge to hotcoco: whole columns in, precision and recall tables out, and the twelve numbers read from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect_transfer.evaluation.arrays import EVERY_CLASS, DetectionArrays, IntArray, TruthArrays

FloatArray = NDArray[np.float64]

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


def accumulate(known: TruthArrays, found: DetectionArrays, max_detections: int) -> Tables:
    """Match and accumulate as COCO does; ids are positions from 1, as id 0 reads as `unmatched` there.

    Source:
        pycocotools 2.0.11, `COCOeval.evaluate` and `accumulate`, through hotcoco.
    """
    from hotcoco import COCO, COCOeval  # here, so that `--help` stays quick

    caps = tuple(sorted({1, 10, 100, max_detections}))
    cap = caps.index(max_detections)
    n_classes = len(known.category_ids)
    if not n_classes:
        shape = (N_IOU_THRESHOLDS, 101, 0, 4, len(caps))
        return Tables(np.empty(shape), np.empty((shape[0], *shape[2:])), np.empty(shape), caps, cap)
    image, category, rows = _truth_columns(known, found)
    objects = COCO.from_arrays(
        [{"id": i} for i in range(1, len(known.image_ids) + 1)],
        [{"id": i, "name": str(i)} for i in range(1, n_classes + 1)],
        image + 1,
        category + 1,
        known.xywh[rows],
        area=known.area[rows],
        iscrowd=known.is_region[rows],
    )
    columns = (found.image[:, None] + 1, found.xywh, found.score[:, None], found.category[:, None] + 1)
    evaluator = COCOeval(objects, objects.load_res(np.concatenate(columns, axis=1)), "bbox")
    evaluator.params.max_dets = list(caps)
    evaluator.evaluate()
    evaluator.accumulate()
    result: dict[str, Any] = evaluator.eval or {}
    return Tables(result["precision"], result["recall"], result["scores"], caps, cap)


def _truth_columns(known: TruthArrays, found: DetectionArrays) -> tuple[IntArray, IntArray, IntArray]:
    """List image, class and row of every truth box, a region of every class once for each class it could excuse."""
    own = np.flatnonzero((known.is_object | known.is_region) & (known.category != EVERY_CLASS))
    every = np.flatnonzero(known.is_region & (known.category == EVERY_CLASS))
    if not len(every):
        return known.image[own], known.category[own], own
    n_classes = len(known.category_ids)
    # only a class that was detected in the image can be excused there: 200 classes do not make 200 copies
    seen = np.unique(found.image * n_classes + found.category)
    low = np.searchsorted(seen, known.image[every] * n_classes)
    count = np.searchsorted(seen, (known.image[every] + 1) * n_classes) - low
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    rows = np.repeat(every, count)
    category = seen[np.repeat(low, count) + within] % n_classes
    return (
        np.concatenate([known.image[own], known.image[rows]]),
        np.concatenate([known.category[own], category]),
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
    """Return the mean of the values that are there (> -1); None when there is none."""
    there = values[values > -1]
    return float(there.mean()) if there.size else None
