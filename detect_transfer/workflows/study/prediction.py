"""Was the prediction right: did the classes gain most that the source seemed to know best?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detect_transfer.evaluation.study.agreement import Agreement, agreement
from detect_transfer.workflows.study.plan import StudyPlan
from detect_transfer.workflows.study.runs import FinishedRun


def predictions(plan: StudyPlan, finished: Sequence[FinishedRun]) -> tuple[tuple[str, Agreement], ...]:
    """Compare, for each arm that asked the source, its score of each class with what the class gained on the baseline.

    The gain of a class is the mean over the pairs of runs, of all sizes, that have test objects of it.
    """
    baseline = plan.config.study.compared_with
    partners = {_pair(run): run for run in finished if run.plan.arm == baseline}
    rows = []
    for arm in plan.config.study.arms:
        runs = [run for run in finished if run.plan.arm == arm and run.facts["class_evidence"]]
        pairs = [(partners[_pair(run)], run) for run in runs if _pair(run) in partners]
        if arm == baseline or not pairs:
            continue
        scores: dict[str, list[float]] = {}
        gains: dict[str, list[float]] = {}
        for first, second in pairs:
            for name, score in second.facts["class_evidence"].items():
                before, after = (run.facts["class_ap"].get(name) for run in (first, second))
                if before is not None and after is not None:
                    scores.setdefault(name, []).append(score)
                    gains.setdefault(name, []).append(after - before)
        predicted, measured = (np.array([np.mean(of[name]) for name in gains]) for of in (scores, gains))
        rows.append((arm, agreement(predicted, measured)))
    return tuple(rows)


def _pair(run: FinishedRun) -> tuple[float, int | None, int]:
    return run.plan.percent, run.plan.fold, run.plan.seed
