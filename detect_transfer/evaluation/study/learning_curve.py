"""The learning curve of an arm: its error 1 - AP over the number of training images.

    error(n) = a + b n^c,    a >= 0, b >= 0, -1 <= c < 0

For each c on a grid, a and b are those of weighted least squares; the best c is taken. Each size counts alike however
many runs it has, divided by the variance of a run. Intervals are those of a parametric bootstrap: noise is added to the
fitted curve and the curve is fitted again. They hold for other seeds and the same test images.

Source:
    Hoiem et al., Learning Curves for Analysis of Deep Networks, 2021.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from detect_transfer.core.arrays import FloatArray
from detect_transfer.evaluation.coco.bootstrap import N_DRAWS
from detect_transfer.evaluation.study.noise import fit_noise
from detect_transfer.evaluation.study.scores import ENDS, ArmScores, Estimate

FEWEST_SIZES = 3
LEAST_AP = 0.01  # sizes below it are left out
FARTHEST = 4  # times the largest size: as far as the authors extrapolate
_EXPONENTS = np.round(np.arange(-1.0, 0.0, 0.01), 2)
_CENTRE = -0.5


@dataclass(frozen=True)
class LearningCurve:
    """A fitted learning curve, or the reason why there is none.

    Args:
        arm: Whose it is.
        sizes: (S,) the numbers of training images fitted: those measured, without sizes at which AP is below .01; all
            measured where there is no curve.
        a: The error that no number of images goes below, in AP; None where there is no curve, like `b` and `c`.
        b: What the error of one image adds to it.
        c: The exponent, from -1 to below 0.
        misfit_p: The chance of points so far from the curve if it is right; None where as many numbers are fitted as
            there are sizes. Below .05 the noise is taken to be as large as the misfit says.
        errors: (S,) the mean error at each size.
        variances: (S,) the variance of a run at each size.
        draws: (B, 3) a, b and c of the fits to the curve with noise.
        reason: Why there is no curve.
    """

    arm: str
    sizes: FloatArray
    a: float | None
    b: float | None
    c: float | None
    misfit_p: float | None = None
    errors: FloatArray = field(default_factory=lambda: np.empty(0))
    variances: FloatArray = field(default_factory=lambda: np.empty(0))
    draws: FloatArray = field(default_factory=lambda: np.empty((0, 3)), repr=False)
    reason: str | None = None

    @property
    def parameters(self) -> FloatArray:
        """Return (1 + B, 3) a, b and c: those of the curve, then those of the draws; NaN where there is no curve."""
        own = np.array([np.nan if x is None else x for x in (self.a, self.b, self.c)])
        return np.concatenate([own[None], self.draws])

    @property
    def smallest(self) -> float:
        """Return the smallest number of training images measured."""
        return float(self.sizes.min())

    @property
    def largest(self) -> float:
        """Return the largest number of training images measured."""
        return float(self.sizes.max())

    def values(self, n_images: FloatArray) -> FloatArray:
        """Return AP (1 + B, S) at so many images (S,): of the curve, then of each draw."""
        a, b, c = self.parameters.T[:, :, None]
        return np.asarray(1 - a - b * n_images**c)

    def band(self, n_images: FloatArray) -> FloatArray:
        """Return AP and the ends of its 95 % interval (3, S) at so many images (S,), to be drawn."""
        values = self.values(np.asarray(n_images, float))
        return np.stack([values[0], *np.quantile(values[1:], ENDS, axis=0)])

    def ap_at(self, n_images: float) -> Estimate:
        """Return AP with so many training images; refused beyond four times the largest size measured."""
        return self._estimate(n_images, self.values(np.array([n_images], float))[:, 0])

    def slope_at(self, n_images: float) -> Estimate:
        """Return how fast the error falls over n^-.5, in AP: by so much times 1 - 2^-.5 if twice the images were had.

        Source:
            Hoiem et al. 2021, beta_N, with the exponent -.5 whose slope it is.
        """
        _, b, c = self.parameters.T
        return self._estimate(n_images, -2 * b * c * n_images**c)

    def _estimate(self, n_images: float, values: FloatArray) -> Estimate:
        reason = self.reason or beyond(n_images, self.largest)
        if reason is not None:
            return Estimate(None, None, reason)
        return estimate_of(values)

    def as_dict(self) -> dict[str, Any]:
        """Return what `study.json` holds: the draws are left out."""
        return {
            "arm": self.arm,
            "sizes": self.sizes.tolist(),
            "a": self.a,
            "b": self.b,
            "c": self.c,
            "misfit_p": self.misfit_p,
            "draws": len(self.draws),
            "reason": self.reason,
        }


def estimate_of(values: FloatArray) -> Estimate:
    """Return a number with its percentile interval from (1 + B,) the number and its draws."""
    low, high = (float(end) for end in np.quantile(values[1:], ENDS))
    value = float(values[0])
    return Estimate(value, (min(low, value), max(high, value)))


def beyond(n_images: float, largest: float) -> str | None:
    """Say why a curve is not read so far out; None where it is."""
    if n_images <= FARTHEST * largest:
        return None
    return f"{n_images:.0f} images are beyond {FARTHEST} x the {largest:.0f} measured, where curves are not reliable"


def fit_curve(
    scores: ArmScores, *, n_draws: int = N_DRAWS, seed: int = 0, prior: float = 0.0, variances: FloatArray | None = None
) -> LearningCurve:
    """Fit the learning curve of an arm.

    Args:
        scores: Its runs; at least three sizes, one of them with two runs.
        n_draws: Draws of the bootstrap.
        seed: Of the draws.
        prior: What a step of 1 of the exponent away from -.5 adds to the weighted squares. The authors take 5; with
            three sizes that pulls intervals off curves with other exponents, so nothing is added by default.
        variances: (S,) of a run at each size, where they are known otherwise; for the weights alone.
    """
    measured, scores = scores, _that_learned(scores)
    sizes = scores.sizes.astype(float)
    if len(sizes) < FEWEST_SIZES:
        n = len(measured.sizes)
        learned = "" if len(sizes) == n else f", {len(sizes)} of them with an AP of at least {LEAST_AP:g}"
        why = f"{n} {'size was' if n == 1 else 'sizes were'} measured{learned}; a learning curve needs {FEWEST_SIZES}"
        return _none(measured, why)
    noise = fit_noise(scores)
    if noise is None:
        return _none(measured, "no size has two runs, so the noise is not known")
    weights = 1 / (noise.variances if variances is None else variances)
    errors = np.array([1 - scores.at(int(size)).mean() for size in sizes])
    fitted = least_squares(sizes, errors[None], weights, prior)
    a, b, c = fitted[0]
    curve = a + b * sizes**c
    misfit = float((noise.counts / noise.variances * (errors - curve) ** 2).sum())
    # what stands at a bound is not fitted to the points
    at_bounds = 2 if b == 0 else int(a == 0) + int(c in (_EXPONENTS[0], _EXPONENTS[-1]))
    p, scale = _misfit(misfit, len(sizes) - FEWEST_SIZES + at_bounds, noise.degrees)
    repeated = curve + scale * noise.draw(n_draws, np.random.default_rng(seed))
    draws = least_squares(sizes, repeated, weights, prior)
    return LearningCurve(scores.arm, sizes, float(a), float(b), float(c), p, errors, noise.variances, draws)


def _that_learned(scores: ArmScores) -> ArmScores:
    """Leave out the sizes at which the arm has learned nothing yet: the power law begins after them."""
    learned = [size for size in scores.sizes.tolist() if scores.at(size).mean() >= LEAST_AP]
    rows = np.isin(scores.n_images, learned)
    splits = None if scores.splits is None else scores.splits[rows]
    return ArmScores(scores.arm, scores.n_images[rows], scores.seeds[rows], scores.ap[rows], splits)


def _none(scores: ArmScores, reason: str) -> LearningCurve:
    return LearningCurve(scores.arm, scores.sizes.astype(float), None, None, None, reason=reason)


def _misfit(square: float, degrees: int, noise_degrees: int) -> tuple[float | None, float]:
    """Return p of a misfit, and by how much the noise must grow for it to be likely."""
    from scipy.special import fdtrc  # type: ignore[import-untyped]

    if degrees < 1:
        return None, 1.0
    p = float(fdtrc(degrees, noise_degrees, square / degrees))
    return p, 1.0 if p >= ENDS[0] * 2 else float(np.sqrt(square / degrees))


def least_squares(sizes: FloatArray, errors: FloatArray, weights: FloatArray, prior: float = 0.0) -> FloatArray:
    """Fit a + b n^c to errors.

    Args:
        sizes: (S,) or (B, S) images.
        errors: (B, S) of each fit.
        weights: (S,) or (B, S) of each point.
        prior: See `fit_curve`.

    Returns:
        (B, 3) a, b and c.
    """
    power = sizes[..., None, :] ** _EXPONENTS[:, None]  # (..., C, S)
    total = weights.sum(axis=-1)[..., None]
    w = np.broadcast_to(weights, errors.shape)
    x, xx = _sums(power, weights), _sums(power**2, weights)
    y, yy = (w * errors).sum(axis=-1)[:, None], (w * errors**2).sum(axis=-1)[:, None]
    xy = (w * errors) @ power.T if power.ndim == 2 else np.einsum("bcs,bs->bc", power, w * errors)
    b = (total * xy - x * y) / (total * xx - x**2)
    a = (y - b * x) / total
    # at a bound the other coefficient is that of one column alone
    b = np.where(a < 0, xy / xx, b)
    a = np.maximum(a, 0.0)
    a, b = np.where(b < 0, y / total, a), np.maximum(b, 0.0)
    square = yy - 2 * a * y - 2 * b * xy + a**2 * total + 2 * a * b * x + b**2 * xx
    best = np.argmin(square + prior * abs(_EXPONENTS - _CENTRE), axis=1)[:, None]
    ends = [np.take_along_axis(v, best, axis=1)[:, 0] for v in (a, b)]
    return np.stack([*ends, _EXPONENTS[best[:, 0]]], axis=1)


def _sums(power: FloatArray, weights: FloatArray) -> FloatArray:
    """Return (..., C) the weighted sums over sizes."""
    return np.asarray((power * weights[..., None, :]).sum(axis=-1))
