"""The optimizer of a phase, the course of its rate, and the pull to the source."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from detect_transfer.config import Schedule, Train
from detect_transfer.models.base import Detector
from detect_transfer.training.plan import PlannedPhase

_ONE_CYCLE_RISE = 0.3  # share of the steps
_ONE_CYCLE_START = 0.04  # share of the peak rate


def build_optimizer(
    detector: Detector, phase: PlannedPhase, settings: Train, *, new_class_lr_factor: float
) -> torch.optim.Optimizer:
    """Return AdamW over the stages that train, a group for each stage with and without weight decay.

    Biases and normalisation weights are not decayed. `peak_lr` of a group is its rate before warm-up and schedule; that
    of a class layer with new classes is `new_class_lr_factor` times the rate of its stage.
    """
    stages = detector.stages()
    groups: dict[tuple[str, bool, bool], dict[str, Any]] = {}
    for name, parameter in detector.module.named_parameters():
        stage = stages[name]
        if stage not in phase.rates or name not in detector.trainable:
            continue
        decays, new_class = parameter.ndim > 1, name in detector.new_class_params
        rate = phase.rates[stage] * (new_class_lr_factor if new_class else 1.0)
        group = groups.setdefault(
            (stage, decays, new_class),
            {
                "params": [],
                "lr": rate,
                "peak_lr": rate,
                "weight_decay": settings.weight_decay if decays else 0.0,
            },
        )
        group["params"].append(parameter)
    fused = next(detector.module.parameters()).device.type in ("cpu", "cuda")
    return torch.optim.AdamW(list(groups.values()), betas=(0.9, 0.999), fused=fused)


def rate_factor(step: int, steps: int, phase: PlannedPhase, lr_end: float) -> float:
    """Return the share of the peak rate at a step of a phase: a rise, then the schedule down to `lr_end`.

    Source: for `one_cycle`, Smith and Topin 2019, "Super-Convergence"; its rise and fall are half cosines.
    """
    if phase.schedule == "one_cycle":
        rise = max(1, round(_ONE_CYCLE_RISE * steps))
        if step < rise:
            return _ONE_CYCLE_START + (1 - _ONE_CYCLE_START) * _half_cosine(step / rise)
        return 1.0 - (1.0 - lr_end) * _half_cosine((step - rise) / max(1, steps - rise))
    warm = round(phase.warmup * steps)
    if step < warm:
        return (step + 1) / (warm + 1)
    return 1.0 - (1.0 - lr_end) * _fallen(phase.schedule, (step - warm) / max(1, steps - warm))


def _fallen(schedule: Schedule, share: float) -> float:
    return {"constant": 0.0, "linear": share, "cosine": _half_cosine(share)}[schedule]


def _half_cosine(share: float) -> float:
    return (1 - math.cos(math.pi * share)) / 2


class L2SP:
    """L2-SP: after each step, draws what was taken from the source back towards it, by strength times rate.

    Source: Li et al. 2018, "Explicit Inductive Bias for Transfer Learning with Convolutional Networks"; decoupled from
    the gradient as in AdamW.

    Args:
        optimizer: Its groups say which parameters train, and at which rate.
        source: The tensor of each parameter by its identity; new layers are not among them.
        strength: How far: the share of the way is this times the rate.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, source: Mapping[int, torch.Tensor], strength: float) -> None:
        self._strength = strength
        self._optimizer = optimizer
        self._source = source

    @torch.no_grad()
    def step(self) -> None:
        """Draw the parameters once."""
        for group in self._optimizer.param_groups if self._strength else ():
            pulled = [p for p in group["params"] if id(p) in self._source]
            if pulled:
                weight = min(1.0, group["lr"] * self._strength)
                torch._foreach_lerp_(pulled, [self._source[id(p)] for p in pulled], weight)
