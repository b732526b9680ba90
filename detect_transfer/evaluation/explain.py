"""Why two mAPs differ: from COCO's AP to the one of ultralytics' validator, one thing changed at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from detect_transfer.core.annotations import XYXY, AnnotationTable, Detections
from detect_transfer.core.arrays import FloatArray
from detect_transfer.core.errors import InputError
from detect_transfer.evaluation.case import Case
from detect_transfer.evaluation.coco.bootstrap import mean_ap
from detect_transfer.evaluation.coco.threshold_matches import match_at_thresholds
from detect_transfer.evaluation.coco.weighted import weighted_ap
from detect_transfer.evaluation.ultralytics_map import (
    MAX_DETECTIONS,
    SCORE_FLOOR,
    interpolated_ap,
    match_as_ultralytics,
)

_COCO_CAP = 100
_FARTHEST, _LEAST = 1.01, -0.01  # what the label checker lets pass
NO_OBJECT = "no object is left"


@dataclass(frozen=True)
class ScoredPair:
    """What is scored at one point of the chain.

    Args:
        truth: The images with their boxes.
        detections: The detections.
        cap: Detections that count of a class in an image; None where the cap is applied already.
        matching: Match as ultralytics does.
        trapezoids: Integrate as ultralytics does.
    """

    truth: AnnotationTable
    detections: Detections
    cap: int | None = _COCO_CAP
    matching: bool = False
    trapezoids: bool = False


@dataclass(frozen=True)
class Step:
    """One thing that is changed.

    Args:
        name: What is changed, in a word or two.
        affected: How many rows or images it touches; None where that has no meaning.
        text: What it does, in one sentence.
        AP: AP over IoU .50 to .95 after it; None where no object is left.
        AP50: AP at IoU .50 after it.
        part: What it adds to AP; the parts of all steps add up to the gap.
        part50: What it adds to AP50.
    """

    name: str
    affected: int | None
    text: str
    AP: float | None
    AP50: float | None
    part: float | None
    part50: float | None


@dataclass(frozen=True)
class Explanation:
    """The whole chain.

    Args:
        coco: `AP` and `AP50` by COCO, ignored regions excused.
        ultralytics: The same as ultralytics' validator computes them from the same predictions.
        steps: What lies between.
    """

    coco: dict[str, float | None]
    ultralytics: dict[str, float | None]
    steps: tuple[Step, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return what `explain.json` holds."""
        return {**asdict(self), "reason": NO_OBJECT if self.ultralytics["AP"] is None else None}


Change = Callable[[ScoredPair], tuple[ScoredPair, int | None, str]]


def explain(truth: AnnotationTable, detections: Detections, *, without_label: Sequence[int] = ()) -> Explanation:
    """Split the gap between the two mAPs of one prediction set into parts that add up to it.

    The same predictions are scored throughout; another input size, rectangular batches, half precision or other NMS
    settings make other predictions, which no evaluator can see.

    Args:
        truth: All images that were predicted on, with their boxes and classes.
        detections: The detections.
        without_label: The image_id of images whose label file is not there, which ultralytics reads as empty ones.

    Raises:
        InputError: The truth has no image, or a detection names an unknown image.

    Source:
        formats.md 4.11; ultralytics 8.4.190, `models/yolo/detect/val.py`, `data/utils.py: verify_image_label`.
    """
    _check_images(truth, detections)
    now = ScoredPair(truth, _of_known_classes(detections, truth))
    values = scored(now)
    first, steps = values, []
    changes: dict[str, Change] = {
        "class ids": lambda pair: _class_ids(pair, detections),
        "ignored boxes": _ignored_boxes,
        "refused labels": _refused_labels,
        "missing labels": lambda pair: _missing_labels(pair, without_label),
        "duplicate rows": _duplicate_rows,
        "score floor": _score_floor,
        "detection cap": _detection_cap,
        "matching": _matching,
        "integration": _integration,
    }
    for name, change in changes.items():
        now, affected, text = change(now)
        after = values if affected == 0 else scored(now)
        parts = [
            None if x is None or y is None else y - x for x, y in zip(values.values(), after.values(), strict=True)
        ]
        steps.append(Step(name, affected, text, after["AP"], after["AP50"], *parts))
        values = after
    return Explanation(first, values, tuple(steps))


def scored(pair: ScoredPair) -> dict[str, float | None]:
    """Return `AP` and `AP50` of one point of the chain; None where there is no object."""
    if pair.truth.images.is_empty():
        return {"AP": None, "AP50": None}
    case = Case(pair.truth, pair.detections)
    most = len(pair.detections.rows) + 1 if pair.cap is None else pair.cap
    matches = match_as_ultralytics(case) if pair.matching else match_at_thresholds(case, max_detections=most)
    ap: FloatArray = (
        interpolated_ap(matches)[None]
        if pair.trapezoids
        else weighted_ap(matches, np.ones((1, len(matches.objects)), np.uint16))
    )
    means = mean_ap(ap)
    return {name: None if np.isnan(means[name][0]) else float(means[name][0]) for name in ("AP", "AP50")}


def _check_images(truth: AnnotationTable, detections: Detections) -> None:
    unknown = detections.rows.join(truth.images, on="image_id", how="anti")
    if not unknown.is_empty():
        raise InputError(
            "DETECTION_UNKNOWN_ID",
            f"{len(unknown)} detections name an image_id that the truth does not have",
            field="image_id",
            value=unknown["image_id"][0],
            remedy="give the truth that was predicted on",
        )


def _of_known_classes(detections: Detections, truth: AnnotationTable) -> Detections:
    return Detections(detections.rows.join(truth.categories.select("category_id"), on="category_id", how="semi"))


def _class_ids(pair: ScoredPair, given: Detections) -> tuple[ScoredPair, int | None, str]:
    """Read class ids as positions in the list of classes where they cannot be ids, which COCO's evaluator overlooks."""
    ids = pl.Series("category_id", np.sort(pair.truth.categories["category_id"].to_numpy()))
    numbers = given.rows["category_id"]
    n_unknown = len(given.rows) - len(pair.detections.rows)
    if not n_unknown:
        return pair, 0, "all class ids of the detections are ids of the truth"
    starts = [start for start in (0, 1) if numbers.is_between(start, start + len(ids) - 1).all()]
    if not starts:
        return pair, 0, f"{n_unknown} detections of classes that the truth does not have count in neither"
    readings = {
        s: replace(pair, detections=Detections(given.rows.with_columns(ids.gather(numbers - s)))) for s in starts
    }
    # where both are possible the boxes decide
    start = max(starts, key=lambda s: scored(readings[s])["AP50"] or 0.0) if len(starts) > 1 else starts[0]
    text = f"the ids of the detections are class indices from {start}, which COCO reads as ids of other classes"
    return readings[start], len(given.rows), text


def _ignored_boxes(pair: ScoredPair) -> tuple[ScoredPair, int | None, str]:
    rows = pair.truth.boxes
    left = rows.filter(~(pl.col("ignore") | pl.col("iscrowd")))
    n = len(rows) - len(left)
    text = f"{n} ignored or crowd boxes are not in YOLO labels: a detection in them becomes a false positive"
    return replace(pair, truth=pair.truth.with_boxes(left)), n, text


def _refused_labels(pair: ScoredPair) -> tuple[ScoredPair, int | None, str]:
    rows = pair.truth.boxes.join(pair.truth.images.select("image_id", "width", "height"), on="image_id")
    parts = [
        *((pl.col(f"{c}1") + pl.col(f"{c}2")) / 2 / pl.col(side) for c, side in (("x", "width"), ("y", "height"))),
        *((pl.col(f"{c}2") - pl.col(f"{c}1")) / pl.col(side) for c, side in (("x", "width"), ("y", "height"))),
    ]
    wrong = pl.max_horizontal(parts).gt(_FARTHEST) | pl.min_horizontal(parts).lt(_LEAST)
    refused = rows.filter(wrong.fill_null(False))["image_id"].unique()
    text = f"{len(refused)} images have a box too far outside, for which the label checker leaves out the whole image"
    left = pair.truth.images.filter(~pl.col("image_id").is_in(refused.implode()))["image_id"]
    rows = pair.detections.rows.filter(~pl.col("image_id").is_in(refused.implode()))
    return replace(pair, truth=pair.truth.select_images(left), detections=Detections(rows)), len(refused), text


def _missing_labels(pair: ScoredPair, image_ids: Sequence[int]) -> tuple[ScoredPair, int | None, str]:
    lost = pl.Series("image_id", list(image_ids), dtype=pl.Int64).implode()
    left = pair.truth.boxes.filter(~pl.col("image_id").is_in(lost))
    n = len(pair.truth.boxes) - len(left)
    text = f"{n} boxes are in images without a label file, which count as images without objects"
    return replace(pair, truth=pair.truth.with_boxes(left)), n, text


def _duplicate_rows(pair: ScoredPair) -> tuple[ScoredPair, int | None, str]:
    rows = pair.truth.boxes
    left = rows.unique(["image_id", "category_id", *XYXY], keep="first", maintain_order=True)
    n = len(rows) - len(left)
    text = f"{n} boxes are there twice with the same class, of which ultralytics keeps one"
    return replace(pair, truth=pair.truth.with_boxes(left)), n, text


def _score_floor(pair: ScoredPair) -> tuple[ScoredPair, int | None, str]:
    left = pair.detections.rows.filter(pl.col("score") >= SCORE_FLOOR)  # saved scores are rounded, so not >
    n = len(pair.detections.rows) - len(left)
    text = f"{n} detections have a score below {SCORE_FLOOR}, which the validator does not keep"
    return replace(pair, detections=Detections(left)), n, text


def _detection_cap(pair: ScoredPair) -> tuple[ScoredPair, int | None, str]:
    if pair.truth.images.is_empty():
        return pair, 0, "no image is left"
    case = Case(pair.truth, pair.detections)
    most = max(MAX_DETECTIONS, int(np.bincount(case.gt.image).max(initial=0)))  # it is raised where needed
    before, after = case.rank_in_class < _COCO_CAP, case.rank_in_image < most
    n = int((before != after).sum())
    text = f"{most} detections an image count instead of {_COCO_CAP} a class and image: {n} come or go"
    left = Detections(pair.detections.rows.filter(pl.Series(after)))
    return replace(pair, detections=left, cap=None), n, text


def _matching(pair: ScoredPair) -> tuple[ScoredPair, int | None, str]:
    text = "overlaps are in single precision, and of two equal ones the first box is matched, not the last"
    return replace(pair, matching=True), None, text


def _integration(pair: ScoredPair) -> tuple[ScoredPair, int | None, str]:
    text = "the area under lines between 101 points, not the mean of 101 steps: a perfect detector has 0.995"
    return replace(pair, trapezoids=True), None, text
