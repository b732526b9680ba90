"""Train on one data set, test on the others: AP in each, and what the second arm has more than the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detect_transfer.core.arrays import FloatArray
from detect_transfer.evaluation.comparison import MARGIN
from detect_transfer.evaluation.study.histories import mean_by_t
from detect_transfer.evaluation.study.runs import variance_of_draws
from detect_transfer.evaluation.study.scores import Estimate
from detect_transfer.evaluation.study.verdict import ArmVerdict, judge_pairs


@dataclass(frozen=True)
class DomainRun:
    """One run, scored on one data set.

    Args:
        trained_on: The data set that it was trained on.
        tested_on: The one that it was scored on, with its classes mapped.
        seed: Of the run.
        ap: In [0, 1], on the classes that both have; None where they have none in common.
        draws: (1 + B,) AP on the images as they are, then on B draws of them that are the same for all runs; None
            where they were not drawn.
    """

    trained_on: str
    tested_on: str
    seed: int
    ap: float | None
    draws: FloatArray | None = None


@dataclass(frozen=True)
class DomainCell:
    """One pair of data sets.

    Args:
        trained_on: The data set of the training.
        tested_on: That of the test.
        ap: Mean AP of the second arm over its seeds.
        gain: What the second arm has more than the first, by pairs of seeds, for other images too where they were
            drawn, corrected for the number of cells; None where there is nothing to compare.
    """

    trained_on: str
    tested_on: str
    ap: Estimate
    gain: ArmVerdict | None

    def as_dict(self) -> dict[str, Any]:
        """Return what `study.json` holds."""
        gain = None if self.gain is None else self.gain.as_dict()
        return {"trained_on": self.trained_on, "tested_on": self.tested_on, "ap": self.ap.as_dict(), "gain": gain}


def cross_domain(
    first: Sequence[DomainRun], second: Sequence[DomainRun], *, margin: float = MARGIN
) -> tuple[DomainCell, ...]:
    """Return a cell for each pair of data sets that the second arm has, in order of names.

    Args:
        first: The runs of the arm that is compared with, such as from scratch.
        second: Those of the arm that is judged.
        margin: Differences up to this are of no interest.
    """
    cells = [_by_cell(runs) for runs in (first, second)]
    pairs = {key: _pairs(cells[0].get(key, {}), cells[1][key]) for key in sorted(cells[1])}
    judged = [key for key, of_cell in pairs.items() if of_cell]
    ap = [np.array([(a.ap, b.ap) for a, b in pairs[key]], float) for key in judged]
    variances = [_image_variance(pairs[key]) for key in judged]
    gains = dict(zip(judged, judge_pairs(ap, margin=margin, image_variances=variances), strict=True))
    return tuple(DomainCell(*key, _mean(cells[1][key]), gains.get(key)) for key in pairs)


def _by_cell(runs: Sequence[DomainRun]) -> dict[tuple[str, str], dict[int, DomainRun]]:
    """Return the runs by data sets and seed; a cell without common classes is empty."""
    cells: dict[tuple[str, str], dict[int, DomainRun]] = {}
    for run in runs:
        cell = cells.setdefault((run.trained_on, run.tested_on), {})
        if run.ap is not None:
            cell[run.seed] = run
    return cells


def _pairs(first: dict[int, DomainRun], second: dict[int, DomainRun]) -> list[tuple[DomainRun, DomainRun]]:
    return [(first[seed], second[seed]) for seed in sorted(first.keys() & second.keys())]


def _image_variance(pairs: Sequence[tuple[DomainRun, DomainRun]]) -> float:
    """Return the variance of the mean difference over images; 0 where a run has no draws of them."""
    apart = [b.draws - a.draws for a, b in pairs if a.draws is not None and b.draws is not None]
    return variance_of_draws(np.mean(apart, axis=0)) if len(apart) == len(pairs) else 0.0


def _mean(runs: dict[int, DomainRun]) -> Estimate:
    ap = np.array([run.ap for run in runs.values()], float)
    return mean_by_t(ap).cut(0.0, 1.0) if len(ap) else Estimate(None, None, "no class in common")
