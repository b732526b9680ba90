"""Is one arm of a study better than another? Differences paired by seed and size, with a verdict in words.

A pair are two runs with the same seed and number of images. The interval at a size is that of Student's t over the
pairs; that over all sizes takes the mean over the sizes of each seed first, as runs of a seed are not independent. Both
hold for other seeds, and for other test images where the variance over them is given.

With folds a pair is a fold, with the mean over its seeds. Folds train on common images, so their differences are no
independent draws: the variance of their mean is that of Nadeau and Bengio, "Inference for the Generalization Error",
2003.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from detect_transfer.core.arrays import FloatArray
from detect_transfer.evaluation.coco.bootstrap import LEVEL
from detect_transfer.evaluation.coco.intervals import Span
from detect_transfer.evaluation.comparison import MARGIN, Verdict, holm, total_spread
from detect_transfer.evaluation.study.power import FEWEST_SEEDS, MOST_SEEDS, seeds_needed
from detect_transfer.evaluation.study.scores import ArmScores


@dataclass(frozen=True)
class ArmVerdict:
    """What the second arm has more than the first.

    Args:
        n_images: The size; None over all sizes, and where it is not about a size.
        first: Mean AP of the first arm over the pairs; None without pairs.
        second: That of the second.
        difference: `second` - `first`.
        interval: Its 95 % interval; None with less than two pairs.
        p: Two-sided, that there is no difference.
        p_holm: `p` corrected for the number of differences read together, such as sizes (Holm).
        verdict: `same`: the interval lies within the margin; `better` or `worse`: it does not, and excludes 0 with
            `p_holm` below .05; else, and with fewer than three pairs, `cannot tell`.
        margin: Differences up to this are of no interest.
        n_pairs: Pairs at a size, or seeds over all sizes.
        more_seeds: How many more would decide with a chance of .8, if the difference and its spread are as measured;
            None where the verdict stands, or no number up to 100 would.
        reason: Why there is no interval, or no number of seeds.
    """

    n_images: int | None
    first: float | None
    second: float | None
    difference: float | None
    interval: Span | None
    p: float | None
    p_holm: float | None
    verdict: Verdict
    margin: float
    n_pairs: int
    more_seeds: int | None = None
    reason: str | None = None

    @property
    def words(self) -> str:
        """The verdict as it is read."""
        if self.verdict == "same":
            return f"same within {self.margin:g}"
        if self.verdict != "cannot tell":
            return self.verdict
        if self.more_seeds is not None:
            return f"cannot tell: {self.more_seeds} more seed{'s' * (self.more_seeds > 1)} needed"
        return f"cannot tell: {self.reason}"

    def as_dict(self) -> dict[str, Any]:
        """Return what `study.json` holds."""
        return {**asdict(self), "words": self.words}


@dataclass(frozen=True)
class ArmComparison:
    """Two arms over all sizes that both have.

    Args:
        first: The arm that is compared with.
        second: The arm that is judged.
        overall: Over all sizes, by seeds that have a pair at each.
        by_size: At each size, in order.
        unpaired: Size and seed of runs that the other arm does not have, with folds size, fold and seed; they are in no
            number here.
    """

    first: str
    second: str
    overall: ArmVerdict
    by_size: tuple[ArmVerdict, ...]
    unpaired: tuple[tuple[int, ...], ...]

    @property
    def verdicts(self) -> tuple[ArmVerdict, ...]:
        """Those that say different things: over all sizes and at each, or the one size."""
        return self.by_size if len(self.by_size) == 1 else (self.overall, *self.by_size)

    def as_dict(self) -> dict[str, Any]:
        """Return what `study.json` holds."""
        return {
            "first": self.first,
            "second": self.second,
            "overall": self.overall.as_dict(),
            "by_size": [verdict.as_dict() for verdict in self.by_size],
            "unpaired": [list(run) for run in self.unpaired],
        }


def judge(
    first: ArmScores,
    second: ArmScores,
    *,
    margin: float = MARGIN,
    image_variance: float | Mapping[int | None, float] = 0.0,
    overlap: float = 0.0,
) -> ArmComparison:
    """Compare two arms.

    Args:
        first: The arm that is compared with.
        second: The arm that is judged.
        margin: Differences up to this are of no interest.
        image_variance: Variance of the difference of the means over test images; one number, or one for each size and
            None for that over all sizes. With 0 the verdict holds for these test images.
        overlap: Test images of a fold over all others, where the seeds of both arms are folds; 0 without folds.
    """
    runs = _by_run(first, second)
    paired = sorted(runs[0].keys() & runs[1].keys())
    pairs = {key: (runs[0][key], runs[1][key]) for key in paired}
    sizes = sorted({size for size, _ in paired})
    at_size = {n: np.array([pair for (size, _), pair in pairs.items() if size == n]) for n in sizes}
    seeds = sorted({seed for _, seed in paired if all((n, seed) in pairs for n in sizes)})
    over_sizes = np.array([np.mean([pairs[n, seed] for n in sizes], axis=0) for seed in seeds]).reshape(-1, 2)

    def variance(size: int | None) -> float:
        return image_variance if isinstance(image_variance, float | int) else image_variance.get(size, 0.0)

    (overall,) = judge_pairs([over_sizes], margin=margin, image_variances=[variance(None)], overlap=overlap)
    variances = [variance(n) for n in sizes]
    by_size = judge_pairs([at_size[n] for n in sizes], margin=margin, image_variances=variances, overlap=overlap)
    return ArmComparison(
        first.arm,
        second.arm,
        overall,
        tuple(replace(v, n_images=n) for n, v in zip(sizes, by_size, strict=True)),
        _unpaired(first, second),
    )


def judge_pairs(
    family: Sequence[FloatArray],
    *,
    margin: float = MARGIN,
    image_variances: Sequence[float] | None = None,
    overlap: float = 0.0,
) -> tuple[ArmVerdict, ...]:
    """Give a verdict on each of several differences that are read together, corrected for their number.

    Args:
        family: (P, 2) AP of both arms in the pairs of each difference.
        margin: Differences up to this are of no interest.
        image_variances: Variance of each over test images; None for none.
        overlap: As for `judge`.
    """
    variances = [0.0] * len(family) if image_variances is None else image_variances
    differences = [_difference(pairs, margin, v, overlap) for pairs, v in zip(family, variances, strict=True)]
    corrected = iter(holm([d.p for d in differences if d.p is not None]))
    differences = [d if d.p is None else replace(d, p_holm=next(corrected)) for d in differences]
    rows = zip(differences, family, variances, strict=True)
    if overlap:
        return tuple(_judged_folds(d) for d in differences)
    return tuple(_judged(d, pairs, v, len(family)) for d, pairs, v in rows)


def _by_split(arm: ArmScores) -> dict[tuple[int, int, int], float]:
    """Return AP of an arm by size, seed and split."""
    splits = np.zeros(len(arm.ap), np.int64) if arm.splits is None else arm.splits
    keys = zip(arm.n_images.tolist(), arm.seeds.tolist(), splits.tolist(), strict=True)
    return dict(zip(keys, arm.ap.tolist(), strict=True))


def _unpaired(first: ArmScores, second: ArmScores) -> tuple[tuple[int, ...], ...]:
    """Return what only one of two arms has, in order; with its split where there are splits."""
    alone = sorted(_by_split(first).keys() ^ _by_split(second).keys())
    return tuple(key if first.splits is not None else key[:2] for key in alone)


def _by_run(*arms: ArmScores) -> list[dict[tuple[int, int], float]]:
    """Return AP of each arm by size and seed; the mean over the splits that all arms have."""
    by_split = [_by_split(arm) for arm in arms]
    common = set.intersection(*(set(ap) for ap in by_split))
    paired = {key[:2] for key in common}
    means = []
    for ap in by_split:
        values: dict[tuple[int, int], list[float]] = {}
        for key, value in ap.items():
            if key in common or key[:2] not in paired:
                values.setdefault(key[:2], []).append(value)
        means.append({run: float(np.mean(of_run)) for run, of_run in values.items()})
    return means


def _difference(pairs: FloatArray, margin: float, image_variance: float, overlap: float) -> ArmVerdict:
    """Compare pairs (P, 2); the verdict is given later."""
    from scipy.special import stdtr, stdtrit  # type: ignore[import-untyped]

    none = ArmVerdict(None, None, None, None, None, None, None, "cannot tell", margin, len(pairs))
    if not len(pairs):
        return replace(none, reason="no seed has a run of both arms")
    first, second = (float(end) for end in pairs.mean(axis=0))
    none = replace(none, first=first, second=second, difference=second - first)
    if len(pairs) == 1:
        if overlap:
            return replace(none, reason="one fold says nothing about other images")
        return replace(none, more_seeds=FEWEST_SEEDS - 1, reason="one pair says nothing about other seeds")
    # few seeds make the share of the images look larger than it is, so seeds alone bound the interval from below:
    # without that two equal arms with two pairs were called different in 9 of 100 cases
    ways = [_error(pairs, variance, overlap) for variance in (image_variance, 0.0)]
    ways = [way for way in ways if way[0] > 0]
    if not ways:
        if second == first:
            return replace(none, interval=(0.0, 0.0), p=1.0, p_holm=1.0)
        return replace(none, reason="the difference does not change with the seed, so only other images could tell")
    reach = max(float(stdtrit(degrees, (1 + LEVEL) / 2)) * error for error, degrees in ways)
    p = max(float(2 * stdtr(degrees, -abs(second - first) / error)) for error, degrees in ways)
    return replace(none, interval=(second - first - reach, second - first + reach), p=p, p_holm=p)


def _error(pairs: FloatArray, image_variance: float, overlap: float) -> tuple[float, float]:
    """Return the standard error of the mean difference of pairs (P, 2), and its degrees of freedom."""
    apart = pairs[:, 1] - pairs[:, 0]
    seeds = np.asarray(apart.var(ddof=1) * (1 / len(apart) + overlap))
    error, degrees = total_spread(np.asarray(image_variance), (seeds, np.asarray(len(apart) - 1.0)))
    return float(error), float(degrees)


def _verdict(d: ArmVerdict) -> Verdict:
    """Return the verdict; equal within the margin goes before better, as such a difference is of no interest."""
    if d.interval is None or d.p_holm is None or d.n_pairs < FEWEST_SEEDS:
        return "cannot tell"
    low, high = d.interval
    if -d.margin <= low and high <= d.margin:
        return "same"
    if d.p_holm < 1 - LEVEL and (low > 0 or high < 0):
        return "better" if low > 0 else "worse"
    return "cannot tell"


def _judged_folds(d: ArmVerdict) -> ArmVerdict:
    """Give the verdict of folds; which number of images would decide is not known."""
    verdict = _verdict(d)
    if verdict != "cannot tell" or d.reason is not None:
        return replace(d, verdict=verdict)
    few = f"{d.n_pairs} of the {FEWEST_SEEDS} folds that a verdict needs at least have runs of both arms"
    return replace(d, reason=few if d.n_pairs < FEWEST_SEEDS else "more images, or more seeds a fold, would be needed")


def _judged(d: ArmVerdict, pairs: FloatArray, image_variance: float, n_tests: int) -> ArmVerdict:
    """Give the verdict of seeds, and how many more would decide."""
    verdict = _verdict(d)
    if verdict != "cannot tell" or d.interval is None or d.difference is None:
        return replace(d, verdict=verdict)
    spread = float((pairs[:, 1] - pairs[:, 0]).std(ddof=1))
    needed = seeds_needed(
        d.difference, spread, margin=d.margin, image_variance=image_variance, level=1 - (1 - LEVEL) / n_tests
    )
    if needed is None:
        return replace(d, reason=f"not even {MOST_SEEDS} seeds would decide")
    return replace(d, more_seeds=max(needed - d.n_pairs, 1))
