"""When a phase ends before its last epoch."""

from __future__ import annotations

from typing import Literal

from detect_transfer.core.counted import counted
from detect_transfer.training.checkpoint import Progress
from detect_transfer.training.context import TrainContext
from detect_transfer.training.plan import PlannedPhase

After = Literal["next", "stop"]


def ended(context: TrainContext, phase: PlannedPhase) -> After | None:
    """Tell whether a phase is to end with the epoch that is over, and what comes then."""
    progress, row = context.progress, context.progress.history[-1]
    reached = [row[name] is not None and row[name] >= value for name, value in (phase.until or {}).items()]
    if reached and all(reached):
        context.on_stage(f"phase {phase.number}: good enough after epoch {progress.epoch}")
        return phase.on_until
    without = min(_epochs_without_better(progress), progress.phase_epoch)
    if context.settings.patience is not None and without >= context.settings.patience:
        another_start = any(later.start != "previous" for later in context.plan.phases[phase.number :])
        ending = "this plan" if another_start else "training"
        context.on_stage(f"{counted(without, 'epoch')} without a better AP: {ending} ends")
        return "next" if another_start else "stop"
    if phase.patience is not None and without >= phase.patience:
        context.on_stage(f"phase {phase.number}: {counted(phase.patience, 'epoch')} without a better AP")
        return "next"
    return None


def _epochs_without_better(progress: Progress) -> int:
    """Return the epochs since the best one after the network last began again: an earlier plan is no measure."""
    aps = [-1.0 if row["AP"] is None else row["AP"] for row in progress.history if row["epoch"] > progress.course_start]
    return len(aps) - 1 - max(range(len(aps)), key=lambda i: (aps[i], -i))
