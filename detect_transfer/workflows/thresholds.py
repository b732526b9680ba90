"""Operating points in a run folder: the score threshold of each class, written by scoring and obeyed by prediction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from pathlib import Path

import numpy as np
import polars as pl

from detect_transfer.core.annotations import XYXY, AnnotationTable, Detections
from detect_transfer.core.arrays import BoolArray, FloatArray, IntArray
from detect_transfer.core.boxes import iou
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import read_json, require_file, write_json
from detect_transfer.evaluation import MetricResult, match
from detect_transfer.workflows.run_folder import RunFolder

_NEVER = 2.0  # no score reaches it
_LAST_DIGITS = 1e-4  # a threshold is a score of scoring; fused layers and other runtimes give it other last digits
_MOST_NAMES = 10
_SAME_BOX = 0.95  # by this overlap two boxes are labels of one


def write_thresholds(folder: Path, points: MetricResult, class_names: Sequence[str]) -> None:
    """Write `operating_points.json`: for each class and goal threshold, precision and recall; null where not met.

    Under `cautions` stands why a class has none, or why it promises nothing: a precision below that of the goal.

    Args:
        folder: The run folder.
        points: The metric `operating_points`.
        class_names: The classes in order.
    """
    per_class = {name: _points_of(name, points) for name in class_names}
    write_json(
        RunFolder(folder).thresholds, {"default": "best_f1", "bounds": dict(points.bounds), "per_class": per_class}
    )


def is_score(value: object) -> bool:
    """Tell whether a choice is a score: a number in [0, 1]."""
    return isinstance(value, Real) and 0 <= float(value) <= 1


def has_thresholds(run: Path) -> bool:
    """Tell whether a run folder, or the run folder of a weights file, stored score thresholds.

    Raises:
        InputError: They are not there, and the manifest of the run names them.
    """
    folder = RunFolder.of(run)
    return folder.has(folder.thresholds)


def read_thresholds(run: Path) -> dict[str, float]:
    """Return the score threshold of each class that a run stored; classes without one are left out.

    Args:
        run: A run folder, or a weights file in one.

    Raises:
        InputError: The run stored none, or they have changed since.
    """
    folder = RunFolder.of(run)
    path = require_file(folder.thresholds, what="the operating points that training or evaluate writes")
    stored = read_json(folder.as_written(path))
    try:
        points = {name: goals[stored["default"]] for name, goals in stored["per_class"].items()}
        return {name: float(point["score_threshold"]) for name, point in points.items() if point is not None}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(
            *("OPERATING_POINTS", "it is not of the form that training writes"),
            where=path,
            remedy="evaluate the run again, or give --score a number",
        ) from error


def least_scores(names: Sequence[str], thresholds: Mapping[str, float]) -> FloatArray:
    """Return the score (K,) from which detections of each class count; of a class without threshold none does."""
    return np.array([thresholds[name] - _LAST_DIGITS if name in thresholds else _NEVER for name in names])


def without_threshold(names: Sequence[str], thresholds: Iterable[str]) -> str:
    """Say which classes have no stored threshold, so that none of their detections counts or is drawn; "" if all do."""
    without = [name for name in names if name not in set(thresholds)]
    if not without:
        return ""
    more = f" and {len(without) - _MOST_NAMES} more" if len(without) > _MOST_NAMES else ""
    return (
        f"{len(without)} of {len(names)} classes have no stored score threshold, as the images it would be chosen on "
        f"support none (operating_points.json of the run), so no detection of them is counted or drawn: "
        f"{', '.join(without[:_MOST_NAMES])}{more}"
    )


def above_thresholds(detections: Detections, categories: pl.DataFrame, thresholds: Mapping[str, float]) -> Detections:
    """Return the detections that reach the threshold of their class; of a class without one there are none."""
    least = categories.select("category_id", _least=pl.Series(least_scores(categories["name"].to_list(), thresholds)))
    rows = detections.rows.join(least, on="category_id", how="left", maintain_order="left")
    return Detections(rows.filter(pl.col("score") >= pl.col("_least")).drop("_least"))


def one_label(detections: Detections) -> Detections:
    """Return the detections without those that are another label of a box with a better one."""
    rows = detections.rows.with_row_index("_row")
    rows_kept: list[int] = []
    for _, part in rows.group_by("image_id", maintain_order=True):
        best = is_best_label(part.select(XYXY).to_numpy(), part["score"].to_numpy(), part["category_id"].to_numpy())
        rows_kept += part["_row"].filter(pl.Series(best)).to_list()
    return Detections(detections.rows[sorted(rows_kept)])


def is_best_label(xyxy: FloatArray, scores: FloatArray, labels: IntArray) -> BoolArray:
    """Tell which detections of an image (N,) are no other label of a box that has a better one."""
    same_box = iou(xyxy, xyxy) >= _SAME_BOX
    other_class = labels[:, None] != labels[None]
    best, hidden = np.zeros(len(scores), bool), np.zeros(len(scores), bool)
    for i in np.argsort(-scores, kind="stable"):
        if not hidden[i]:
            best[i] = True
            hidden |= same_box[i] & other_class[i]
    return best


def at_thresholds(
    truth: AnnotationTable, above: Detections, thresholds: Mapping[str, Mapping[str, float]]
) -> dict[str, dict[str, float | None]]:
    """Count what score thresholds that were chosen elsewhere give, at IoU .5.

    Args:
        truth: The truth.
        above: What was found from the thresholds on.
        thresholds: For each class of the truth those of the classes of the detector that count as it; classes without
            any are left out.

    Returns:
        For each class `score_threshold`, `tp`, `fp`, `fn`, `precision`, `recall` and `f1`; None where it has no
        meaning. Where several classes count as it, the thresholds are `score_threshold/CLASS`.
    """
    matches = match(truth, above)
    rows: dict[str, dict[str, float | None]] = {}
    for category_id, name in truth.categories.select("category_id", "name").sort("category_id").iter_rows():
        own = thresholds.get(name)
        if not own:
            continue
        chosen: dict[str, float | None] = {"score_threshold": next(iter(own.values()))}
        if len(own) > 1:
            chosen = {"score_threshold": None} | {f"score_threshold/{each}": value for each, value in own.items()}
        of_class = matches.of_class(category_id)
        counts = {status: of_class.counts[status] for status in ("tp", "fp", "fn")}
        shares = {"precision": of_class.precision, "recall": of_class.recall, "f1": of_class.f1}
        rows[name] = {**chosen, **counts, **shares}
    return rows


def _points_of(class_name: str, result: MetricResult) -> dict[str, dict[str, float | None] | None]:
    """Return the points of one class by goal; None where a goal is not met."""
    goals = ("best_f1", "target_precision", "target_fppi")
    columns = ("score_threshold", "precision", "recall")
    points = {g: {c: result.values.get(f"{g}_{c}/{class_name}") for c in columns} for g in goals}
    return {goal: None if point["score_threshold"] is None else point for goal, point in points.items()}
