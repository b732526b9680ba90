"""How long training may go on, shared out over the phases of a plan."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast

from detect_transfer.training.context import TrainContext


@dataclass(frozen=True)
class Deadline:
    """The time of one phase.

    Args:
        begin: When it began, on the monotonic clock in seconds.
        end: When its last step must be done; inf where there is no budget.
    """

    begin: float = 0.0
    end: float = math.inf

    def share(self, accelerator: Accelerator) -> float:
        """Return how much of the time has passed, in [0, 1], by the clock of the main process; 0 without a budget."""
        if math.isinf(self.end) or accelerator.num_processes == 1:
            return self.passed()
        tensor = torch.tensor(self.passed(), dtype=torch.float64, device=accelerator.device)
        return float(broadcast(tensor))

    def passed(self) -> float:
        """Return the same by the clock of this process."""
        if math.isinf(self.end):
            return 0.0
        share = (time.monotonic() - self.begin) / max(self.end - self.begin, 1e-9)
        return min(1.0, max(0.0, share))


def seconds_left(context: TrainContext) -> float:
    """Return what the budget of a run leaves, so that averages of weights can be scored within it; inf without one."""
    progress = context.progress
    return context.budget_seconds - progress.seconds - context.mixes.most * progress.score_seconds


def deadline_of(seconds_left: float, epochs: int, epochs_left: int, score_seconds: float) -> Deadline:
    """Return the deadline of a phase that begins now.

    Args:
        seconds_left: Of the budget; inf without one.
        epochs: Of the phase.
        epochs_left: Of this phase and all after it; the phase has its share of the time, later ones what it leaves.
        score_seconds: What scoring after the last step takes.
    """
    now = time.monotonic()
    return Deadline(now, now + seconds_left * epochs / max(epochs_left, 1) - score_seconds)
