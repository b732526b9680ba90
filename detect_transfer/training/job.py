"""What the training loop works with, and how it is told to stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import nn

from detect_transfer.config import Train
from detect_transfer.models.detector import Detector
from detect_transfer.models.device import Precision
from detect_transfer.training.data import EpochBatches
from detect_transfer.training.plan import Plan
from detect_transfer.training.state import Progress

Score = Callable[[nn.Module], dict[str, float | None]]  # scores a network: at least AP, AP50 and AP75


@dataclass
class Stop:
    """Set from outside to end training at the next step; `signal` is the number of what asked for it."""

    signal: int | None = None


class Interrupted(Exception):
    """Training was asked to stop; the state of the last whole epoch is kept.

    Args:
        signal_number: What asked for it.
        folder: The run folder.
    """

    def __init__(self, signal_number: int, folder: Path) -> None:
        super().__init__(f"stopped by signal {signal_number}; go on with: python tools/train.py --resume {folder}")
        self.signal_number = signal_number


@dataclass
class Job:
    """All that the loop works with.

    Args:
        detector: The network, on its device.
        plan: What trains when.
        loader: Gives batches; `batches.epoch` chooses the epoch.
        batches: The sampler of the loader.
        settings: The train part of the config.
        precision: The arithmetic of the network.
        score: Scores a network.
        folder: The run folder.
        fingerprint: Of data and config, kept with the state.
        progress: How far it is.
        stop: Asks it to end.
        accelerator: Devices and processes.
        on_step: Told epoch, step, steps and loss after each step.
        on_epoch: Told the row of each epoch.
    """

    detector: Detector
    plan: Plan
    loader: Any
    batches: EpochBatches
    settings: Train
    precision: Precision
    score: Score
    folder: Path
    fingerprint: str
    accelerator: Accelerator
    progress: Progress = field(default_factory=Progress)
    stop: Stop = field(default_factory=Stop)
    on_step: Callable[[int, int, int, float], None] = lambda *_: None
    on_epoch: Callable[[dict[str, Any]], None] = lambda _: None
    save_weights: Callable[[str, nn.Module], None] = lambda *_: None
