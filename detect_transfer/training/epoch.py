"""One epoch of training: the mode of the network, the steps, and what can go wrong in one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from detect_transfer.errors import InputError, ResourceError
from detect_transfer.models.detector import Detector
from detect_transfer.models.device import autocast
from detect_transfer.training.data import Batch
from detect_transfer.training.job import Interrupted, Job
from detect_transfer.training.optim import rate_factor
from detect_transfer.training.plan import PlannedPhase

BATCHNORM_MOMENTUM = 0.1


@dataclass(frozen=True)
class Step:
    """What a step changes."""

    wrapped: Any
    optimizer: torch.optim.Optimizer
    scaler: Any
    average: AveragedModel


def run_epoch(job: Job, phase: PlannedPhase, step: Step, epoch: int) -> dict[str, Any]:
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


def _one_step(job: Job, step: Step, batch: Batch) -> dict[str, float]:
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
