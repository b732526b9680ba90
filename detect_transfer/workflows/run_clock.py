"""How long a run will take: from what its epochs took, and before that from what scoring epoch 0 took."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from detect_transfer.training.plan import Plan, PlannedPhase
from detect_transfer.workflows.watch import Watch

OnStep = Callable[[int, int, int, float, float], None]
OnEpoch = Callable[[dict[str, Any]], None]

# what an image costs in training, in units of what it costs to read and score it; measured with YOLO11n on two cores
_FULL, _FROZEN_BACKBONE, _KEPT_FEATURES = 1.2, 0.7, 0.25
_LAST_EPOCHS = 3  # what is measured is their mean: the first epochs of a run fill its caches
_BETWEEN_EPOCHS = 1.1  # what is saved and set up beside the steps; the first epoch of a phase has more, once
_FIRST_STEPS = 3  # of an epoch, after which its own speed counts


class RunClock:
    """The time that a run has still to go.

    Args:
        plan: What trains when.
        train_images: Images of an epoch.
        val_images: Images that are scored after it.
        now: The clock, in seconds.
    """

    def __init__(
        self, plan: Plan, train_images: int, val_images: int, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._plan = plan
        self._train_images = train_images
        self._val_images = max(val_images, 1)
        self._now = now
        self._score_seconds: list[float] = []
        self._train_seconds: dict[int, list[float]] = {}
        self._epoch_began = now()
        self._done = 0  # epochs of the plan

    def note(self, row: dict[str, Any]) -> None:
        """Take note of an epoch that is over, by its row."""
        self._epoch_began = self._now()
        self.note_measured(row["phase"], row.get("train_seconds", 0.0), row["score_seconds"])
        if row["epoch"]:
            self._done = max(self._done + 1, self._plan.phases[row["phase"] - 1].first_epoch)

    def note_measured(self, phase: int, train_seconds: float, score_seconds: float) -> None:
        """Take note of what an epoch of a phase takes; phase 0 is the scoring before any training."""
        if phase:
            self._train_seconds.setdefault(phase, []).append(train_seconds * _BETWEEN_EPOCHS)
            if len(self._score_seconds) == 1:
                self._score_seconds = []  # that of epoch 0 had to read the images
        self._score_seconds.append(score_seconds)

    def seconds_left(self) -> float:
        """Return how long training and scoring take from the end of an epoch on."""
        return sum(self._epoch_seconds(phase) * count for phase, count in self._epochs_after(self._done))

    def seconds_left_in(self, step: int, steps: int, share: float) -> float:
        """Return how long they take from a step on.

        Args:
            step: The steps of this epoch that are done.
            steps: The steps that it has.
            share: The share of the epochs of the plan that is done.
        """
        planned = round(share * self._plan.epochs - step / steps)  # epochs before this one
        phase = next(phase for phase in self._plan.phases if planned < phase.last_epoch)
        whole = self._seconds(phase)
        if step >= _FIRST_STEPS:
            whole = (self._now() - self._epoch_began) / step * steps
        later = sum(self._epoch_seconds(phase) * count for phase, count in self._epochs_after(planned + 1))
        return whole * (1 - step / steps) + self._score() + later

    def _epochs_after(self, done: int) -> list[tuple[PlannedPhase, int]]:
        """Return the phases with how many epochs each has after so many of the plan."""
        return [(p, min(p.epochs, max(0, p.last_epoch - done))) for p in self._plan.phases]

    def _epoch_seconds(self, phase: PlannedPhase) -> float:
        return self._seconds(phase) + self._score()

    def _seconds(self, phase: PlannedPhase) -> float:
        """Return what an epoch of a phase takes to train: as measured, else by what others took."""
        measured = self._train_seconds.get(phase.number)
        if measured:
            return _mean(measured[-_LAST_EPOCHS:])
        ratios = [
            _mean(seconds[-_LAST_EPOCHS:]) / (self._train_images * _cost(self._plan.phases[number - 1]))
            for number, seconds in self._train_seconds.items()
        ]
        unit = max(ratios, default=self._score() / self._val_images)
        return unit * self._train_images * _cost(phase)

    def _score(self) -> float:
        return _mean(self._score_seconds[-_LAST_EPOCHS:]) if self._score_seconds else 0.0


def timed(watch: Watch, clock: RunClock) -> tuple[OnStep, OnEpoch]:
    """Return what a training calls after each step and each epoch, so that the watch is given the time that is left.

    After epoch 0, and when a phase has been measured, the watch gets it in words too.
    """
    phases: set[int] = set()

    def on_epoch(row: dict[str, Any]) -> None:
        watch.on_epoch(row)
        if "mix" in row:  # an average of weights comes after training
            return
        clock.note(row)
        left = clock.seconds_left()
        if row["phase"] not in phases and left > 0:
            watch.on_stage(f"about {duration(left)} of training to go")
        phases.add(row["phase"])

    def on_step(epoch: int, step: int, steps: int, loss: float, share: float) -> None:
        watch.on_step(epoch, step, steps, loss, share, clock.seconds_left_in(step, steps, share))

    return on_step, on_epoch


def duration(seconds: float) -> str:
    """Return a time in words: seconds below two minutes, else minutes, hours and minutes, or days."""
    if seconds < 120:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes >= 2880:
        return f"{minutes / 1440:.1f} days"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _cost(phase: PlannedPhase) -> float:
    if phase.views:
        return _KEPT_FEATURES
    return _FULL if {"stem", "stage1", "stage2", "stage3", "stage4"} & set(phase.rates) else _FROZEN_BACKBONE
