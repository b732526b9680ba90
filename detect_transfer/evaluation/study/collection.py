"""How many images to collect for an AP if they come in rounds, each planned with what the one before measured.

A plan by the fitted curve alone asks for too few images in about half of all cases. As Mahmood et al. do, the AP asked
of the curve is raised by a correction; theirs is learned from other data sets, ours from the curves that the runs
allow: each plays the truth once, the rounds are gone through, and the smallest correction is taken with which the AP is
reached in enough of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from detect_transfer.core.arrays import FloatArray
from detect_transfer.evaluation.study.images_needed import images_for
from detect_transfer.evaluation.study.learning_curve import FARTHEST, LearningCurve, least_squares
from detect_transfer.evaluation.study.scores import ENDS, Estimate

REACH = 0.9
_CORRECTIONS = np.concatenate([[0.0], np.geomspace(0.001, 0.1, 16)])
_TRUTHS = 200


@dataclass(frozen=True)
class CollectionPlan:
    """What to collect.

    Args:
        target: The AP to reach.
        rounds: Most rounds of collecting, training and planning again.
        correction: What is added to the target when the curve is asked.
        next_images: Training images to have after the next round, at most four times the largest size measured; None
            where there is no plan.
        in_the_end: Images in the end with its 95 % interval over the curves that the runs allow.
        reach_probability: Share of them that reach the target within the rounds.
        uncorrected_probability: The same without the correction.
        reason: Why there is no plan, or what it cannot do.
    """

    target: float
    rounds: int
    correction: float | None
    next_images: int | None
    in_the_end: Estimate
    reach_probability: float | None
    uncorrected_probability: float | None
    reason: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return what `study.json` holds."""
        fields = {name: value for name, value in vars(self).items() if name != "in_the_end"}
        return {**fields, "in_the_end": self.in_the_end.as_dict()}


def collection_plan(curve: LearningCurve, ap: float, *, rounds: int = 3, seed: int = 0) -> CollectionPlan:
    """Plan how to collect the images for an AP in so many rounds.

    Args:
        curve: The curve of the arm.
        ap: The AP to reach.
        rounds: Most rounds.
        seed: Of the noise of the rounds.

    Source:
        Mahmood et al., How Much More Data Do I Need? Estimating Requirements for Downstream Tasks, 2022.
    """
    none = CollectionPlan(ap, rounds, None, None, Estimate(None), None, None, curve.reason)
    if curve.reason is not None:
        return none
    outcomes = [_go_through(curve, ap, float(tau), rounds, seed) for tau in _CORRECTIONS]
    shares = np.array([reached.mean() for _, _, reached in outcomes])
    if shares.max() < ENDS[0]:
        return replace(none, reason=f"no curve that the runs allow reaches AP {ap:.3f} in {rounds} rounds")
    best = int(np.argmax(shares >= min(REACH, shares.max())))
    first, images, reached = outcomes[best]
    low, high = (float(end) for end in np.quantile(images, ENDS))
    reason = (
        None if shares[best] >= REACH else f"{1 - shares[best]:.0%} of the curves that the runs allow do not get there"
    )
    end = Estimate(float(np.median(images)), (low, high))
    correction = float(_CORRECTIONS[best])
    return CollectionPlan(ap, rounds, correction, first, end, float(reached.mean()), float(shares[0]), reason)


def _go_through(
    curve: LearningCurve, ap: float, correction: float, rounds: int, seed: int
) -> tuple[int, FloatArray, FloatArray]:
    """Let curves that the runs allow play the truth.

    Returns:
        The images to have after the first round, those in the end (T,), and whether the target was reached (T,).
    """
    rng = np.random.default_rng(seed)
    a, b, c = curve.draws[:_TRUTHS].T
    n_truths = len(a)
    sizes, errors = (np.tile(row, (n_truths, 1)) for row in (curve.sizes, curve.errors))
    weights = np.tile(1 / curve.variances, (n_truths, 1))
    noise = np.sqrt(curve.variances[-1])
    images, reached = np.full(n_truths, curve.largest), np.zeros(n_truths, bool)
    fitted = np.tile(curve.parameters[0], (n_truths, 1))
    first = 0
    for turn in range(rounds):
        wanted = np.ceil(images_for(fitted, ap + correction))
        wanted = np.clip(wanted, images, FARTHEST * sizes.max(axis=1))
        first = first or int(wanted[0])
        images = np.where(reached, images, wanted)
        true_error = a + b * images**c
        reached |= true_error <= 1 - ap
        if turn + 1 < rounds:
            sizes = np.concatenate([sizes, images[:, None]], axis=1)
            measured = true_error + rng.normal(0, noise, n_truths)
            errors = np.concatenate([errors, measured[:, None]], axis=1)
            weights = np.concatenate([weights, weights[:, -1:]], axis=1)
            fitted = least_squares(sizes, errors, weights)
    return first, images, reached
