"""One epoch of training: the mode of the network, the steps, and what can go wrong in one."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from detect_transfer.config import Stage
from detect_transfer.core.arrays import FloatArray
from detect_transfer.models.base import Detector, LossPart
from detect_transfer.models.device import autocast
from detect_transfer.training.averaging import move_average
from detect_transfer.training.context import Interrupted, TrainContext
from detect_transfer.training.dataset import Batch
from detect_transfer.training.faults import not_finite, torch_errors
from detect_transfer.training.feature_cache import FeatureBatch
from detect_transfer.training.notices import Notices
from detect_transfer.training.optim import L2SP, rate_factor
from detect_transfer.training.plan import PlannedPhase
from detect_transfer.training.time_budget import Deadline

BATCHNORM_MOMENTUM = 0.1
_LEAST_SCALE = 1.0  # below it the gradient is not finite for its own sake


@dataclass(frozen=True)
class Step:
    """What a step works with: the network (or what is behind its cut), what changes it, and until when."""

    wrapped: Any
    loader: Any
    optimizer: torch.optim.Optimizer
    scaler: Any
    average: AveragedModel
    l2sp: L2SP
    deadline: Deadline


def run_epoch(context: TrainContext, phase: PlannedPhase, step: Step) -> dict[str, Any]:
    """Train the next epoch of a phase; return the mean loss parts, the rates and the times.

    Raises:
        Interrupted: It was asked to stop; `context.progress` says after which step.
        LossNotFinite: As it says.
        ResourceError: The memory does not hold a batch.
    """
    set_mode(context.detector, phase)
    progress, steps, epoch = context.progress, len(context.batches), context.progress.epoch + 1
    began = time.monotonic() - progress.spent.seconds  # of all steps of the epoch, before a resume too
    requested, first, left_out = time.monotonic(), progress.step, 0
    factor = _rate_factor(context, phase, progress.phase_epoch * steps + progress.step - 1)
    # a new start sees the images as a run of its own would
    context.batches.epoch, context.batches.start = epoch - progress.course_start, progress.step
    context.batches.mixes = _mixes(context, phase, step)
    notices = Notices(context, step.deadline)
    for i, batch in enumerate(step.loader, start=progress.step):
        progress.spent.waited += time.monotonic() - requested
        # where time ends before the epochs do, the rate falls with the time
        passed = notices.passed
        done = max(progress.phase_epoch * steps + i, int(passed * phase.epochs * steps))
        factor = _rate_factor(context, phase, done)
        for group in step.optimizer.param_groups:
            group["lr"] = group["peak_lr"] * factor
        parts, changed = _one_step(context, step, batch, notices)
        left_out += not changed
        for name, value in parts.items():
            progress.sums[name] = progress.sums.get(name, 0.0) + value
        progress.step = i + 1
        progress.spent.images += len(batch.targets) * context.accelerator.num_processes
        progress.spent.seconds = time.monotonic() - began
        planned = phase.first_epoch - 1 + progress.phase_epoch
        share = (planned + (i + 1) / steps) / context.plan.epochs
        context.on_step(epoch, i + 1, steps, sum(parts.values()), share)
        if notices.signal is not None:
            raise Interrupted(notices.signal, context.folder)
        requested = time.monotonic()
        if passed == 1:
            break
    if left_out and left_out == progress.step - first:
        context.on_stage(
            f"warning: none of the {left_out} steps of epoch {epoch} changed the network: their gradient is not finite "
            "in half precision; where that goes on start a new run with train.precision=fp32"
        )
    spent = progress.spent
    return {
        "loss": sum(progress.sums.values()) / progress.step,
        **{f"loss_{name}": value / progress.step for name, value in progress.sums.items()},
        "lr": {stage: rate * factor for stage, rate in phase.rates.items()},
        "images": spent.images,
        "train_seconds": spent.seconds,
        "images_per_second": spent.images / spent.seconds,
        "waiting_share": spent.waited / spent.seconds,
    }


def _mixes(context: TrainContext, phase: PlannedPhase, step: Step) -> bool:
    """Tell whether images may be mixed in an epoch: not in the last ones of a phase, by epochs or by time."""
    until = context.settings.mosaic_until
    in_time = until == 1 or step.deadline.share(context.accelerator) < until
    return in_time and context.progress.phase_epoch < phase.mixing_epochs(until)


def _rate_factor(context: TrainContext, phase: PlannedPhase, done: int) -> float:
    """Return the factor of the highest rates after so many steps of a phase."""
    steps = phase.epochs * len(context.batches)
    return context.progress.rate_share * rate_factor(max(done, 0), steps, phase, context.settings.lr_end)


def _one_step(
    context: TrainContext, step: Step, batch: Batch | FeatureBatch, notices: Notices
) -> tuple[dict[str, float], bool]:
    """Compute a batch, in parts where it is asked for, and change the network once, unless half precision overflows.

    Losses, notices and the norm of the gradient come to the host together, once: each time it waits for the device.
    """
    with torch_errors(context):
        parts: Sequence[Batch | FeatureBatch] = batch.split(context.settings.accumulate)
        losses = _backward(context, step, parts)
        step.scaler.unscale_(step.optimizer)
        trained = [p for group in step.optimizer.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(trained, context.settings.clip_norm)
        summed = _over_processes(context, {**losses, "": notices.own()})
        *values, gradient = torch.cat([*summed.values(), norm.detach().reshape(1)]).tolist()
        count = len(losses) * len(parts)
        notices.take(values[count:])
        by_part = np.array(values[:count]).reshape(len(losses), len(parts))
        _check_finite(step, losses, by_part, parts)
        # in half precision the scaler leaves such a step out and halves its scale, which starts at 65536
        if not math.isfinite(gradient) and (context.precision != "fp16" or step.scaler.get_scale() < _LEAST_SCALE):
            step.scaler.update()  # else it would refuse the next step
            raise not_finite({"gradient": gradient}, batch)
        step.scaler.step(step.optimizer)
        step.scaler.update()
        step.optimizer.zero_grad(set_to_none=True)
    step.l2sp.step()
    move_average(step.average, context.detector.module)
    return dict(zip(losses, by_part.sum(axis=1).tolist(), strict=True)), math.isfinite(gradient)


def _backward(context: TrainContext, step: Step, parts: Sequence[Batch | FeatureBatch]) -> dict[str, torch.Tensor]:
    """Add up the gradient of the batch of all processes; return the losses (parts,) of this process by their names.

    A loss is a sum over what was matched, by its count. So that parts and processes give the gradient of the
    whole batch, each divides its sums by the counts of all: those of the parts are found by a pass without gradients,
    on the same random numbers and with the running statistics put back.
    """
    counts = _counts_of(context, step, parts) if len(parts) > 1 else None
    by_part: list[dict[str, torch.Tensor]] = []
    for i, part in enumerate(parts, start=1):
        with context.accelerator.no_sync(step.wrapped) if i < len(parts) else nullcontext():
            losses = _losses(context, step, part)
            whole = counts or _over_processes(context, {name: loss.count for name, loss in losses.items()})
            shares = {name: loss.mean(whole[name]) for name, loss in losses.items()}
            # the mean over the processes is taken of the gradients
            total = torch.stack(list(shares.values())).sum() * context.accelerator.num_processes
            step.scaler.scale(total).backward()
        by_part.append({name: share.detach().float() for name, share in shares.items()})
    return {name: torch.stack([shares[name] for shares in by_part]) for name in by_part[0]}


@torch.no_grad()
def _counts_of(context: TrainContext, step: Step, parts: Sequence[Batch | FeatureBatch]) -> dict[str, torch.Tensor]:
    """Return what each loss part counts in a batch, over its parts and all processes."""
    counts: dict[str, torch.Tensor] = {}
    device = context.accelerator.device
    buffers = [buffer.clone() for buffer in context.detector.module.buffers()]
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        for part in parts:
            for name, loss in _losses(context, step, part).items():
                counts[name] = counts.get(name, torch.zeros_like(loss.count)) + loss.count
    for buffer, before in zip(context.detector.module.buffers(), buffers, strict=True):
        buffer.copy_(before)
    return _over_processes(context, counts)


def _over_processes(context: TrainContext, values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the sums over all processes."""
    if context.accelerator.num_processes == 1:
        return values
    flat = context.accelerator.reduce(torch.cat([value.detach().reshape(-1) for value in values.values()]), "sum")
    sizes = [value.numel() for value in values.values()]
    return {name: each.reshape(values[name].shape) for name, each in zip(values, flat.split(sizes), strict=True)}


def _losses(context: TrainContext, step: Step, batch: Batch | FeatureBatch) -> dict[str, LossPart]:
    """Return the loss parts of images, or of their features."""
    device = context.accelerator.device
    with autocast(device, context.precision):
        if isinstance(batch, FeatureBatch):
            features = [
                f.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last) for f in batch.features
            ]
            outputs = step.wrapped(features, batch.targets)
        else:
            images = context.detector.preprocess(batch.images.to(device, non_blocking=True))
            images = images.contiguous(memory_format=torch.channels_last)
            outputs = step.wrapped(*context.detector.forward_args(images, batch.targets))
    return context.detector.loss(outputs, batch.targets, batch.size_hw)


def _check_finite(
    step: Step, losses: Mapping[str, torch.Tensor], by_part: FloatArray, parts: Sequence[Batch | FeatureBatch]
) -> None:
    """Raise in all processes where the loss of one is not finite, so that all stop or go back at the same step.

    Args:
        step: Its scaler is made ready for the next step.
        losses: (parts,) of this process by their names.
        by_part: (losses, parts) summed over all processes.
        parts: Of the batch of this process.
    """
    wrong = ~np.isfinite(by_part).all(axis=0)
    if wrong.any():
        step.scaler.update()
        index = int(wrong.argmax())
        raise not_finite({name: float(values[index]) for name, values in losses.items()}, parts[index])


def set_mode(detector: Detector, phase: PlannedPhase) -> None:
    """Put what trains into training mode and frozen stages into evaluation mode, dropout and stochastic depth too.

    What computes proposals and losses stays in training mode, as else it would do so as in prediction. Statistics that
    move do so by a tenth a batch, torch's own default. The 0.03 that YOLO networks are built with is made for hundreds
    of batches an epoch; after a small set it would still be half of what the source had.
    """
    detector.module.train()
    stages = _stages_of_modules(detector.stages())
    for name, layer in detector.module.named_modules():
        own = _stages_of(name, stages)
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.momentum = BATCHNORM_MOMENTUM
            layer.train(
                phase.batchnorm == "all" or (phase.batchnorm == "with_stage" and not own.isdisjoint(phase.rates))
            )
        elif own.isdisjoint(phase.rates) and (own.isdisjoint({"rpn", "head"}) or not any(layer.children())):
            layer.training = False


def _stages_of_modules(stages: Mapping[str, Stage]) -> dict[str, set[Stage]]:
    """Return the stages of the tensors in every module that has some; the whole network has an empty name."""
    of_modules: dict[str, set[Stage]] = {}
    for tensor, stage in stages.items():
        name = tensor
        while name:
            name = name.rpartition(".")[0]
            of_modules.setdefault(name, set()).add(stage)
    return of_modules


def _stages_of(name: str, stages: Mapping[str, set[Stage]]) -> set[Stage]:
    """Return the stages of the tensors in a module; of one without tensors, those of what it stands in."""
    while name and name not in stages:
        name = name.rpartition(".")[0]
    return stages.get(name, set())
