"""How many training images an AP needs, by the learning curve, and how many images pretrained weights are worth."""

from __future__ import annotations

import numpy as np

from detect_transfer.core.arrays import FloatArray
from detect_transfer.evaluation.study.learning_curve import FARTHEST, LearningCurve, beyond
from detect_transfer.evaluation.study.scores import ENDS, Estimate

_MOST = 1e12  # images; more is never


def images_for(parameters: FloatArray, ap: FloatArray | float) -> FloatArray:
    """Return how many images (B,) the curves `parameters` (B, 3) need for an AP, (B,) or one; infinite for never."""
    a, b, c = parameters.T
    above = 1 - ap - a
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        n = np.where((above > 0) & (b > 0), (above / b) ** (1 / c), np.where(above >= b, 0.0, np.inf))
    return np.asarray(np.where(n > _MOST, np.inf, n))


def images_needed(curve: LearningCurve, ap: float) -> Estimate:
    """Return how many training images reach an AP.

    It is refused beyond four times the largest size measured, and below a quarter of the smallest.

    The high end of the interval is infinite where some curves that the runs allow stay below the AP. Where the number
    is refused the low end still holds.
    """
    return _within(curve, images_for(curve.parameters, ap), f"AP {ap:.3f}")


def worth_in_images(pretrained: LearningCurve, scratch: LearningCurve, n_images: float) -> Estimate:
    """Return how many images `scratch` needs for the AP that `pretrained` has with `n_images`."""
    reason = pretrained.reason or beyond(n_images, pretrained.largest)
    if reason is not None:
        return Estimate(None, None, reason)
    n_draws = min(len(pretrained.draws), len(scratch.draws))
    ap = pretrained.values(np.array([n_images], float))[: 1 + n_draws, 0]
    needed = images_for(_unpaired(scratch.parameters[: 1 + n_draws]), ap)
    return _within(scratch, needed, f"what {pretrained.arm} reaches with {n_images:.0f}")


def catch_up(scratch: LearningCurve, pretrained: LearningCurve) -> Estimate:
    """Return the number of images from which on `scratch` is as good as `pretrained`.

    It is looked for between the smallest size measured and four times the largest; 0 where `scratch` is never behind.
    """
    reason = pretrained.reason or scratch.reason
    if reason is not None:
        return Estimate(None, None, reason)
    largest = min(scratch.largest, pretrained.largest)
    n_draws = min(len(pretrained.draws), len(scratch.draws))
    n_images = np.geomspace(max(scratch.smallest, pretrained.smallest), FARTHEST * largest, 400)
    behind = _unpaired(scratch.values(n_images)[: 1 + n_draws]) < pretrained.values(n_images)[: 1 + n_draws]
    last = np.where(behind.any(axis=1), n_images.size - 1 - behind[:, ::-1].argmax(axis=1), -1)
    between = np.sqrt(n_images[:-1] * n_images[1:])
    at = np.concatenate([[0.0], between, [np.inf]])[last + 1]
    low, high = _ends(at)
    if np.isfinite(at[0]):
        return Estimate(float(at[0]), (low, high), _open_end(high))
    return Estimate(
        None, (low, np.inf), f"{scratch.arm} does not catch up within {FARTHEST} x the {largest:.0f} measured"
    )


def _unpaired(values: FloatArray) -> FloatArray:
    """Move the draws of (1 + B, ...) along: curves fitted with the same seed were drawn with the same noise."""
    return np.concatenate([values[:1], np.roll(values[1:], len(values) // 2, axis=0)])


def _within(curve: LearningCurve, n: FloatArray, goal: str) -> Estimate:
    """Make an estimate of (1 + B,) images and those of the draws."""
    if curve.reason is not None:
        return Estimate(None, None, curve.reason)
    low, high = _ends(n)
    if np.isinf(n[0]):
        return Estimate(
            None, (low, np.inf), f"the curve of {curve.arm} does not reach {goal} with any number of images"
        )
    reason = beyond(float(n[0]), curve.largest)
    if reason is not None:
        return Estimate(None, (low, np.inf), f"{goal}: {reason}")
    if n[0] < curve.smallest / FARTHEST:
        fewer = f"{goal} is reached with far fewer images than the {curve.smallest:.0f} that were measured"
        return Estimate(None, (0.0, max(high, curve.smallest)), fewer)
    return Estimate(float(n[0]), (low, high), _open_end(high))


def _ends(n: FloatArray) -> tuple[float, float]:
    """Return the ends of the interval: draws, as nothing lies between a number and infinity."""
    low, high = np.quantile(n[1:], ENDS, method="inverted_cdf")
    return min(float(low), float(n[0])), max(float(high), float(n[0]))


def _open_end(high: float) -> str | None:
    return None if np.isfinite(high) else "no number is certain: some curves that the runs allow never get there"
