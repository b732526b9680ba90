"""The training loop, the same for every family: phases, epochs, steps, scoring, keeping the best.

Epoch 0 is the model before any training. It is scored like every other, and it may stay the best: a run never hands
back something worse than what it started from.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import torch
from accelerate import Accelerator
from torch import nn
from torch.optim.swa_utils import AveragedModel

from detect_transfer.config import Train
from detect_transfer.errors import InputError, ResourceError
from detect_transfer.files import write_atomic
from detect_transfer.models.detector import Detector
from detect_transfer.models.device import Precision, autocast
from detect_transfer.training.data import Batch, EpochBatches
from detect_transfer.training.optim import build_optimizer, rate_factor
from detect_transfer.training.plan import Plan, PlannedPhase
from detect_transfer.training.state import Progress, save_state

BATCHNORM_MOMENTUM = 0.1

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


def fit(job: Job, resumed: dict[str, Any] | None = None) -> Progress:
    """Train by the plan and return how it went; weights and state are in the run folder.

    Args:
        job: All that the loop works with.
        resumed: The states of a run that goes on; None begins one.

    Raises:
        InputError: The loss is not finite.
        ResourceError: The memory does not hold a batch.
        Interrupted: It was asked to stop.
    """
    module = job.detector.module
    average = AveragedModel(module, multi_avg_fn=_average, use_buffers=True)
    if resumed is None:
        _end_epoch(job, average, None, 0, time.monotonic(), {})
    else:
        module.load_state_dict(resumed["module"])
        average.load_state_dict(resumed["average"])
        torch.set_rng_state(resumed["rng"])
    for phase in job.plan.phases:
        if job.progress.epoch < phase.last_epoch:
            went_on = _run_phase(job, phase, average, resumed)
            resumed = None
            if not went_on:
                break
    job.progress.finished = True
    _save(job, average, None)
    return job.progress


def _run_phase(job: Job, phase: PlannedPhase, average: AveragedModel, resumed: dict[str, Any] | None) -> bool:
    """Run the epochs of one phase; return False where patience ended it."""
    module, stages = job.detector.module, job.detector.stages()
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name in job.detector.trainable and stages[name] in phase.rates)
    optimizer = build_optimizer(job.detector, phase, job.settings, fresh_lr_factor=job.plan.fresh_lr_factor)
    if resumed is not None and resumed["optimizer"] is not None and phase is job.plan.phase_of(job.progress.epoch):
        optimizer.load_state_dict(resumed["optimizer"])
    wrapped = job.accelerator.prepare_model(module)
    scaler = torch.amp.GradScaler(job.accelerator.device.type, enabled=job.precision == "fp16")
    for epoch in range(max(phase.first_epoch, job.progress.epoch + 1), phase.last_epoch + 1):
        started = time.monotonic()
        job.batches.epoch = epoch
        job.detector.on_epoch(epoch, job.plan.epochs)
        facts = _run_epoch(job, phase, _Step(wrapped, optimizer, scaler, average), epoch)
        _end_epoch(job, average, optimizer, phase.number, started, facts)
        patience = job.settings.patience
        if patience is not None and epoch - job.progress.best_epoch >= patience:
            return False
    return True


@dataclass(frozen=True)
class _Step:
    """What a step changes."""

    wrapped: Any
    optimizer: torch.optim.Optimizer
    scaler: Any
    average: AveragedModel


def _run_epoch(job: Job, phase: PlannedPhase, step: _Step, epoch: int) -> dict[str, Any]:
    """Train one epoch; return the mean loss parts, the rates and the times."""
    set_mode(job.detector, phase, job.plan.batchnorm)
    steps = len(job.batches)
    sums: dict[str, float] = {}
    waited, images, began = 0.0, 0, time.monotonic()
    asked = time.monotonic()
    factor = 1.0
    for i, batch in enumerate(job.loader):
        waited += time.monotonic() - asked
        done = (epoch - phase.first_epoch) * steps + i
        factor = rate_factor(done, phase.epochs * steps, job.settings)
        for group in step.optimizer.param_groups:
            group["lr"] = group["peak_lr"] * factor
        parts = _one_step(job, step, batch)
        for name, value in parts.items():
            sums[name] = sums.get(name, 0.0) + value
        images += len(batch.targets) * job.accelerator.num_processes
        job.on_step(epoch, i + 1, steps, sum(parts.values()))
        if job.stop.signal is not None:
            raise Interrupted(job.stop.signal, job.folder)
        asked = time.monotonic()
    seconds = time.monotonic() - began
    return {
        "loss": sum(sums.values()) / steps,
        **{f"loss_{name}": value / steps for name, value in sums.items()},
        "lr": {stage: rate * factor for stage, rate in phase.rates.items()},
        "train_seconds": seconds,
        "images_per_second": images / seconds,
        "waiting_share": waited / seconds,
    }


def _one_step(job: Job, step: _Step, batch: Batch) -> dict[str, float]:
    device = job.accelerator.device
    try:
        images = job.detector.to_input(batch.images.to(device, non_blocking=True))
        with autocast(device, job.precision):
            outputs = step.wrapped(images.contiguous(memory_format=torch.channels_last))
        height, width = images.shape[2:]
        parts = job.detector.loss(outputs, batch.targets, (int(height), int(width)))
        loss = torch.stack(list(parts.values())).sum()
        if not torch.isfinite(loss):
            raise _not_finite(parts, batch)
        step.scaler.scale(loss).backward()
        step.scaler.unscale_(step.optimizer)
        trained = [p for group in step.optimizer.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(trained, job.settings.clip_norm)
        step.scaler.step(step.optimizer)
        step.scaler.update()
        step.optimizer.zero_grad(set_to_none=True)
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _out_of_memory(job) from error
    except RuntimeError as error:
        if "allocate memory" in str(error):
            raise _out_of_memory(job) from error
        raise
    step.average.update_parameters(job.detector.module)
    return {name: float(value.detach()) for name, value in parts.items()}


def set_mode(detector: Detector, phase: PlannedPhase, batchnorm: str) -> None:
    """Put the network into training mode, with the running statistics of frozen stages held still.

    Statistics that move do so by a tenth a batch, torch's own default. The 0.03 that YOLO networks are built with is
    made for hundreds of batches an epoch; after a small set it would still be half of what the source had.
    """
    detector.module.train()
    stages = detector.stages()
    for name, layer in detector.module.named_modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            trains = stages[f"{name}.running_mean"] in phase.rates
            layer.momentum = BATCHNORM_MOMENTUM
            layer.train(batchnorm == "all" or (batchnorm == "with_stage" and trains))


def _average(averaged: Any, current: Any, count: Any) -> None:
    """Move the average towards the network: a mean over about the last eighth of the steps so far.

    Source: the power-function average of Karras et al. 2024, "Analyzing and Improving the Training Dynamics of
    Diffusion Models", section 3.1; it needs no time constant, so short and long runs are averaged alike. A tensor that
    does not change is kept to the last bit.
    """
    weight = 1.0 - (1.0 - 1.0 / (float(count) + 1.0)) ** 8
    if torch.is_floating_point(averaged[0]):
        torch._foreach_lerp_(averaged, current, weight)
    else:
        torch._foreach_copy_(averaged, current)


def _end_epoch(
    job: Job, average: AveragedModel, optimizer: Any, phase: int, started: float, facts: dict[str, Any]
) -> None:
    """Score the averaged network, note the row, keep weights and state."""
    began = time.monotonic()
    metrics = job.score(average.module)
    epoch = 0 if optimizer is None else job.progress.epoch + 1
    now = time.monotonic()
    row = {
        "epoch": epoch,
        "phase": phase,
        **{k: metrics[k] for k in ("AP", "AP50", "AP75")},
        **facts,
        "score_seconds": now - began,
        "epoch_seconds": now - started,
    }
    best = job.progress.note(row)
    if job.accelerator.is_main_process:
        if best:
            job.save_weights("best", average.module)
        job.save_weights("last", average.module)
        _save(job, average, optimizer)
    job.on_epoch({**row, "best": best})


def _save(job: Job, average: AveragedModel, optimizer: Any) -> None:
    if not job.accelerator.is_main_process:
        return
    save_state(
        job.folder / "weights" / "state.pt",
        job.progress,
        job.fingerprint,
        {
            "module": job.detector.module.state_dict(),
            "average": average.state_dict(),
            "optimizer": optimizer.state_dict() if optimizer is not None else None,
            "rng": torch.get_rng_state(),
        },
    )
    rows = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in job.progress.history)
    write_atomic(job.folder / "metrics.jsonl", rows)


def _not_finite(parts: dict[str, torch.Tensor], batch: Batch) -> InputError:
    told = ", ".join(f"{name} {value.detach().item():.3g}" for name, value in parts.items())
    files = ", ".join(path.name for path in batch.paths[:8])
    return InputError(
        "LOSS_NOT_FINITE",
        f"the loss is not finite ({told}) on {files}",
        field="train.lr",
        remedy="lower train.lr, set train.precision=fp32 or look at these pictures; the last epoch is kept",
    )


def _out_of_memory(job: Job) -> ResourceError:
    return ResourceError(
        "OUT_OF_MEMORY",
        f"a batch of {job.settings.batch} pictures of {job.settings.imgsz} px does not fit",
        field="train.batch",
        value=job.settings.batch,
        remedy=f"try train.batch={max(1, job.settings.batch // 2)} or a smaller train.imgsz; the last epoch is kept",
    )
