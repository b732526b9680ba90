"""The gate of an export: does the exported model detect what the weights detect?

Both are run on the same images with the same preparation, the exported model in its own runtime. What is compared are
the detections and the scores of both against the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from detect_transfer.core.annotations import XYXY, AnnotationTable, Detections
from detect_transfer.core.arrays import BoolArray, FloatArray
from detect_transfer.core.boxes import iou
from detect_transfer.core.choices import ExportPrecision
from detect_transfer.core.errors import InputError
from detect_transfer.evaluation import coco_metrics
from detect_transfer.evaluation.comparison import Difference, Plan
from detect_transfer.workflows.compare import compare
from detect_transfer.workflows.comparison_inputs import Run, RunGroup

COMPARED_SCORE = 0.05  # detections from it on are compared one by one
FEWEST_COMPARED = 20  # the best ones that are compared where fewer have that score
LARGEST_FALL = 0.03  # of AP of small objects, and of AP of a class
LARGEST_MOVE = 0.5  # pixels
_SAME_OBJECT = 0.5  # IoU from which two detections of a class are of one object
_MOST_IMAGES = 5
_FEWEST_ON_IMAGE = 3  # detections of an image that tell of it alone


@dataclass(frozen=True)
class GateLimits:
    """What an exported model may differ by.

    Args:
        ap: Of AP, up or down.
        share: Of the detections that vanish, appear or move.
        moves: Whether boxes that move by more than `LARGEST_MOVE` count; with eight bits they all do.
        chance: Whether AP of a class may fall where its interval holds 0 or it has too few objects for an interval.
    """

    ap: float
    share: float
    moves: bool
    chance: bool


LIMITS = {
    ExportPrecision.FP32: GateLimits(0.001, 0.005, moves=True, chance=False),
    ExportPrecision.INT8: GateLimits(0.01, 0.1, moves=False, chance=True),
}


@dataclass(frozen=True)
class GateResult:
    """What the gate measured.

    Args:
        ap: AP of the weights, of the exported model, and the difference with its interval.
        small: AP of small objects of both; None where there are none.
        classes: The same as `ap` for each class by its name.
        compared: Detections of the weights that were compared.
        vanished: How many of them the exported model does not have.
        appeared: How many it has that the weights do not have.
        moved: How many lie more than `LARGEST_MOVE` apart.
        median_move: By how much boxes move, in pixels of the image.
        largest_move: The most of them.
        images: The images that differ most: the file, and how many of its detections differ.
        failures: What is beyond the limits, in words; empty where it passes.
    """

    ap: Difference
    small: tuple[float | None, float | None]
    classes: dict[str, Difference]
    compared: int
    vanished: int
    appeared: int
    moved: int
    median_move: float
    largest_move: float
    images: tuple[dict[str, Any], ...]
    failures: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return what `export.json` holds."""
        rows = {"AP": self.ap, **{f"AP/{name}": each for name, each in self.classes.items()}}
        scores = {
            name: {"weights": d.first, "exported": d.second, "difference": d.difference, "interval": d.interval}
            for name, d in rows.items()
        }
        counts = {"compared": self.compared, "vanished": self.vanished, "appeared": self.appeared, "moved": self.moved}
        return {
            **scores,
            "AP_small": {"weights": self.small[0], "exported": self.small[1]},
            **counts,
            "median_move_px": self.median_move,
            "largest_move_px": self.largest_move,
            "images_that_differ_most": list(self.images),
            "failures": list(self.failures),
        }


@dataclass(frozen=True)
class _Pairing:
    """For each detection of one side: does the other side have it, and how far off is its box?"""

    image_id: FloatArray
    missing: BoolArray
    move: FloatArray


def gate(
    truth: AnnotationTable,
    scored: tuple[Detections, Detections],
    raw: tuple[Detections, Detections],
    precision: ExportPrecision,
) -> GateResult:
    """Compare the detections of an exported model with those of its weights.

    Args:
        truth: The images with their boxes.
        scored: The detections of the weights and of the exported model, in classes of the truth.
        raw: The same in classes of the detector.
        precision: What the exported model computes with, which the limits go by.

    Raises:
        InputError: The weights detect nothing, so that there is nothing to compare.
    """
    limits = LIMITS[precision]
    if raw[0].rows.is_empty():
        raise InputError(
            "EXPORT_GATE_BLIND",
            f"the weights detect nothing in {truth.images.height} images, so that nothing can be compared",
            field="--data",
            remedy="give images with objects that they know, or --no-gate to write the model unchecked",
        )
    floor = min(COMPARED_SCORE, *raw[0].rows["score"].top_k(FEWEST_COMPARED))
    forth, back = _pair(*raw, floor), _pair(raw[1], raw[0], floor)
    groups = [
        RunGroup(name, (Run(name, truth, each),)) for name, each in zip(("weights", "exported"), scored, strict=True)
    ]
    comparison = compare(groups, plan=Plan()).comparisons[0]
    ap = next(d for d in comparison.metrics if d.name == "AP")
    small = (coco_metrics(truth, scored[0])["AP_small"], coco_metrics(truth, scored[1])["AP_small"])
    classes = dict(zip(truth.class_names, comparison.classes, strict=True))
    apart = ~forth.missing & (forth.move > LARGEST_MOVE)
    counts = {"vanish": forth.missing, "appear": back.missing} | ({"move": apart} if limits.moves else {})
    images = _worst_images(truth, forth, back, apart if limits.moves else np.zeros_like(apart))
    moves = forth.move[~forth.missing]
    return GateResult(
        ap,
        small,
        classes,
        len(forth.missing),
        int(forth.missing.sum()),
        int(back.missing.sum()),
        int(apart.sum()),
        float(np.median(moves)) if len(moves) else 0.0,
        float(moves.max()) if len(moves) else 0.0,
        tuple(images[:_MOST_IMAGES]),
        (*_score_failures(ap, small, classes, limits), *_box_failures(counts, images, limits)),
    )


def _score_failures(
    ap: Difference, small: tuple[float | None, float | None], classes: dict[str, Difference], limits: GateLimits
) -> list[str]:
    failures = []
    if ap.difference is not None and abs(ap.difference) > limits.ap:
        failures.append(f"AP {ap.first:.4f} -> {ap.second:.4f} (limit {limits.ap:g})")
    judged = {
        name: d for name, d in classes.items() if not limits.chance or (d.interval is not None and d.interval[1] < 0)
    }
    falls = {"AP_small": small} | {f"AP of {name}": (d.first, d.second) for name, d in judged.items()}
    for name, (first, second) in falls.items():
        if first is not None and second is not None and first - second > LARGEST_FALL:
            failures.append(f"{name} {first:.4f} -> {second:.4f} (limit {LARGEST_FALL:g})")
    return failures


def _box_failures(counts: dict[str, BoolArray], images: Sequence[dict[str, Any]], limits: GateLimits) -> list[str]:
    verbs = {"vanish": "vanish", "appear": "are new", "move": f"move by more than {LARGEST_MOVE:g} px"}
    failures = []
    for name, faulty in counts.items():
        if faulty.sum() > int(limits.share * len(faulty)):
            failures.append(f"{faulty.sum()} of {len(faulty)} detections {verbs[name]} (limit {limits.share:.1%})")
    other = [row for row in images if row["of"] >= _FEWEST_ON_IMAGE and 2 * row["differ"] > row["of"]]
    if other and limits.moves and not failures:
        failures.append(f"most detections of {len(other)} images differ")
    return failures


def _worst_images(truth: AnnotationTable, forth: _Pairing, back: _Pairing, apart: BoolArray) -> list[dict[str, Any]]:
    """Return the images with detections that differ, those with most of them first."""
    names = dict(truth.images.select("image_id", "file_name").iter_rows())
    ids = np.concatenate([forth.image_id, back.image_id])
    differ = np.concatenate([forth.missing | apart, back.missing])
    rows = []
    for image_id in np.unique(ids[differ]):
        moves = forth.move[(forth.image_id == image_id) & ~forth.missing]
        rows.append(
            {
                "file_name": names[int(image_id)],
                "differ": int(differ[ids == image_id].sum()),
                "of": max(int((forth.image_id == image_id).sum()), int((back.image_id == image_id).sum())),
                "largest_move_px": float(moves.max()) if len(moves) else None,
            }
        )
    return sorted(rows, key=lambda row: (-int(row["differ"]), str(row["file_name"])))


def _pair(first: Detections, second: Detections, floor: float) -> _Pairing:
    """Look for each detection of the first side from a score on among those of the second, down to half the score."""
    others = {key: part for key, part in second.rows.group_by("image_id", "category_id")}
    image_id: list[Any] = []
    missing: list[Any] = []
    move: list[Any] = []
    for key, part in first.rows.filter(pl.col("score") >= floor).group_by(
        "image_id", "category_id", maintain_order=True
    ):
        image_id.append(np.full(len(part), key[0]))
        other = others.get(key)
        boxes = part.select(XYXY).to_numpy()
        if other is None:
            missing.append(np.ones(len(part), bool))
            move.append(np.full(len(part), np.inf))
            continue
        candidates = other.select(XYXY).to_numpy()
        comparable = other["score"].to_numpy()[None] >= part["score"].to_numpy()[:, None] / 2
        apart = np.where(comparable, np.abs(boxes[:, None] - candidates[None]).max(axis=2), np.inf)
        missing.append(~(comparable & (iou(boxes, candidates) >= _SAME_OBJECT)).any(axis=1))
        move.append(apart.min(axis=1))
    if not image_id:
        return _Pairing(np.empty(0), np.empty(0, bool), np.empty(0))
    return _Pairing(np.concatenate(image_id), np.concatenate(missing), np.concatenate(move))


def gate_line(result: GateResult) -> str:
    """Return the result in a line."""
    ap = "AP null"
    if result.ap.difference is not None:
        span = result.ap.interval
        interval = "" if span is None else f" [{span[0]:+.4f}, {span[1]:+.4f}]"
        ap = f"AP {result.ap.first:.4f} -> {result.ap.second:.4f}, {result.ap.difference:+.4f}{interval}"
    return (
        f"{ap}; of {result.compared} detections {result.vanished} vanish, {result.appeared} are new; boxes move by "
        f"{result.median_move:.3g} px, at most {result.largest_move:.3g}"
    )


def failure_of(result: GateResult) -> str:
    """Return what a failed gate says: what is beyond the limits, and the images that differ most."""
    worst = ", ".join(f"{row['file_name']} ({row['differ']} of {row['of']})" for row in result.images[:3])
    return "; ".join([*result.failures, *([f"most in {worst}"] if worst else [])])
