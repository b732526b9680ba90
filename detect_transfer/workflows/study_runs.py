"""The runs of a study on the disk: which are done, which failed, and what the report needs of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from detect_transfer.core.arrays import FloatArray
from detect_transfer.workflows.study_folder import StudyFolder
from detect_transfer.workflows.study_plan import PlannedRun, StudyPlan

State = Literal["done", "failed", "begun", "planned"]
N_DRAWS = 400  # of the test images; enough for a variance, and small on the disk
_VERSION = 1
_SCORES = ("AP", "AP50", "AP75", "AR100")


@dataclass(frozen=True)
class FinishedRun:
    """What the report needs of a finished run.

    Args:
        plan: What was planned.
        facts: Its scores, times and versions.
        draws: (1 + B,) AP on the test images as they are, then on B draws of them.
    """

    plan: PlannedRun
    facts: dict[str, Any]
    draws: FloatArray


def state_of(folder: StudyFolder, key: str) -> State:
    """Return how far a run is; a failed one stands as failed until it is tried again."""
    run = folder.run(key)
    if run.manifest.is_file():
        return "done"
    if folder.failure(key).is_file():
        return "failed"
    return "begun" if run.path.is_dir() else "planned"


def finished_seconds(plan: StudyPlan) -> dict[str, float]:
    """Return the seconds of each finished run of a plan, by its key."""
    seconds = {}
    names = set() if not plan.folder.runs.is_dir() else {path.name for path in plan.folder.runs.iterdir()}
    for run in plan.runs:
        if run.key in names and state_of(plan.folder, run.key) == "done":
            seconds[run.key] = float(
                sum(row.get("epoch_seconds", 0.0) for row in plan.folder.run(run.key).read_history())
            )
    return seconds
