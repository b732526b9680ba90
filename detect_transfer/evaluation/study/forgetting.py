"""What a transfer forgot: AP on the new task against AP on the source task, from the source to the tuned weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detect_transfer.core.arrays import FloatArray
from detect_transfer.core.errors import InputError
from detect_transfer.evaluation.study.histories import mean_by_t
from detect_transfer.evaluation.study.scores import Estimate

ALLOWED_LOSS = 0.005


@dataclass(frozen=True)
class Interpolated:
    """The weights between source and tuned of one run, scored on both tasks.

    Args:
        seed: Of the run.
        coefficients: (C,) in order: 0 is the source, 1 the tuned weights.
        new_ap: (C,) AP on the new task.
        kept_ap: (C,) AP on the source task.

    Raises:
        InputError: The columns have other lengths, or the coefficients do not rise from 0.
    """

    seed: int
    coefficients: FloatArray
    new_ap: FloatArray
    kept_ap: FloatArray

    def __post_init__(self) -> None:
        same = len(self.coefficients) == len(self.new_ap) == len(self.kept_ap) > 0
        if not same or self.coefficients[0] != 0 or (np.diff(self.coefficients) <= 0).any():
            raise InputError(
                "STUDY_COEFFICIENTS",
                "both AP are needed at coefficients that rise from 0, the source",
                field=f"seed {self.seed}",
                value=self.coefficients.tolist(),
                remedy="score the source too, and give one entry a coefficient",
            )


@dataclass(frozen=True)
class ForgettingPoint:
    """One coefficient.

    Args:
        coefficient: 0 is the source, 1 the tuned weights.
        new_ap: AP on the new task, mean over the runs.
        kept_ap: AP on the source task, likewise.
        gained: AP on the new task above that of the source.
        forgotten: AP on the source task below that of the source.
        n_runs: How many runs have it.
    """

    coefficient: float
    new_ap: Estimate
    kept_ap: Estimate
    gained: Estimate
    forgotten: Estimate
    n_runs: int

    def as_dict(self) -> dict[str, Any]:
        """Return what `study.json` holds."""
        numbers = {name: getattr(self, name).as_dict() for name in ("new_ap", "kept_ap", "gained", "forgotten")}
        return {"coefficient": self.coefficient, **numbers, "n_runs": self.n_runs}


@dataclass(frozen=True)
class ForgettingCurve:
    """All coefficients.

    Args:
        points: In order of the coefficient.
        allowed_loss: AP on the source task that may be lost.
        chosen: The coefficient with the best AP on the new task among those that lose no more on average; None without
            points. Chosen on these images: choose on val, read the numbers on test.
    """

    points: tuple[ForgettingPoint, ...]
    allowed_loss: float
    chosen: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return what `study.json` holds."""
        points = [point.as_dict() for point in self.points]
        return {"points": points, "allowed_loss": self.allowed_loss, "chosen": self.chosen}


def forgetting_curve(runs: Sequence[Interpolated], *, allowed_loss: float = ALLOWED_LOSS) -> ForgettingCurve:
    """Return new AP against kept AP over the coefficients of all runs, with intervals by Student's t over the runs.

    Source:
        Wortsman et al., Robust Fine-tuning of Zero-shot Models, 2022.
    """
    coefficients = np.unique(np.concatenate([run.coefficients for run in runs])) if runs else np.empty(0)
    points = tuple(_point(runs, float(coefficient)) for coefficient in coefficients)
    allowed = [p for p in points if (p.forgotten.value or 0.0) <= allowed_loss]
    chosen = max(allowed, key=lambda p: p.new_ap.value or 0.0).coefficient if allowed else None
    return ForgettingCurve(points, allowed_loss, chosen)


def _point(runs: Sequence[Interpolated], coefficient: float) -> ForgettingPoint:
    rows = []
    for run in runs:
        for i in np.flatnonzero(run.coefficients == coefficient):
            new, kept = run.new_ap[i], run.kept_ap[i]
            rows.append((new, kept, new - run.new_ap[0], run.kept_ap[0] - kept))
    new_ap, kept_ap, gained, forgotten = (mean_by_t(column) for column in np.array(rows).T)
    return ForgettingPoint(coefficient, new_ap.cut(0.0, 1.0), kept_ap.cut(0.0, 1.0), gained, forgotten, len(rows))
