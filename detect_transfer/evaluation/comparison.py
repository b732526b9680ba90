"""Is one side better than another? Paired differences over images and seeds, with a verdict.

A side is one training, or several of the same plan with other seeds. All are scored on the same draws of the same
images; where a side has several, its trainings are drawn again too, so that the interval holds for another one as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from detect_transfer.core.arrays import FloatArray, IntArray
from detect_transfer.evaluation.coco.bootstrap import LEVEL, N_DRAWS, SAMPLED, Sampled, mean_ap
from detect_transfer.evaluation.coco.intervals import Span, between, why_no_span
from detect_transfer.evaluation.coco.threshold_matches import side_by_side
from detect_transfer.evaluation.coco.weighted import weighted_ap

Verdict = Literal["better", "worse", "same", "cannot tell"]
MARGIN = 0.01
_FEWEST_UNITS = 6  # the signs of fewer differences cannot come out at p < .05, all equal or not
_TAIL = 10  # draws beyond zero that are enough to read p from them


@dataclass(frozen=True)
class Plan:
    """How to compare.

    Args:
        margin: Differences up to this are of no interest.
        n_draws: Draws of the bootstrap, and random exchanges of the sign-flip test.
        seed: Of both.
    """

    margin: float = MARGIN
    n_draws: int = N_DRAWS
    seed: int = 0


@dataclass(frozen=True)
class Difference:
    """What the second side has more than the first.

    Args:
        name: The metric, or `AP/<category id>`.
        first: The number of the first side, mean over its trainings; None where there is nothing to score.
        second: That of the second side.
        difference: `second` - `first`.
        interval: 95 % interval of the difference, percentiles of the draws: what AP gains on draws both sides gain.
        p: Two-sided, by the bootstrap: that there is no difference.
        p_signs: Two-sided, by exchanging the two sides in random images; only for AP and AP50.
        p_holm: `p` corrected for the number of classes (Holm); `p` itself for the whole.
        verdict: `same`: the interval lies within the margin; `better` or `worse`: it does not, and is on one side of 0
            with `p_holm` and, where there is one, `p_signs` below .05; else `cannot tell`.
        reason: Why there is no interval or no verdict.
    """

    name: str
    first: float | None
    second: float | None
    difference: float | None
    interval: Span | None
    p: float | None
    p_signs: float | None
    p_holm: float | None
    verdict: Verdict
    reason: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return what `compare.json` holds."""
        return asdict(self)


@dataclass(frozen=True)
class Comparison:
    """All differences of two sides: the metrics of the whole, and AP of each class."""

    metrics: tuple[Difference, ...]
    classes: tuple[Difference, ...]


def compare_groups(
    first: Sequence[Sampled], second: Sequence[Sampled], category_ids: Sequence[int], plan: Plan
) -> Comparison:
    """Compare two sides that were sampled with the same weights.

    Args:
        first: The trainings of the side that is compared with.
        second: Those of the side that is judged.
        category_ids: The K ids in order.
        plan: How.
    """
    objects = first[0].matches.objects
    n_with = (objects > 0).sum(axis=0)
    signs = sign_flip(first, second, plan)
    any_class = int(objects.any(axis=1).sum())
    metrics = [
        replace(
            _difference(
                name, [run.metrics[name] for run in first], [run.metrics[name] for run in second], any_class, plan
            ),
            p_signs=signs.get(name),
        )
        for name in SAMPLED
    ]
    classes = [
        _difference(
            f"AP/{i}",
            [run.class_ap[:, k] for run in first],
            [run.class_ap[:, k] for run in second],
            int(n_with[k]),
            plan,
        )
        for k, i in enumerate(category_ids)
    ]
    told = [d for d in classes if d.p is not None]
    corrected = iter(holm([d.p for d in told if d.p is not None]))
    classes = [d if d.p is None else replace(d, p_holm=next(corrected)) for d in classes]
    return Comparison(*(tuple(_judged(d, plan.margin) for d in part) for part in (metrics, classes)))


def sign_flip(first: Sequence[Sampled], second: Sequence[Sampled], plan: Plan) -> dict[str, float]:
    """Return p for AP and AP50 by exchanging the two sides in random images or groups, to check the bootstrap.

    Were there no difference, it would not matter which side an image was given to. The i-th training of one side is
    paired with the i-th of the other; a pair has the same exchanges as every other.
    """
    n_units = len(first[0].matches.objects)
    give = np.random.default_rng(plan.seed).integers(0, 2, (plan.n_draws, n_units)).astype(np.uint16)
    give = np.concatenate([np.zeros_like(give[:1]), give])  # the first exchanges nothing
    weights = np.concatenate([np.hstack([give, 1 - give]), np.hstack([1 - give, give])])
    total: dict[str, FloatArray] = {}
    for a, b in zip(first, second, strict=False):
        values = mean_ap(weighted_ap(side_by_side(a.matches, b.matches), weights))
        for name in ("AP", "AP50"):
            plus, minus = np.split(values[name], 2)
            total[name] = total.get(name, np.zeros(len(plus))) + plus - minus
    p = {}
    for name, apart in total.items():
        if np.isfinite(apart).all():
            as_far = np.abs(apart[1:]) >= abs(apart[0]) - 1e-12
            p[name] = float((1 + as_far.sum()) / (1 + plan.n_draws))
    return p


def holm(p: Sequence[float]) -> list[float]:
    """Correct p-values for their number, so that the chance of any false one is below the level.

    Source:
        Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    order = np.argsort(p, kind="stable")
    stepped = np.asarray(p)[order] * (len(p) - np.arange(len(p)))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return [float(value) for value in corrected]


def group_values(runs: Sequence[FloatArray], picks: IntArray) -> FloatArray:
    """Return one value (1 + B,) a draw for a side: the mean over its trainings, drawn again as `picks` (B, n) say.

    The deviations of n trainings from their mean are too small by sqrt((n - 1) / n), which is made good.
    """
    values = np.stack(runs, axis=1)  # (1 + B, n)
    mean = values.mean(axis=1)
    n = values.shape[1]
    if n > 1:
        drawn = np.take_along_axis(values[1:], picks, axis=1).mean(axis=1)
        mean[1:] += (drawn - mean[1:]) * np.sqrt(n / (n - 1))
    return np.asarray(mean)


def _difference(
    name: str, first: Sequence[FloatArray], second: Sequence[FloatArray], n_with: int, plan: Plan
) -> Difference:
    # a generator of its own for each metric: all metrics see the same trainings drawn
    rng = np.random.default_rng([plan.seed, 1])
    sides = [group_values(runs, rng.integers(0, len(runs), (len(runs[0]) - 1, len(runs)))) for runs in (first, second)]
    why = why_no_span(n_with)
    if n_with == 0:
        return Difference(name, None, None, None, None, None, None, None, "cannot tell", why)
    ends = float(sides[0][0]), float(sides[1][0])
    apart = sides[1] - sides[0]
    told = (name, *ends, float(apart[0]))
    if why is not None:
        return Difference(*told, None, None, None, None, "cannot tell", why)
    p = two_sided_p(apart)
    few = None if n_with >= _FEWEST_UNITS else f"only {n_with} images or groups have an object of it"
    return Difference(*told, between(apart), p, None, p, "cannot tell", few)


def two_sided_p(values: FloatArray) -> float:
    """Return p of no difference from (1 + B,) the difference and its draws.

    It is the share of draws beyond zero, twice. Where less than ten are, the tail is that of a normal distribution with
    the spread of the draws, as 1,000 draws cannot tell small p apart, which the correction for many classes needs.
    """
    draws = values[1:][np.isfinite(values[1:])]
    beyond, spread = min(int((draws <= 0).sum()), int((draws >= 0).sum())), float(draws.std())
    p = 2 * (1 + beyond) / (1 + len(draws))
    if beyond < _TAIL and spread > 0:
        from scipy.special import ndtr  # type: ignore[import-untyped]

        p = min(p, 2 * float(ndtr(-abs(values[0]) / spread)))
    return min(p, 1.0)


def _judged(d: Difference, margin: float) -> Difference:
    """Give the verdict; equal within the margin goes before better, as such a difference is of no interest."""
    if d.interval is None or d.p_holm is None or d.reason is not None:
        return d
    low, high = d.interval
    verdict: Verdict = "cannot tell"
    if -margin <= low and high <= margin:
        verdict = "same"
    elif max(d.p_holm, d.p_signs or 0.0) < 1 - LEVEL and (low > 0 or high < 0):
        verdict = "better" if low > 0 else "worse"
    return replace(d, verdict=verdict)
