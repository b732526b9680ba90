"""The training loop, the same for every family: phases, epochs, scoring, keeping the best.

Epoch 0 is the model before any training. It is scored like every other, and it may stay the best: a run never hands
back something worse than what it started from.
"""

from __future__ import annotations

import time
from typing import Any

import orjson
import torch
from torch.optim.swa_utils import AveragedModel

from detect_transfer.files import write_atomic
from detect_transfer.training.epoch import Step, run_epoch
from detect_transfer.training.job import Job
from detect_transfer.training.optim import build_optimizer
from detect_transfer.training.plan import PlannedPhase
from detect_transfer.training.state import Progress, save_state


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
    step = Step(job.accelerator.prepare_model(module), optimizer, _scaler(job), average)
    if resumed is not None and phase.first_epoch <= job.progress.epoch:  # it stopped inside this phase
        optimizer.load_state_dict(resumed["optimizer"])
        step.scaler.load_state_dict(resumed["scaler"])
    for epoch in range(max(phase.first_epoch, job.progress.epoch + 1), phase.last_epoch + 1):
        started = time.monotonic()
        job.batches.epoch = epoch
        job.detector.on_epoch(epoch, job.plan.epochs)
        facts = run_epoch(job, phase, step, epoch)
        _end_epoch(job, average, step, phase.number, started, facts)
        patience = job.settings.patience
        if patience is not None and epoch - job.progress.best_epoch >= patience:
            return False
    job.accelerator.free_memory()  # it would keep the wrapped network of every phase
    return True


def _scaler(job: Job) -> Any:
    return torch.amp.GradScaler(job.accelerator.device.type, enabled=job.precision == "fp16")


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
    job: Job, average: AveragedModel, step: Step | None, phase: int, started: float, facts: dict[str, Any]
) -> None:
    """Score the averaged network, note the row, keep weights and state."""
    began = time.monotonic()
    metrics = job.score(average.module)
    epoch = 0 if step is None else job.progress.epoch + 1
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
        _save(job, average, step)
    job.on_epoch({**row, "best": best})


def _save(job: Job, average: AveragedModel, step: Step | None) -> None:
    if not job.accelerator.is_main_process:
        return
    save_state(
        job.folder / "weights" / "state.pt",
        job.progress,
        job.fingerprint,
        {
            "module": job.detector.module.state_dict(),
            "average": average.state_dict(),
            "optimizer": None if step is None else step.optimizer.state_dict(),
            "scaler": None if step is None else step.scaler.state_dict(),
            "rng": torch.get_rng_state(),
        },
    )
    rows = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in job.progress.history)
    write_atomic(job.folder / "metrics.jsonl", rows)
