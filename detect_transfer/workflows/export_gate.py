"""The gate of an export: does the exported model detect what the weights detect?

Both are run on the same images with the same preparation, the exported model in its own runtime. What is compared are
the detections and the scores of both against the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.choices import ExportPrecision
from detect_transfer.core.errors import InputError
from detect_transfer.evaluation import Case
from detect_transfer.evaluation.coco.bootstrap import draw_weights, sample
from detect_transfer.evaluation.coco.threshold_matches import SMALL_AREA, match_at_thresholds, units_of
from detect_transfer.evaluation.comparison import Difference, Plan, compare_groups
from detect_transfer.workflows.compare import compare
from detect_transfer.workflows.comparison_inputs import Run, RunGroup
from detect_transfer.workflows.export_limits import LIMITS, Doubt, GateLimits, Share, judged_scores, judged_shares
from detect_transfer.workflows.export_pairing import Pairing, floor_of, pair, share_interval, worst_images

_MOST_IMAGES = 5
_FEWEST_ON_IMAGE = 3  # detections of an image that tell of it alone
_LEAST_SEEN = 0.5  # of the detections, that are others in a grey image


@dataclass(frozen=True)
class GateResult:
    """What the gate measured.

    Args:
        ap: AP of the weights, of the exported model, and the difference with its interval.
        small: The same of small objects.
        classes: The same as `ap` for each class by its name.
        compared: Detections of the weights that were compared.
        vanished: How many of them the exported model does not have.
        appeared: How many it has that the weights do not have.
        moved: How many lie more than `LARGEST_MOVE` apart.
        median_move: By how much boxes move, in pixels of the image.
        largest_move: The most of them.
        images: The images that differ most: the file, and how many of its detections differ.
        failures: What is beyond the limits, in words; empty where it passes.
        n_images: How many images were compared.
        units: The same in words, with the groups that draws are made of.
        doubts: Losses beyond a limit that these images do not rule out.
    """

    ap: Difference
    small: Difference
    classes: dict[str, Difference]
    compared: int
    vanished: int
    appeared: int
    moved: int
    median_move: float
    largest_move: float
    images: tuple[dict[str, Any], ...]
    failures: tuple[str, ...]
    n_images: int
    units: str
    doubts: tuple[Doubt, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return what `export.json` holds."""
        classes = {f"AP/{name}": each for name, each in self.classes.items()}
        rows = {"AP": self.ap, "AP_small": self.small, **classes}
        scores = {
            name: {"weights": d.first, "exported": d.second, "difference": d.difference, "interval": d.interval}
            for name, d in rows.items()
        }
        counts = {"compared": self.compared, "vanished": self.vanished, "appeared": self.appeared, "moved": self.moved}
        return {
            "images": self.n_images,
            **scores,
            **counts,
            "median_move_px": self.median_move,
            "largest_move_px": self.largest_move,
            "images_that_differ_most": list(self.images),
            "failures": list(self.failures),
            "not_ruled_out": [each.as_dict() for each in self.doubts],
        }


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
    """
    limits, floor = LIMITS[precision], floor_of(raw[0])
    forth, back = pair(*raw, floor), pair(raw[1], raw[0], floor)
    groups = [
        RunGroup(name, (Run(name, truth, each),)) for name, each in zip(("weights", "exported"), scored, strict=True)
    ]
    comparison = compare(groups, plan=Plan()).comparisons[0]
    ap = next(d for d in comparison.metrics if d.name == "AP")
    classes = dict(zip(truth.class_names, comparison.classes, strict=True))
    small = small_difference(truth, scored)
    images = worst_images(truth, forth, back)
    shares = _shares(truth, forth, back, limits)
    judged = [
        judged_scores(ap, {"AP_small": small} | {f"AP of {name}": d for name, d in classes.items()}, limits),
        judged_shares(shares, limits),
    ]
    failures = [each for part in judged for each in part[0]]
    if not judged[1][0] and limits.moves:
        failures += _image_failures(images)
    moves = forth.move[~forth.missing]
    return GateResult(
        ap,
        small,
        classes,
        len(forth.missing),
        shares["vanish"].faulty,
        shares["appear"].faulty,
        shares["move"].faulty,
        float(np.median(moves)) if len(moves) else 0.0,
        float(moves.max()) if len(moves) else 0.0,
        tuple(images[:_MOST_IMAGES]),
        tuple(failures),
        truth.images.height,
        _units_in_words(truth),
        tuple(each for part in judged for each in part[1]),
    )


def small_difference(truth: AnnotationTable, scored: tuple[Detections, Detections]) -> Difference:
    """Return AP of small objects of two sets of detections, and the difference with its interval."""
    plan = Plan()
    weights = draw_weights(units_of(truth)[1], n_draws=plan.n_draws, seed=plan.seed)
    drawn = [sample(match_at_thresholds(Case(truth, each), largest=SMALL_AREA), weights) for each in scored]
    return compare_groups(drawn[:1], drawn[1:], sorted(truth.categories["category_id"]), plan).metrics[0]


def _shares(truth: AnnotationTable, forth: Pairing, back: Pairing, limits: GateLimits) -> dict[str, Share]:
    unit = dict(zip(truth.images["image_id"].sort().to_list(), units_of(truth)[0].tolist(), strict=True))
    sides = {"vanish": (forth, forth.missing), "appear": (back, back.missing), "move": (forth, forth.apart)}
    return {
        name: Share(
            int(faulty.sum()),
            len(faulty),
            None if limits.hard is None else share_interval(pairing, faulty, unit),
        )
        for name, (pairing, faulty) in sides.items()
    }


def _image_failures(images: Sequence[dict[str, Any]]) -> list[str]:
    other = [row for row in images if row["of"] >= _FEWEST_ON_IMAGE and 2 * row["differ"] > row["of"]]
    return [f"most detections of {len(other)} images differ"] if other else []


def _units_in_words(truth: AnnotationTable) -> str:
    n_images, n_units = truth.images.height, units_of(truth)[1]
    images = f"{n_images} image{'s' if n_images > 1 else ''}"
    return images if n_units == n_images else f"{images} in {n_units} groups"


def require_sight(seen: Detections, grey: Detections, n_images: int) -> None:
    """Raise unless the weights detect in images something else than in grey ones of the same sizes.

    A network whose output does not depend on the image is the same in every form, so that comparing shows nothing. Of
    an SSDlite of AP 0, whose scores were equal to six digits in all images, .004 to .13 of the detections differed, by
    the order of equal scores. Trained detectors had all of them differ, a Faster R-CNN of AP .00001 .98.

    Args:
        seen: What the weights detect in the images.
        grey: What they detect in the grey ones.
        n_images: How many images.

    Raises:
        InputError: They detect nothing, or the same.
    """
    why, remedy = "nothing", "give images with objects that they know"
    if not seen.rows.is_empty():
        pairing = pair(seen, grey, floor_of(seen))
        differ = pairing.missing | pairing.apart
        if differ.mean() > _LEAST_SEEN:
            return
        why, remedy = "the same as in grey images of the same sizes", "give weights that have learned something"
    raise InputError(
        "EXPORT_GATE_BLIND",
        f"the weights detect {why} in {n_images} images, so that nothing can be compared",
        field="--data",
        remedy=f"{remedy}, or --no-gate to write the model unchecked",
    )


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


def doubt_line(result: GateResult) -> str:
    """Return what the images do not rule out, in a line; "" where that is nothing."""
    if not result.doubts:
        return ""
    listed = ", ".join(each.name for each in result.doubts)
    return f"{result.units} are too few to rule out a loss beyond the limit of: {listed}"


def failure_of(result: GateResult) -> str:
    """Return what a failed gate says: what is beyond the limits, and the images that differ most."""
    worst = ", ".join(f"{row['file_name']} ({row['differ']} of {row['of']})" for row in result.images[:3])
    return "; ".join([*result.failures, *([f"most in {worst}"] if worst else [])])
