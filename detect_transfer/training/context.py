"""What the training loop works with, and how it is stopped."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from detect_transfer.config import Stage, Train
from detect_transfer.core.signals import signal_name
from detect_transfer.models.base import Detector
from detect_transfer.models.device import Precision
from detect_transfer.training.checkpoint import Progress
from detect_transfer.training.epoch_weights import EpochWeights
from detect_transfer.training.mixes import MixOptions
from detect_transfer.training.plan import Plan
from detect_transfer.training.sampler import EpochBatches, ImageKey
from detect_transfer.training.shapes import ShapeGroups

# scores a network of which the named stages are those of the source, under a name: at least AP, AP50 and AP75
Score = Callable[[nn.Module, frozenset[Stage], str], dict[str, float | None]]


@dataclass
class Stop:
    """Set from outside to end training at the next step; `signal` is the number of what asked for it."""

    signal: int | None = None


class Interrupted(Exception):
    """Training was asked to stop; the state of the last step is kept.

    Args:
        signal_number: What asked for it.
        folder: The run folder.
    """

    def __init__(self, signal_number: int, folder: Path) -> None:
        command = f"detect-transfer train --resume {shlex.quote(str(folder))}"
        super().__init__(f"stopped by {signal_name(signal_number)}; go on with: {command}")
        self.signal_number = signal_number


@dataclass
class TrainContext:
    """All that the loop works with.

    Args:
        detector: The network, on its device.
        plan: What trains when.
        loader: Gives batches; `batches.epoch` chooses the epoch.
        plain_loader: Gives other batches of the same images.
        batches: The sampler of the loader.
        groups: Which images share batches, and what they are padded to.
        settings: The train part of the config.
        precision: The arithmetic of the network.
        score: Scores a network.
        best_weights: Reads the tensors of the best epoch so far.
        mixes: What is averaged when training has ended.
        epoch_weights: The weights of the best epochs.
        budget_seconds: How long training and scoring may take; inf where there is no budget.
        memory_bytes: How much memory kept features may take.
        folder: The run folder.
        state_path: The file of what a run needs to go on.
        history_path: The file of the rows of the epochs.
        cache_folder: Where arrays are kept that do not fit into memory; it goes when the run ends.
        fingerprint: Of data and config, kept with the state.
        progress: How far it is.
        stop: Asks it to end.
        accelerator: Devices and processes.
        on_stage: Called with a fact, in a line.
        on_step: Called with epoch, step, steps, loss and the share of the whole run that is done after each step.
        on_epoch: Called with the row of each epoch, and of each average of weights.
        save_best: Writes the weights of the best epoch so far.
        save_last: Writes the weights of the last epoch.
    """

    detector: Detector
    plan: Plan
    loader: Any
    plain_loader: Callable[[Sequence[list[ImageKey]]], Any]
    batches: EpochBatches
    groups: ShapeGroups
    settings: Train
    precision: Precision
    score: Score
    best_weights: Callable[[], dict[str, torch.Tensor]]
    mixes: MixOptions
    epoch_weights: EpochWeights
    budget_seconds: float
    memory_bytes: int
    folder: Path
    state_path: Path
    history_path: Path
    cache_folder: Path
    fingerprint: str
    accelerator: Accelerator
    progress: Progress = field(default_factory=Progress)
    stop: Stop = field(default_factory=Stop)
    on_stage: Callable[[str], None] = lambda _: None
    on_step: Callable[[int, int, int, float, float], None] = lambda *_: None
    on_epoch: Callable[[dict[str, Any]], None] = lambda _: None
    save_best: Callable[[nn.Module], None] = lambda _: None
    save_last: Callable[[nn.Module], None] = lambda _: None
