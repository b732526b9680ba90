"""Is one group better than another? Paired differences over images and seeds, with a verdict.

A group is one training, or several of the same plan with other seeds. All are scored on the same draws of the same
images. Where a group has several, the interval is that of Student's t with the variance over images and over trainings,
so that it holds for another training as well; with one training a group it says nothing about other seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from detect_transfer.core.arrays import FloatArray
from detect_transfer.evaluation.coco.bootstrap import LEVEL, N_DRAWS, SAMPLED, Sampled, mean_ap
from detect_transfer.evaluation.coco.intervals import ONE_SIDED, Span, span_of, why_no_span
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
    """What the second group has more than the first.

    Args:
        name: The metric, or `AP/<category id>`.
        first: The number of the first group, mean over its trainings; None where there is nothing to score.
        second: That of the second group.
        difference: `second` - `first`.
        interval: 95 % interval of the difference: by Student's t over images and trainings where a group has several,
            else percentiles of the draws: what AP gains on draws both groups gain. None where nearly all
            draws lie on one side of the difference, which it contains.
        p: Two-sided, that there is no difference: by the same.
        p_signs: Two-sided, by exchanging the two groups in random images; only for AP and AP50.
        p_holm: `p` corrected for the number of metrics, or of classes (Holm).
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
    """All differences of two groups: the metrics of the whole, AP of each class, and what is said of other seeds."""

    metrics: tuple[Difference, ...]
    classes: tuple[Difference, ...]
    seeds: str


def compare_groups(
    first: Sequence[Sampled], second: Sequence[Sampled], category_ids: Sequence[int], plan: Plan
) -> Comparison:
    """Compare two groups that were sampled with the same weights.

    Args:
        first: The trainings of the group that is compared with.
        second: Those of the group that is judged.
        category_ids: The K ids in order.
        plan: How.
    """
    objects = first[0].matches.objects
    n_with = (objects > 0).sum(axis=0)
    signs = sign_flip(first, second, plan)
    any_class = int(objects.any(axis=1).sum())
    metrics = [
        replace(
            _difference(name, [run.metrics[name] for run in first], [run.metrics[name] for run in second], any_class),
            p_signs=signs.get(name),
        )
        for name in SAMPLED
    ]
    classes = [
        _difference(
            f"AP/{i}", [run.class_ap[:, k] for run in first], [run.class_ap[:, k] for run in second], int(n_with[k])
        )
        for k, i in enumerate(category_ids)
    ]
    judged = [tuple(_judged(d, plan.margin) for d in _corrected(part)) for part in (metrics, classes)]
    return Comparison(judged[0], judged[1], about_seeds(len(first), len(second)))


def _corrected(differences: Sequence[Difference]) -> list[Difference]:
    corrected = iter(holm([d.p for d in differences if d.p is not None]))
    return [d if d.p is None else replace(d, p_holm=next(corrected)) for d in differences]


def about_seeds(n_first: int, n_second: int) -> str:
    """Say what a comparison of so many trainings a group can say about other seeds."""
    if max(n_first, n_second) == 1:
        return "one run a group: intervals and verdicts are about these runs and say nothing about other seeds"
    if min(n_first, n_second) == 1:
        return "one group has one run, whose spread over seeds is taken to be that of the other group"
    return f"{n_first} and {n_second} runs: intervals and verdicts hold for other seeds as well"


def sign_flip(first: Sequence[Sampled], second: Sequence[Sampled], plan: Plan) -> dict[str, float]:
    """Return p for AP and AP50 by exchanging the two groups in random images or units, to check the bootstrap.

    Were there no difference, it would not matter which group an image was given to. The i-th training of one group is
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


def seed_spread(first: FloatArray, second: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the variance (...) that other seeds give the difference of two groups, and its degrees of freedom (...).

    A group of one training is taken to vary as the other does; two such groups have no spread.

    Args:
        first: (..., n) the numbers of the trainings of one group.
        second: (..., m) those of the other.

    Source:
        Welch, The generalization of Student's problem when several different population variances are involved, 1947.
    """
    groups = (first, second)
    variances = [group.var(axis=-1, ddof=1) if group.shape[-1] > 1 else None for group in groups]
    sizes = [group.shape[-1] for group in groups]
    measured = [(v, n) for v, n in zip(variances, sizes, strict=True) if v is not None]
    if not measured:
        nothing = np.zeros(first.shape[:-1])
        return nothing, nothing + np.inf
    if len(measured) == 1:
        ((variance, n),) = measured
        return np.asarray(variance * sum(1 / size for size in sizes)), np.full(variance.shape, n - 1.0)
    parts = [v / n for v, n in measured]
    total = parts[0] + parts[1]
    below = sum(part**2 / (n - 1) for part, (_, n) in zip(parts, measured, strict=True))
    return np.asarray(total), _ratio(total**2, below)


def total_spread(
    image_variance: FloatArray, seeds: tuple[FloatArray, FloatArray], *, one_run: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Return the standard error (...) of a difference over images and seeds, and its degrees of freedom (...).

    They grow with the share of the variance over images, which is known from very many draws. Satterthwaite's degrees
    grow with its square: with two runs a group, one of four metrics was then called different in 10 of 100 comparisons
    of equal groups, after Holm; with these in 5. Where a group has one run, its spread is that of the other group, and
    the degrees do not grow: one run against two was called different in 13 to 20 of 100.
    """
    variance, degrees = seeds
    total = image_variance + variance
    return np.sqrt(total), degrees if one_run else degrees * _ratio(total, variance)


def _ratio(over: FloatArray, under: FloatArray) -> FloatArray:
    return np.asarray(np.divide(over, under, out=np.full(np.shape(over), np.inf), where=np.asarray(under) > 0))


def _difference(name: str, first: Sequence[FloatArray], second: Sequence[FloatArray], n_with: int) -> Difference:
    """Compare one number (1 + B,) of every training: the images as they are, then B draws."""
    from scipy.special import stdtr, stdtrit  # type: ignore[import-untyped]

    why = why_no_span(n_with)
    if n_with == 0:
        return Difference(name, None, None, None, None, None, None, None, "cannot tell", why)
    groups = [np.stack(runs, axis=-1) for runs in (first, second)]  # (1 + B, n)
    ends = [group.mean(axis=-1) for group in groups]
    apart = ends[1] - ends[0]
    numbers = (name, float(ends[0][0]), float(ends[1][0]), float(apart[0]))
    if why is not None:
        return Difference(*numbers, None, None, None, None, "cannot tell", why)
    few = None if n_with >= _FEWEST_UNITS else f"only {n_with} images or groups have an object of it"
    seeds = seed_spread(groups[0][0], groups[1][0])
    if not seeds[0] > 0:
        span = span_of(apart, corrected=False)
        if span is None:
            return Difference(*numbers, None, None, None, None, "cannot tell", few or ONE_SIDED)
        p = two_sided_p(apart)
        return Difference(*numbers, span, p, None, p, "cannot tell", few)
    one_run = min(len(first), len(second)) == 1
    error, degrees = total_spread(apart[1:][np.isfinite(apart[1:])].var(), seeds, one_run=one_run)
    p = float(2 * stdtr(degrees, -abs(apart[0]) / error))
    reach = float(stdtrit(degrees, (1 + LEVEL) / 2) * error)
    return Difference(*numbers, (float(apart[0]) - reach, float(apart[0]) + reach), p, None, p, "cannot tell", few)


def two_sided_p(values: FloatArray) -> float:
    """Return p of no difference from (1 + B,) the difference and its draws.

    It is the share of draws beyond zero, twice. Where less than ten are, the tail is that of a normal distribution with
    the spread of the draws, as 1,000 draws cannot tell small p apart, which the correction for many classes needs.
    """
    draws = values[1:][np.isfinite(values[1:])]
    beyond, spread = min(int((draws <= 0).sum()), int((draws >= 0).sum())), float(draws.std())
    p = 2 * (1 + beyond) / (1 + len(draws))
    if beyond < _TAIL and spread > 0:
        from scipy.special import ndtr

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
