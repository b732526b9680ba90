"""What the processes of a run tell each other at every step, beside their losses, so that all stop at the same one."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from detect_transfer.training.context import TrainContext
from detect_transfer.training.time_budget import Deadline


class Notices:
    """Who was asked to stop, and how much of the time has passed by the clock of the main process.

    They ride on the sum of the losses: each exchange of its own would let the host wait for the device once more.

    Args:
        context: Its processes and its stop.
        deadline: Of the phase.
    """

    def __init__(self, context: TrainContext, deadline: Deadline) -> None:
        self._context = context
        self._deadline = deadline
        self._shared = context.accelerator.num_processes > 1
        self._passed = deadline.share(context.accelerator) if self._shared else 0.0
        self._signal: int | None = None

    @property
    def passed(self) -> float:
        """How much of the time has passed, in [0, 1]; with several processes as of the last step."""
        return self._passed if self._shared else self._deadline.share(self._context.accelerator)

    @property
    def signal(self) -> int | None:
        """The signal that asked any of the processes to stop before the last sum of losses; None without."""
        return self._signal if self._shared else self._context.stop.signal

    def own(self) -> torch.Tensor:
        """Return what the sums over all processes are told by: a signal for each, and the time; (0,) of one process."""
        accelerator = self._context.accelerator
        if not self._shared:
            return torch.empty(0, device=accelerator.device)
        numbers = torch.zeros(accelerator.num_processes + 1, device=accelerator.device)
        numbers[accelerator.process_index] = float(self._context.stop.signal or 0)  # filled in without a copy
        if accelerator.is_main_process:
            numbers[-1] = self._deadline.passed()
        return numbers

    def take(self, summed: Sequence[float]) -> None:
        """Note the sums of `own` over all processes."""
        if self._shared:
            *signals, self._passed = summed
            self._signal = int(max(signals)) or None
            self._context.stop.signal = self._signal or self._context.stop.signal
