"""The optimizer of a phase, and the course of its rate."""

from __future__ import annotations

import math
from typing import Any

import torch

from detect_transfer.config import Train
from detect_transfer.models.detector import Detector
from detect_transfer.training.plan import PlannedPhase


def build_optimizer(
    detector: Detector, phase: PlannedPhase, settings: Train, *, fresh_lr_factor: float
) -> torch.optim.Optimizer:
    """Return AdamW over the stages that train, a group for each stage with and without weight decay.

    Biases and normalisation weights are not decayed. `peak_lr` of a group is its rate before warm-up and schedule; that
    of a class layer with new classes is `fresh_lr_factor` times the rate of its stage.
    """
    stages = detector.stages()
    groups: dict[tuple[str, bool, bool], dict[str, Any]] = {}
    for name, parameter in detector.module.named_parameters():
        stage = stages[name]
        if stage not in phase.rates or name not in detector.trainable:
            continue
        decays, fresh = parameter.ndim > 1, name in detector.fresh
        rate = phase.rates[stage] * (fresh_lr_factor if fresh else 1.0)
        group = groups.setdefault(
            (stage, decays, fresh),
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


def rate_factor(step: int, steps: int, settings: Train) -> float:
    """Return the share of the peak rate at a step of a phase: a linear rise, then the schedule down to `lr_end`."""
    warm = round(settings.warmup * steps)
    if step < warm:
        return (step + 1) / (warm + 1)
    share = (step - warm) / max(1, steps - warm)
    if settings.schedule == "constant":
        return 1.0
    fall = share if settings.schedule == "linear" else (1 - math.cos(math.pi * share)) / 2
    return 1.0 - (1.0 - settings.lr_end) * fall
