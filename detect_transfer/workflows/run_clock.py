"""How long a run will take: from what its epochs took, and before that from what scoring epoch 0 took."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from detect_transfer.data.run_data import RunData
from detect_transfer.training.checkpoint import Progress
from detect_transfer.training.context import TrainContext
from detect_transfer.training.plan import Plan, PlannedPhase
from detect_transfer.workflows.watch import Watch

OnStep = Callable[[int, int, int, float, float], None]
OnEpoch = Callable[[dict[str, Any]], None]

# what an image costs in training, in units of what it costs to read and score it; measured with YOLO11n on two cores
_FULL, _FROZEN_BACKBONE, _KEPT_FEATURES = 1.2, 0.7, 0.25
_LAST_EPOCHS = 3  # what is measured is their mean: the first epochs of a run fill its caches
BETWEEN_EPOCHS = 1.1  # what is saved and set up beside the steps
_FIRST_STEPS = 3  # of an epoch, after which its own speed counts


class RunClock:
    """The time that a run has still to go.

    Args:
        plan: What trains when.
        train_images: Images of an epoch.
        val_images: Images that are scored after it.
        averages: How many averages of weights are scored when its epochs are over.
        budget_seconds: How long training and scoring may take.
        now: The clock, in seconds.
    """

    def __init__(
        self,
        plan: Plan,
        train_images: int,
        val_images: int,
        *,
        averages: int = 0,
        budget_seconds: float = math.inf,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._train_images = train_images
        self._val_images = max(val_images, 1)
        self._averages = averages
        self._now = now
        self._train_seconds: dict[int, list[float]] = {}
        self._score_seconds: dict[int, list[float]] = {}
        self._ended: tuple[int, float] | None = None  # the phase of the last epoch, and when it was over
        self._first_step: tuple[int, int, float] = (-1, 0, 0.0)  # of an epoch: epochs before it, its number, its time
        self._done = 0  # epochs of the plan
        self._end = now() + budget_seconds

    def begin_at(self, history: Iterable[Mapping[str, Any]]) -> None:
        """Take note of the epochs of a run that goes on, and of the time that they took of its budget."""
        for row in history:
            self._note(row, row.get("train_seconds", 0.0) * BETWEEN_EPOCHS)
            self._end -= row["epoch_seconds"]

    def note(self, row: Mapping[str, Any]) -> None:
        """Take note of an epoch that is over, by its row."""
        now, trained = self._now(), row.get("train_seconds", 0.0) * BETWEEN_EPOCHS
        if self._ended is not None and self._ended[0] == row["phase"]:  # the first of a phase sets up what others use
            trained = max(trained, now - self._ended[1] - row["score_seconds"])
        self._ended = row["phase"], now
        self._note(row, trained)

    def _note(self, row: Mapping[str, Any], train_seconds: float) -> None:
        self.note_measured(row["phase"], train_seconds, row["score_seconds"])
        if row["phase"]:
            self._done = max(self._done + 1, self._plan.phases[row["phase"] - 1].first_epoch)

    def note_measured(self, phase: int, train_seconds: float, score_seconds: float) -> None:
        """Take note of what an epoch of a phase takes.

        Args:
            phase: Its number; 0 is the scoring before any training.
            train_seconds: All but scoring.
            score_seconds: Scoring.
        """
        if phase:
            self._train_seconds.setdefault(phase, []).append(train_seconds)
            self._score_seconds.pop(0, None)  # that of epoch 0 had to read the images
        self._score_seconds.setdefault(phase, []).append(score_seconds)

    def seconds_left(self) -> float:
        """Return how long training and scoring take from the end of an epoch on."""
        return self._within_budget(self._seconds_after(self._done))

    def seconds_left_in(self, step: int, steps: int, share: float) -> float:
        """Return how long they take from a step on.

        Args:
            step: The steps of this epoch that are done.
            steps: The steps that it has.
            share: The share of the epochs of the plan that is done.
        """
        now = self._now()
        planned = round(share * self._plan.epochs - step / steps)  # epochs before this one
        phase = next(phase for phase in self._plan.phases if planned < phase.last_epoch)
        if self._first_step[0] != planned or self._first_step[1] >= step:
            self._first_step = planned, step, now
        measured = step - self._first_step[1]
        step_seconds = self._seconds(phase) / steps
        if measured >= _FIRST_STEPS:
            step_seconds = (now - self._first_step[2]) / measured
        left = step_seconds * (steps - step) + self._score(phase.number) + self._seconds_after(planned + 1)
        return self._within_budget(left)

    def _within_budget(self, seconds: float) -> float:
        return max(0.0, min(seconds, self._end - self._now()))

    def _seconds_after(self, done: int) -> float:
        """Return how long the epochs take after so many of the plan, and the averages of weights after them."""
        if not self._plan.phases:
            return 0.0
        counts = [min(p.epochs, max(0, p.last_epoch - done)) for p in self._plan.phases]
        seconds = [self._seconds(p) + self._score(p.number) for p in self._plan.phases]
        averages = self._averages * self._score(self._plan.phases[-1].number)
        return sum(n * each for n, each in zip(counts, seconds, strict=True)) + averages

    def _seconds(self, phase: PlannedPhase) -> float:
        """Return what an epoch of a phase takes but for its scoring: as measured, else by what others took."""
        measured = self._train_seconds.get(phase.number)
        if measured:
            return _mean(measured[-_LAST_EPOCHS:])
        ratios = [
            _mean(seconds[-_LAST_EPOCHS:]) / (self._train_images * _cost(self._plan.phases[number - 1]))
            for number, seconds in self._train_seconds.items()
        ]
        unit = max(ratios, default=self._score(0) / self._val_images)
        return unit * self._train_images * _cost(phase)

    def _score(self, phase: int) -> float:
        """Return what scoring takes in a phase: as measured, else at most, for features may have been kept."""
        measured = self._score_seconds.get(phase)
        if measured:
            return _mean(measured[-_LAST_EPOCHS:])
        return max((each for seconds in self._score_seconds.values() for each in seconds), default=0.0)


def clock_of(context: TrainContext, progress: Progress, data: RunData) -> RunClock:
    """Return the clock of a run that begins, or goes on from what it has done."""
    n_train, n_val = data.train.images.height, data.val.images.height
    averages = context.mixes.most
    clock = RunClock(context.plan, n_train, n_val, averages=averages, budget_seconds=context.budget_seconds)
    clock.begin_at(progress.history)
    return clock


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
