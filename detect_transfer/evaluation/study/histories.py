"""What happened while the runs of an arm were trained: time to an AP, and how far training AP runs ahead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from detect_transfer.core.arrays import FloatArray
from detect_transfer.core.errors import InputError
from detect_transfer.evaluation.coco.bootstrap import LEVEL
from detect_transfer.evaluation.study.scores import Estimate

Axis = Literal["seconds", "images_seen"]
_UNITS: dict[Axis, str] = {"seconds": "s", "images_seen": "images"}


@dataclass(frozen=True)
class History:
    """One run, evaluated E times.

    Args:
        seed: Its seed; runs of two arms with the same seed and fold are a pair.
        seconds: (E,) wall time since the start; entry 0 is epoch 0, the source before any training.
        images_seen: (E,) training images seen by then.
        ap: (E,) validation AP, in [0, 1].
        train_ap: (E,) AP on clean training images; NaN where it was not measured; None where it never was.
        fold: Its fold; 0 without folds.

    Raises:
        InputError: The columns have other lengths, or time runs back.
    """

    seed: int
    seconds: FloatArray
    images_seen: FloatArray
    ap: FloatArray
    train_ap: FloatArray | None = None
    fold: int = 0

    def __post_init__(self) -> None:
        columns = [self.seconds, self.images_seen, self.ap, *([] if self.train_ap is None else [self.train_ap])]
        lengths = sorted({len(column) for column in columns})
        if len(lengths) > 1 or lengths[0] == 0:
            raise self._error("its columns have several lengths or none", lengths)
        if (np.diff(self.seconds) < 0).any() or (np.diff(self.images_seen) < 0).any():
            raise self._error("its time or its images run back")

    def _error(self, what: str, value: object = ...) -> InputError:
        return InputError(
            "STUDY_HISTORY", what, field=f"seed {self.seed}", value=value, remedy="give one entry an evaluation"
        )


@dataclass(frozen=True)
class TimeToAp:
    """When the runs of an arm first had an AP, at the end of an epoch; epoch 0 counts.

    Args:
        target: The AP.
        axis: What is counted.
        per_seed: Seed and when, or None where the run ended before.
        median: Over the runs, those that ended before counted as never; None where that is never.
        estimate: Mean over the runs with its interval by Student's t; None where a run ended before.
    """

    target: float
    axis: Axis
    per_seed: tuple[tuple[int, float | None], ...]
    median: float | None
    estimate: Estimate

    @property
    def n_reached(self) -> int:
        """Return how many runs had the AP."""
        return sum(at is not None for _, at in self.per_seed)

    @property
    def n_runs(self) -> int:
        """Return how many runs there are."""
        return len(self.per_seed)

    def as_dict(self) -> dict[str, Any]:
        """Return what `study.json` holds."""
        counts = {"n_reached": self.n_reached, "n_runs": self.n_runs}
        return {**asdict(self), **counts, "estimate": self.estimate.as_dict()}


def time_to_ap(histories: Sequence[History], ap: float, axis: Axis = "seconds") -> TimeToAp:
    """Return when the runs of an arm first had an AP."""
    at = [_first(history, ap, axis) for history in histories]
    per_seed = tuple((h.seed, None if np.isinf(t) else t) for h, t in zip(histories, at, strict=True))
    median = float(np.quantile(at, 0.5, method="inverted_cdf")) if at else np.inf
    return TimeToAp(ap, axis, per_seed, None if np.isinf(median) else median, _mean_time(histories, at, ap, axis))


def _mean_time(histories: Sequence[History], at: Sequence[float], ap: float, axis: Axis) -> Estimate:
    if not histories:
        return Estimate(None, None, "no run")
    never = [history for history, t in zip(histories, at, strict=True) if np.isinf(t)]
    if never:
        last = max(float(getattr(h, axis)[-1]) for h in never)
        best = max(float(np.max(h.ap)) for h in never)
        return Estimate(
            None,
            None,
            f"{len(never)} of {len(histories)} runs did not reach AP {ap:.3f} within {last:.0f} {_UNITS[axis]} "
            f"(at best {best:.3f})",
        )
    return mean_by_t(np.array(at)).cut(0.0, np.inf)


def time_ratio(first: Sequence[History], second: Sequence[History], ap: float, axis: Axis = "seconds") -> Estimate:
    """Return how long the second arm takes to an AP over how long the first takes, by Student's t over log ratios.

    Runs are paired by seed. There is no ratio where a run of a pair ended before, or had the AP before training.
    """
    times = [{(h.seed, h.fold): _first(h, ap, axis) for h in arm} for arm in (first, second)]
    common = sorted(times[0].keys() & times[1].keys())
    if not common:
        return Estimate(None, None, "no seed has a run of both arms")
    pairs = np.array([[times[0][run], times[1][run]] for run in common])
    names = ("first", "second")
    for what, wrong in (("did not reach", np.isinf(pairs)), ("had before training", pairs <= 0)):
        arms = [name for name, column in zip(names, wrong.T, strict=True) if column.any()]
        if arms:
            runs = " and of the ".join(f"{name} arm" for name in arms)
            return Estimate(None, None, f"{int(wrong.sum())} runs of the {runs} {what} AP {ap:.3f}")
    mean = mean_by_t(np.log(pairs[:, 1] / pairs[:, 0]))
    ends = None if mean.interval is None else (float(np.exp(mean.interval[0])), float(np.exp(mean.interval[1])))
    return Estimate(None if mean.value is None else float(np.exp(mean.value)), ends, mean.reason)


def _first(history: History, ap: float, axis: Axis) -> float:
    """Return when a run first had an AP; infinite for never."""
    reached = np.flatnonzero(history.ap >= ap)
    return float(getattr(history, axis)[reached[0]]) if len(reached) else np.inf


def mean_by_t(values: FloatArray, overlap: float = 0.0) -> Estimate:
    """Return the mean of (R,) runs or folds with its interval by Student's t; no interval of one.

    Args:
        values: Of each run, or the mean of each fold.
        overlap: As for `judge`.
    """
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    mean = float(values.mean())
    if len(values) == 1:
        return Estimate(mean, None, "one run says nothing about other seeds")
    error = values.std(ddof=1) * np.sqrt(1 / len(values) + overlap)
    reach = float(stdtrit(len(values) - 1, (1 + LEVEL) / 2) * error)
    return Estimate(mean, (mean - reach, mean + reach))


@dataclass(frozen=True)
class GapCurve:
    """How far AP on clean training images runs ahead of validation AP: overfitting.

    Args:
        images_seen: (E,) training images seen.
        gap: (E,) mean over the runs of training AP less validation AP.
        low: (E,) low end of its interval by Student's t, at each point by itself; NaN with one run.
        high: (E,) its high end.
        final: The last gap of each run, as a mean with its interval.
        n_runs: How many runs had it measured.
    """

    images_seen: FloatArray
    gap: FloatArray
    low: FloatArray
    high: FloatArray
    final: Estimate
    n_runs: int

    def as_dict(self) -> dict[str, Any]:
        """Return what `study.json` holds."""
        columns = {name: _numbers(getattr(self, name)) for name in ("images_seen", "gap", "low", "high")}
        return {**columns, "final": self.final.as_dict(), "n_runs": self.n_runs}


def _numbers(column: FloatArray) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in column.tolist()]


def overfitting(histories: Sequence[History]) -> GapCurve:
    """Return the gap over the images seen, where all runs have it; between evaluations it is drawn straight."""
    gaps = [gap for gap in map(_gap, histories) if gap is not None]
    if not gaps:
        nothing = np.empty(0)
        return GapCurve(nothing, nothing, nothing, nothing, Estimate(None, None, "no training AP was measured"), 0)
    start, end = max(seen[0] for seen, _ in gaps), min(seen[-1] for seen, _ in gaps)
    grid = np.unique(np.concatenate([seen for seen, _ in gaps]))
    grid = grid[(grid >= start) & (grid <= end)]
    rows = np.stack([np.interp(grid, seen, gap) for seen, gap in gaps])
    points = [mean_by_t(column) for column in rows.T]
    ends = np.array([p.interval or (np.nan, np.nan) for p in points]).reshape(-1, 2)
    final = mean_by_t(np.array([gap[-1] for _, gap in gaps]))
    return GapCurve(grid, rows.mean(axis=0), ends[:, 0], ends[:, 1], final, len(gaps))


def _gap(history: History) -> tuple[FloatArray, FloatArray] | None:
    """Return images seen and gap of a run where it was measured."""
    if history.train_ap is None:
        return None
    gap = history.train_ap - history.ap
    measured = np.isfinite(gap)
    return (history.images_seen[measured], gap[measured]) if measured.any() else None
