"""Where the noise comes from: seeds, splits and test images, and which of them more would decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from detect_transfer.core.arrays import FloatArray, IntArray
from detect_transfer.evaluation.study.scores import ENDS, Estimate


@dataclass(frozen=True)
class VarianceComponents:
    """The variance of one run's number, by its source.

    Args:
        seed: Variance over seeds within a split, with its interval; over seeds and splits together where each seed has
            its own split.
        split: Variance over splits; None where there is one a seed.
        images: Variance over test images.
        of_mean: Variance of the mean of these runs by source: `seed`, `split`, `images`.
        decides: `seed`, `split` or `images`: what makes most of that, so that more of it would decide; None where a
            part is not known.
        sentence: The same in words.
    """

    seed: Estimate
    split: Estimate
    images: float | None
    of_mean: dict[str, float]
    decides: str | None
    sentence: str

    @property
    def shares(self) -> dict[str, float]:
        """Return the share of each source in the variance of the mean; empty where there is none."""
        total = sum(self.of_mean.values())
        return {name: part / total for name, part in self.of_mean.items()} if total > 0 else {}

    def as_dict(self) -> dict[str, Any]:
        """Return what `study.json` holds."""
        return {
            "seed": self.seed.as_dict(),
            "split": self.split.as_dict(),
            "images": self.images,
            "of_mean": self.of_mean,
            "shares": self.shares,
            "decides": self.decides,
            "sentence": self.sentence,
        }


def variance_components(
    values: FloatArray, splits: IntArray | None = None, image_variance: float | None = None
) -> VarianceComponents:
    """Divide the variance of runs of one plan and one size.

    Args:
        values: (R,) AP of each run, or the difference of two arms in each pair.
        splits: (R,) the split of each run; None where each has its own.
        image_variance: Variance of such a number over test images, by the bootstrap; None where it is not known.

    Source:
        Bouthillier et al., Accounting for Variance in Machine Learning Benchmarks, 2021; the analysis of variance with
        one random effect, intervals by chi-square and by Williams, A confidence interval for variance components, 1962.
    """
    groups = [values] if splits is None else [values[splits == split] for split in np.unique(splits)]
    n_runs, n_groups = len(values), len(groups)
    degrees = n_runs - n_groups
    if degrees < 1:
        why = "no split has two seeds" if n_groups > 1 else "one run says nothing about other seeds"
        seed = Estimate(None, None, why)
    else:
        within = float(sum(((group - group.mean()) ** 2).sum() for group in groups))
        low, high = _over_chi_square(within, degrees)
        seed = Estimate(within / degrees, (low, high))
    split = _split_variance(values, groups, seed, degrees)
    parts = {"seed": None if seed.value is None else seed.value / n_runs}
    if n_groups > 1:
        parts["split"] = None if split.value is None else split.value * sum(len(g) ** 2 for g in groups) / n_runs**2
    parts["images"] = image_variance
    of_mean = {name: part for name, part in parts.items() if part is not None}
    complete = len(of_mean) == len(parts) and sum(of_mean.values()) > 0
    decides = max(of_mean, key=lambda name: of_mean[name]) if complete else None
    unknown = [name for name, part in parts.items() if part is None]
    return VarianceComponents(seed, split, image_variance, of_mean, decides, _sentence(of_mean, decides, unknown))


def _split_variance(values: FloatArray, groups: list[FloatArray], seed: Estimate, degrees: int) -> Estimate:
    """Return the variance over splits, of which each has several seeds."""
    from scipy.special import fdtri  # type: ignore[import-untyped]

    if len(groups) < 2:
        return Estimate(None, None, "each seed has its own split, or all have the same")
    if seed.value is None:
        return Estimate(None, None, seed.reason)
    counts = np.array([len(group) for group in groups], float)
    between = float((counts * (np.array([group.mean() for group in groups]) - values.mean()) ** 2).sum())
    above = len(groups) - 1
    per_split = (counts.sum() - (counts**2).sum() / counts.sum()) / above  # runs a split, if they differ
    value = max((between / above - seed.value) / per_split, 0.0)
    ratio = between / above / seed.value if seed.value > 0 else np.inf
    low, high = (
        max(end * (1 - float(fdtri(above, degrees, share)) / ratio) / per_split, 0.0)
        for end, share in zip(_over_chi_square(between, above), ENDS[::-1], strict=True)
    )
    return Estimate(value, (min(low, value), max(high, value)))


def _over_chi_square(squares: float, degrees: int) -> tuple[float, float]:
    """Return the interval of a variance from its sum of squares."""
    from scipy.special import chdtri

    return squares / float(chdtri(degrees, ENDS[0])), squares / float(chdtri(degrees, ENDS[1]))


def _sentence(of_mean: dict[str, float], decides: str | None, unknown: list[str]) -> str:
    if unknown:
        return f"what would decide is not known: no variance over {' and '.join(unknown)}"
    if decides is None:
        return "the runs do not differ"
    words = {"seed": "more seeds", "split": "more images", "images": "more test images"}
    share = of_mean[decides] / sum(of_mean.values())
    return f"{words[decides]} would decide: they make {share:.0%} of the variance of the mean"
