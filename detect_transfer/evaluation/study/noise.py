"""How much AP moves from run to run at each number of training images, and how well that is known.

Three seeds a size say little about the noise of that size, so all sizes share one model: the variance falls as a power
of the number of images, between none and 1 / n, and runs of a seed may share a part of their noise, as the images of a
small subset are among those of a larger one. Power and share are weighed by their likelihood, not chosen: a chosen one
is too often the one with too little noise at the size that matters, and intervals then held .88 instead of .95.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detect_transfer.core.arrays import FloatArray, IntArray
from detect_transfer.evaluation.study.scores import ArmScores

_LEAST_SQUARE = 1e-9  # AP is not known finer than 3e-5
_POWERS = np.linspace(0.0, 1.0, 11)
_LEAST_LIKELY = 1.1  # less the power: before any run, noise that stays is likelier, as the other errs towards narrow
_COMMON_SHARES = np.array([0.0, 0.3, 0.6, 0.9])


@dataclass(frozen=True)
class Noise:
    """The noise of the runs of one arm over S sizes, as H weighed hypotheses.

    Args:
        counts: (S,) runs of each size.
        shapes: (H, S) variance of a run relative to the others, for each hypothesis.
        common: (H,) share of the variance that runs of a seed have in common.
        squares: (H,) sum of squares over `degrees`, in units of the shapes.
        weights: (H,) how likely each hypothesis is; they sum to 1.
        degrees: Degrees of freedom within the sizes.
    """

    counts: IntArray
    shapes: FloatArray
    common: FloatArray
    squares: FloatArray
    weights: FloatArray
    degrees: int

    @property
    def variances(self) -> FloatArray:
        """Return the variance (S,) of a single run at each size."""
        return np.asarray((self.weights * self.squares / self.degrees) @ self.shapes)

    def draw(self, n_draws: int, rng: np.random.Generator) -> FloatArray:
        """Draw the noise (B, S) of the means of the sizes, each time with another noise that the runs allow."""
        which = rng.choice(len(self.weights), n_draws, p=self.weights)
        scale = np.sqrt(self.squares[which] / rng.chisquare(self.degrees, n_draws))[:, None]
        common = self.common[which][:, None]
        own = rng.standard_normal((n_draws, len(self.counts)))
        mixed = np.sqrt(1 - common) * own + np.sqrt(common) * rng.standard_normal((n_draws, 1))
        return np.asarray(scale * np.sqrt(self.shapes[which] / self.counts) * mixed)


def fit_noise(scores: ArmScores) -> Noise | None:
    """Weigh the hypotheses about the noise; None where no size has two runs."""
    sizes = scores.sizes
    values = [scores.at(int(size)) for size in sizes]
    counts = np.array([len(v) for v in values])
    degrees = int((counts - 1).sum())
    if degrees < 1:
        return None
    power, common = (grid.ravel() for grid in np.meshgrid(_POWERS, _common_shares(scores), indexing="ij"))
    shapes = (sizes.min() / sizes) ** power[:, None]
    deviations = [v - v.mean() for v in values]
    if len(_common_shares(scores)) > 1:
        scaled = np.stack(deviations) / np.sqrt(shapes)[:, :, None]  # (H, S, seeds)
        apart = (scaled**2).sum(axis=(1, 2))
        together = (scaled.sum(axis=1) ** 2).sum(axis=1)
    else:
        apart = np.array([float((d**2).sum()) for d in deviations]) @ (1 / shapes).T
        together = np.zeros(len(shapes))
    # the inverse and the determinant of a correlation that is `common` between any two sizes
    n_sizes = len(sizes)
    rest = 1 - common
    all_common = rest + n_sizes * common
    squares = (apart - common / all_common * together) / rest + _LEAST_SQUARE
    log_correlation = (n_sizes - 1) * np.log(rest) + np.log(all_common)
    log_likelihood = -(degrees * np.log(squares) + np.log(shapes) @ (counts - 1)) / 2
    log_likelihood -= degrees / n_sizes * log_correlation / 2
    weights = (_LEAST_LIKELY - power) * np.exp(log_likelihood - log_likelihood.max())
    return Noise(counts, shapes, common, squares, weights / weights.sum(), degrees)


def _common_shares(scores: ArmScores) -> FloatArray:
    """Return the shares of common noise to weigh: none where not all sizes have the same seeds."""
    seeds = [np.sort(scores.seeds[scores.n_images == size]) for size in scores.sizes]
    balanced = all(np.array_equal(seeds[0], s) for s in seeds) and len(np.unique(seeds[0])) == len(seeds[0])
    return _COMMON_SHARES if balanced and len(seeds) > 1 else _COMMON_SHARES[:1]
