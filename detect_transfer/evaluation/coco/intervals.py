"""Intervals of AP and AP50, of the whole and of each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from detect_transfer.core.arrays import FloatArray, IntArray
from detect_transfer.evaluation.case import Case
from detect_transfer.evaluation.coco.bootstrap import LEVEL, N_DRAWS, draw_weights, sample
from detect_transfer.evaluation.coco.threshold_matches import match_at_thresholds

Span = tuple[float, float]
_NAMES = ("AP", "AP50")
_ENDS = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
_ROUNDING = 1e-12
# on simulated sets with classes in 2 or 3 images, intervals held the AP of all images in 81 to 85 of 100, and AP
# itself was .03 to .04 too high (tools/benchmarks/interval_coverage.py)
_FEWEST_UNITS = 5
ONE_SIDED = "nearly all draws lie on one side of the number, so they do not show how it would move"


@dataclass(frozen=True)
class Intervals:
    """Intervals of one evaluation, by the bias-corrected bootstrap.

    Args:
        metrics: Low and high end for `AP` and `AP50`; None where there is none.
        per_class: The same for each category id.
        reasons: For each None, why; a class under `AP/<category id>`.
        unit: `group` where images of a group are drawn together, else `image`.
        n_units: How many of them there are.
        n_draws: How many draws were made.
        seed: Of the draws.
        caution: What is wrong with them where some classes are rare; None where none is.
    """

    metrics: dict[str, Span | None]
    per_class: dict[int, dict[str, Span | None]]
    reasons: dict[str, str]
    unit: str
    n_units: int
    n_draws: int
    seed: int
    caution: str | None = None

    def get(self, name: str) -> Span | None:
        """Return the interval of a metric of the whole; None where there is none."""
        return self.metrics.get(name)

    def as_dict(self) -> dict[str, Any]:
        """Return what `metrics.json` holds."""
        return {
            **self.metrics,
            "per_class": {str(i): dict(row) for i, row in self.per_class.items()},
            "reasons": dict(self.reasons),
            "level": LEVEL,
            "kind": f"bias-corrected percentile bootstrap over {self.unit}s",
            "units": self.n_units,
            "draws": self.n_draws,
            "seed": self.seed,
            **({} if self.caution is None else {"caution": self.caution}),
        }


def score_intervals(case: Case, *, max_detections: int = 100, n_draws: int = N_DRAWS, seed: int = 0) -> Intervals:
    """Compute 95 % intervals over images, or over groups of images where the truth has a column `group`.

    They say how the numbers would move with other images of the same kind, not with another training.

    Raises:
        InputError: As for `score`, or there are less than 100 draws.
    """
    matches = match_at_thresholds(case, max_detections=max_detections)
    n_units = len(matches.objects)
    sampled = sample(matches, draw_weights(n_units, n_draws=n_draws, seed=seed))
    reasons: dict[str, str] = {}
    any_class = int(matches.objects.any(axis=1).sum())
    metrics = {name: _noted(sampled.metrics[name], any_class, name, reasons) for name in _NAMES}
    n_with, columns = (matches.objects > 0).sum(axis=0), (sampled.class_ap, sampled.class_ap50)
    per_class = {
        i: {
            name: _noted(values[:, k], int(n_with[k]), f"{name}/{i}", reasons)
            for name, values in zip(_NAMES, columns, strict=True)
        }
        for k, i in enumerate(case.gt.category_ids.tolist())
    }
    unit = "image" if n_units == case.n_images else "group"
    return Intervals(metrics, per_class, reasons, unit, n_units, n_draws, seed, _caution(n_with, unit))


def span_of(values: FloatArray, *, corrected: bool = True) -> Span | None:
    """Return the percentile interval of (1 + B,) a number and its draws, bias-corrected or plain.

    AP runs higher on draws, which have fewer different images, than on the images themselves. Plain percentiles held
    the AP of all images in 86 of 100 cases of 80 images and 3 classes, corrected ones in 94.

    Returns:
        An interval that contains the number; None where more than 97.5 % of the draws lie on one side of it, so far
        beyond that no correction is to be trusted.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 14.3, without acceleration.
    """
    from scipy.special import ndtr, ndtri  # type: ignore[import-untyped]

    beside, ends = bias(values), ndtri(_ENDS)
    if not ends[0] <= beside <= ends[1]:
        return None
    draws = values[1:][np.isfinite(values[1:])]
    low, high = np.percentile(draws, 100 * (ndtr(2 * beside + ends) if corrected else _ENDS))
    # percentiles lie between two draws, which may be on one side of a number near the end
    return min(float(low), float(values[0])), max(float(high), float(values[0]))


def bias(values: FloatArray) -> float:
    """Return how far (1 + B,) a number lies above the median of its draws, in standard deviations of a normal one."""
    from scipy.special import ndtri

    draws = values[1:][np.isfinite(values[1:])]
    below = (draws < values[0] - _ROUNDING).sum() + (abs(draws - values[0]) <= _ROUNDING).sum() / 2
    return float(ndtri(np.clip(below / len(draws), 1 / (1 + len(draws)), len(draws) / (1 + len(draws)))))


def why_no_span(n_units_with_objects: int) -> str | None:
    """Say why nothing can be drawn from so few units; None where it can."""
    if n_units_with_objects == 0:
        return "no object"
    if n_units_with_objects == 1:
        return "all objects are in one image or group, so draws cannot show how the number would move"
    return None


def _caution(n_with: IntArray, unit: str) -> str | None:
    """Say what rare classes do to the interval of the mean, from how many units (K,) have an object of each class."""
    n, n_rare = int((n_with > 0).sum()), int(((n_with > 0) & (n_with < _FEWEST_UNITS)).sum())
    if not n_rare:
        return None
    have = f"{n_rare} of {n} classes have" if n > 1 else "the only class has"
    few = f"objects in fewer than {_FEWEST_UNITS} {unit}s"
    return f"{have} {few}: AP tends to be too high there, and its interval is too narrow"


def _noted(values: FloatArray, n_with: int, name: str, reasons: dict[str, str]) -> Span | None:
    """Return the interval of (1 + B,) a number and its draws, or None with its reason noted."""
    why = why_no_span(n_with)
    span = None if why is not None else span_of(values)
    if span is None:
        reasons[name] = why or ONE_SIDED
    return span
