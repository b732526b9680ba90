"""The transfer plan: which stages train in which phase, and at which rate; named strategies are plans with a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

from detect_transfer.config import STAGES, Phase, Stage, StrategyName, Train, Transfer
from detect_transfer.errors import InputError

DEFAULT_STRATEGY: StrategyName = "full"

_BACKBONE: tuple[Stage, ...] = ("stem", "stage1", "stage2", "stage3", "stage4")
_AFTER_BACKBONE: list[Stage] = ["neck", "rpn", "head"]
_DEFAULT_LR: dict[StrategyName, float] = {
    "scratch": 2e-3,
    "head_only": 1e-3,
    "frozen_backbone": 5e-4,
    "full": 5e-4,
    "gradual": 5e-4,
    "discriminative": 5e-4,
}


@dataclass(frozen=True)
class PlannedPhase:
    """A phase, resolved for one network.

    Args:
        number: From 1.
        first_epoch: Its first epoch, from 1 over all phases.
        last_epoch: Its last epoch.
        rates: The highest rate of each stage that trains; a stage that is not listed is frozen.
    """

    number: int
    first_epoch: int
    last_epoch: int
    rates: Mapping[Stage, float]

    @property
    def epochs(self) -> int:
        """How many epochs it lasts."""
        return self.last_epoch - self.first_epoch + 1


@dataclass(frozen=True)
class Plan:
    """What trains when.

    Args:
        strategy: The name of the strategy; `phases` for a list of phases from the config.
        phases: The phases in order.
        batchnorm: Whether running statistics move with their stage, never, or always.
        fresh_lr_factor: How many times faster the last class layer learns where it has new classes.
    """

    strategy: str
    phases: tuple[PlannedPhase, ...]
    batchnorm: Literal["with_stage", "frozen", "all"]
    fresh_lr_factor: float

    @property
    def epochs(self) -> int:
        """The number of epochs over all phases."""
        return self.phases[-1].last_epoch

    @property
    def trained(self) -> frozenset[Stage]:
        """The stages that train in some phase."""
        return frozenset(stage for phase in self.phases for stage in phase.rates)


def make_plan(transfer: Transfer, train: Train, present: frozenset[Stage]) -> Plan:
    """Resolve the transfer part of a config for a network with these stages.

    Raises:
        InputError: A phase trains no stage that the network has.
    """
    strategy = transfer.strategy or DEFAULT_STRATEGY
    phases = transfer.phases or _named(strategy, train)
    planned: list[PlannedPhase] = []
    for number, phase in enumerate(phases, 1):
        rates = _rates(phase, present)
        if not rates:
            raise InputError(
                "PLAN_TRAINS_NOTHING",
                "the network has none of these stages",
                field=f"transfer.phases.{number - 1}.train",
                value=phase.train,
                remedy="it has: " + ", ".join(stage for stage in STAGES if stage in present),
            )
        first = planned[-1].last_epoch + 1 if planned else 1
        planned.append(PlannedPhase(number, first, first + phase.epochs - 1, rates))
    name = "phases" if transfer.phases else strategy
    return Plan(name, tuple(planned), transfer.batchnorm, transfer.fresh_lr_factor)


def _named(strategy: StrategyName, train: Train) -> list[Phase]:
    """Return the phases of a named strategy for a number of epochs."""
    lr, epochs = train.lr or _DEFAULT_LR[strategy], train.epochs
    if strategy == "head_only":
        return [Phase(epochs=epochs, train=["head"], lr=lr)]
    if strategy == "frozen_backbone":
        return [Phase(epochs=epochs, train=_AFTER_BACKBONE, lr=lr)]
    if strategy == "discriminative":
        return [Phase(epochs=epochs, train="all", lr=lr, lr_decay_per_stage=0.7)]
    if strategy == "gradual":
        return _gradual(epochs, lr)
    return [Phase(epochs=epochs, train="all", lr=lr)]


def _gradual(epochs: int, lr: float) -> list[Phase]:
    """Train the head first, then what lies behind the backbone, then all; a third of the epochs each at most."""
    opening: list[list[Stage]] = [["head"], _AFTER_BACKBONE]
    each = epochs // 5
    phases = [Phase(epochs=each, train=stages, lr=lr) for stages in opening] if each else []
    return [*phases, Phase(epochs=epochs - each * len(phases), train="all", lr=lr, lr_decay_per_stage=0.8)]


def _rates(phase: Phase, present: frozenset[Stage]) -> dict[Stage, float]:
    """Return the rate of each stage that trains; it falls with each stage further from the head."""
    order = [stage for stage in reversed(STAGES) if stage in present]  # head first
    trains = order if phase.train == "all" else phase.train
    return {s: phase.lr * phase.lr_decay_per_stage**i for i, s in enumerate(order) if s in trains}


def plan_table(plan: Plan, stages: Mapping[str, Stage], state: Mapping[str, torch.Tensor]) -> list[dict[str, Any]]:
    """Return a row a stage: its tensors, its numbers, and its rate in each phase (None: frozen)."""
    rows = []
    for stage in STAGES:
        names = [name for name, of in stages.items() if of == stage]
        if names:
            rows.append(
                {
                    "stage": stage,
                    "tensors": len(names),
                    "parameters": sum(state[name].numel() for name in names),
                    "rates": [phase.rates.get(stage) for phase in plan.phases],
                }
            )
    return rows
