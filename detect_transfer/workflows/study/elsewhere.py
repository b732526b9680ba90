"""Finished runs of a study on other data: what they forgot of the source task, and what they are worth elsewhere.

Only runs of the largest size are scored. What was scored is kept beside the runs and is done again where the run, the
data or the question changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detect_transfer.core.io import sha256_file
from detect_transfer.core.sealed import read_kept, write_sealed
from detect_transfer.evaluation.study.cross_domain import DomainCell, DomainRun, cross_domain
from detect_transfer.evaluation.study.forgetting import ForgettingCurve, Interpolated, forgetting_curve
from detect_transfer.workflows.study.other_data import OWN, read_other_data
from detect_transfer.workflows.study.other_scores import OtherScorer
from detect_transfer.workflows.study.plan import PlannedRun, StudyPlan
from detect_transfer.workflows.study.runs import FinishedRun


@dataclass(frozen=True)
class Elsewhere:
    """What runs scored on other data.

    Args:
        forgetting: Arms that keep classes of the source, and AP on both tasks between source and tuned weights.
        matrix: Arms, and AP on each data set with the gain on the baseline.
        notes: What was not scored and why, a sentence each.
    """

    forgetting: tuple[tuple[str, ForgettingCurve], ...] = ()
    matrix: tuple[tuple[str, DomainCell], ...] = ()
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return what `study.json` holds."""
        return {
            "forgetting": [{"arm": arm, **curve.as_dict()} for arm, curve in self.forgetting],
            "matrix": [{"arm": arm, **cell.as_dict()} for arm, cell in self.matrix],
        }


def score_elsewhere(
    plan: StudyPlan,
    finished: Sequence[FinishedRun],
    *,
    again: bool = False,
    on_stage: Callable[[str], None] = lambda _: None,
) -> Elsewhere:
    """Score the finished runs of the largest size on the other data that a study names.

    Args:
        plan: The study.
        finished: Its finished runs.
        again: Do not take what was scored before.
        on_stage: Called with what begins now, in words.

    Raises:
        InputError: Other data cannot be read, a class map names a class that is not there, or a run was changed.
    """
    study = plan.config.study
    if study.forgetting is None and not study.matrix:
        return Elsewhere()
    scorer = OtherScorer(plan, *read_other_data(study))
    question = scorer.question()
    runs = [run.plan for run in finished if run.plan.percent == max(study.sizes) and run.plan.arm in study.arms]
    scores: dict[str, dict[str, Any]] = {}
    for number, run in enumerate(runs, start=1):
        path = plan.folder.elsewhere(run.key)
        of = [question, sha256_file(plan.folder.run(run.key).manifest)]  # which has the hash of the weights
        stored = {} if again else read_kept(path)
        if stored.get("of") != of:
            on_stage(f"[{number} of {len(runs)}] other data: {run.words}")
            stored = {"of": of, "scores": scorer.scores(run)}
            write_sealed(path, stored)
        scores[run.key] = stored["scores"]
    matrix = _matrix(plan, [run for run in finished if run.plan.key in scores], scores) if study.matrix else ()
    return Elsewhere(_curves(plan, runs, scores), matrix, _notes(plan, scorer, runs))


def _notes(plan: StudyPlan, scorer: OtherScorer, runs: Sequence[PlannedRun]) -> tuple[str, ...]:
    """Say which arms keep no class that the source task has."""
    if scorer.source_task is None:
        return ()
    lacking = [arm for arm in dict.fromkeys(run.arm for run in runs) if not scorer.kept_classes(_first(runs, arm))]
    if not lacking:
        return ()
    what = "keeps no class" if len(lacking) == 1 else "keep no class"
    return (f"What it forgot cannot be said of {', '.join(lacking)}, which {what} of the source task.",)


def _first(runs: Sequence[PlannedRun], arm: str) -> PlannedRun:
    return next(run for run in runs if run.arm == arm)


def _curves(
    plan: StudyPlan, runs: Sequence[PlannedRun], scores: Mapping[str, dict[str, Any]]
) -> tuple[tuple[str, ForgettingCurve], ...]:
    """Return the curve of each arm that keeps classes."""
    curves = []
    for arm in plan.config.study.arms:
        of_arm = []
        for run in runs:
            rows = scores[run.key].get("forgetting") if run.arm == arm else None
            if rows is not None and all(value is not None for row in rows for value in row):
                coefficients, new, kept = np.array(rows, float).T
                of_arm.append(Interpolated(run.seed, coefficients, new, kept))
        if of_arm:
            curves.append((arm, forgetting_curve(of_arm)))
    return tuple(curves)


def _matrix(
    plan: StudyPlan, finished: Sequence[FinishedRun], scores: Mapping[str, dict[str, Any]]
) -> tuple[tuple[str, DomainCell], ...]:
    """Return the cells of each arm: its own test images first, then the other data."""
    own = "the data of the study"
    by_arm: dict[str, list[DomainRun]] = {}
    for run in finished:
        of_arm, seed = by_arm.setdefault(run.plan.arm, []), run.plan.seed
        of_arm.append(DomainRun(own, OWN, seed, run.facts["test"]["AP"], run.draws))
        for name, stored in scores[run.plan.key]["matrix"].items():
            draws = None if stored is None else np.array(stored, float)
            of_arm.append(DomainRun(own, name, seed, None if stored is None else stored[0], draws))
    baseline = by_arm.get(plan.config.study.compared_with, [])
    order = {name: i for i, name in enumerate((OWN, *plan.config.study.matrix))}
    cells = []
    for arm in (arm for arm in plan.config.study.arms if arm in by_arm):
        cells_of_arm = cross_domain(
            [] if arm == plan.config.study.compared_with else baseline, by_arm[arm], margin=plan.config.study.margin
        )
        cells += [(arm, cell) for cell in sorted(cells_of_arm, key=lambda cell: order[cell.tested_on])]
    return tuple(cells)
