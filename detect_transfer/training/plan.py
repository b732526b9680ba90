"""The transfer plan: which stages train in which phase, at which rate, and what ends a phase sooner."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from detect_transfer.config import STAGES, BatchNorm, Phase, Schedule, Stage, Start, Train, Transfer
from detect_transfer.core.errors import InputError
from detect_transfer.training.strategies import SourceClasses, choose_strategy, phases_of

_DEFAULT_VIEWS = 4
_ROUNDING = 1e-9
_BACKBONE: frozenset[Stage] = frozenset({"stem", "stage1", "stage2", "stage3", "stage4"})


@dataclass(frozen=True)
class PlannedPhase:
    """A phase, resolved for one network.

    Args:
        number: From 1.
        first_epoch: Its first epoch, from 1 over all phases, where no phase ends sooner.
        epochs: How many epochs it lasts at most.
        rates: The highest rate of each stage that trains; a stage that is not listed is frozen.
        start: Where it goes on from.
        schedule: The course of its rate.
        warmup: Share of its steps with a rising rate.
        batchnorm: Which running statistics move.
        l2sp: L2-SP strength.
        views: Augmented views of each image whose frozen features are computed once; 0 computes them every time.
        until: Metrics that are good enough, with the value that they must reach.
        on_until: What happens then.
        patience: Epochs without a better AP after which it ends.
    """

    number: int
    first_epoch: int
    epochs: int
    rates: Mapping[Stage, float]
    start: Start = "previous"
    schedule: Schedule = "cosine"
    warmup: float = 0.1
    batchnorm: BatchNorm = "with_stage"
    l2sp: float = 0.0
    views: int = 0
    until: Mapping[str, float] | None = None
    on_until: Literal["stop", "next"] = "stop"
    patience: int | None = None

    @property
    def last_epoch(self) -> int:
        """Its last epoch, where no phase ends sooner."""
        return self.first_epoch + self.epochs - 1

    def mixing_epochs(self, until: float) -> int:
        """Return in how many of its first epochs images may be mixed, where they may in this share of them."""
        return math.floor(until * self.epochs + _ROUNDING)

    def frozen(self, present: frozenset[Stage]) -> frozenset[Stage]:
        """Return the stages of a network that do not train in it."""
        return present - frozenset(self.rates)


@dataclass(frozen=True)
class Plan:
    """What trains when.

    Args:
        strategy: The name of the strategy; `phases` for a list of phases from the config.
        phases: The phases in order.
        new_class_lr_factor: How many times faster the last class layer learns where it has new classes.
    """

    strategy: str
    phases: tuple[PlannedPhase, ...]
    new_class_lr_factor: float

    @property
    def epochs(self) -> int:
        """The number of epochs over all phases, where none ends sooner."""
        return self.phases[-1].last_epoch if self.phases else 0

    @property
    def text(self) -> str:
        """The epochs, the start and the rates of each phase, by which a plan is told from another."""
        return "; ".join(f"{p.epochs} from {p.start}: {sorted(p.rates.items())}" for p in self.phases)

    @property
    def course_epochs(self) -> tuple[int, ...]:
        """How many epochs each course has."""
        return tuple(self.course(p)[1] for p in self.phases if p.number == 1 or p.start != "previous")

    def course_start(self, number: int) -> int:
        """Return the number of the phase that began the course of a phase: a new start begins a course."""
        return max(p.number for p in self.phases[:number] if p.number == 1 or p.start != "previous")

    def course(self, phase: PlannedPhase) -> tuple[int, int]:
        """Return how many epochs of one course lie before a phase, and how many it has."""
        course = [p for p in self.phases if self.course_start(p.number) == self.course_start(phase.number)]
        return sum(p.epochs for p in course if p.number < phase.number), sum(p.epochs for p in course)

    def extended(self, epochs: int) -> Plan:
        """Return the plan with so many epochs more, which go on from the last weights as the last phase did."""
        last = self.phases[-1]
        more = replace(last, number=last.number + 1, first_epoch=last.last_epoch + 1, epochs=epochs, start="previous")
        return replace(self, phases=(*self.phases, more))

    @property
    def trained(self) -> frozenset[Stage]:
        """The stages that train in some phase."""
        return frozenset(stage for phase in self.phases for stage in phase.rates)


def make_plan(transfer: Transfer, train: Train, present: frozenset[Stage], source_classes: SourceClasses) -> Plan:
    """Resolve the transfer part of a config for a network with these stages.

    Args:
        transfer: The transfer part.
        train: The train part.
        present: The stages of the network.
        source_classes: Which classes the source knows, which the automatic strategy goes by.

    Raises:
        InputError: A phase trains no stage that the network has, or keeps features that would change.
    """
    name = choose_strategy(transfer, source_classes)
    phases = transfer.phases or phases_of(name, transfer, train, source_classes)
    planned: list[PlannedPhase] = []
    for number, phase in enumerate(phases, 1):
        first = planned[-1].last_epoch + 1 if planned else 1
        planned.append(_plan(phase, number, first, (transfer, train), present))
    return Plan("phases" if transfer.phases else name, tuple(planned), transfer.new_class_lr_factor)


def _plan(
    phase: Phase, number: int, first: int, settings: tuple[Transfer, Train], present: frozenset[Stage]
) -> PlannedPhase:
    transfer, train = settings
    field = f"transfer.phases.{number - 1}"
    rates = _rates(phase, present)
    if not rates:
        raise InputError(
            "PLAN_TRAINS_NOTHING",
            "the network has none of these stages",
            field=f"{field}.train",
            value=phase.train,
            remedy="it has: " + ", ".join(stage for stage in STAGES if stage in present),
        )
    batchnorm = phase.batchnorm or transfer.batchnorm
    views = _DEFAULT_VIEWS if phase.cache_features is True else int(phase.cache_features)
    if views and not _BACKBONE.isdisjoint(rates):
        raise InputError(
            "PLAN_FEATURES",
            "features are kept behind the backbone, which trains in this phase",
            field=f"{field}.cache_features",
            value=phase.cache_features,
            remedy="train neck, rpn and head alone, or set cache_features to false",
        )
    if views and batchnorm == "all":
        raise InputError(
            "PLAN_FEATURES",
            "running statistics that move in frozen stages would change the features that are kept",
            field=f"{field}.cache_features",
            value=phase.cache_features,
            remedy="set batchnorm to with_stage or frozen, or cache_features to false",
        )
    return PlannedPhase(
        number,
        first,
        phase.epochs,
        rates,
        start=phase.start,
        schedule=phase.schedule or train.schedule,
        warmup=train.warmup if phase.warmup is None else phase.warmup,
        batchnorm=batchnorm,
        l2sp=transfer.pull_to_source if phase.pull_to_source is None else phase.pull_to_source,
        views=views,
        until={str(name): value for name, value in phase.until.items()},
        on_until=phase.on_until,
        patience=phase.patience,
    )


def _rates(phase: Phase, present: frozenset[Stage]) -> dict[Stage, float]:
    """Return the rate of each stage that trains; it falls with each stage further from the head."""
    order = [stage for stage in reversed(STAGES) if stage in present]  # head first
    trains = order if phase.train == "all" else phase.train
    return {s: phase.lr * phase.lr_decay_per_stage**i for i, s in enumerate(order) if s in trains}


def parts_note(plan: Plan, parts: int) -> list[str]:
    """Return the line that says what computing a batch in so many parts changes; none where it changes nothing."""
    if parts == 1 or all(phase.batchnorm == "frozen" for phase in plan.phases):
        return []
    return [
        f"a batch is computed in {parts} parts: where batch norm trains, each is normalized by its own statistics, and "
        "the gradient is not quite that of the whole batch; with transfer.batchnorm=frozen it is"
    ]


def plan_table(plan: Plan, stages: Mapping[str, Stage], state: Mapping[str, torch.Tensor]) -> list[dict[str, Any]]:
    """Return a row a stage: its tensors, its numbers, and its rate in each phase (None: frozen)."""
    rows = []
    for stage in STAGES:
        names = [name for name, its_stage in stages.items() if its_stage == stage]
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
