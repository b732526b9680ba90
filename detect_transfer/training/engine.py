"""The training loop, the same for every family: phases, epochs, scoring, keeping the best.

Epoch 0 is the model before any training. It is scored like every other, and it may stay the best: a run never hands
back something worse than what it started from.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Literal

import orjson
import torch
from torch.optim.swa_utils import AveragedModel

from detect_transfer.core.io import write_atomic
from detect_transfer.training.checkpoint import Progress, read_states, save_state
from detect_transfer.training.context import Interrupted, TrainContext
from detect_transfer.training.epoch import LossNotFinite, Step, run_epoch, set_mode
from detect_transfer.training.feature_cache import keep_features
from detect_transfer.training.optim import L2SP, build_optimizer
from detect_transfer.training.plan import PlannedPhase

logger = logging.getLogger(__name__)

_LEAST_RATE_SHARE = 0.125  # three roll-backs
After = Literal["next", "stop"]


def fit(job: TrainContext, resumed: dict[str, Any] | None = None) -> Progress:
    """Train by the plan and return how it went; weights and state are in the run folder.

    Args:
        job: All that the loop works with.
        resumed: The states of a run that goes on; None begins one.

    Raises:
        InputError: The loss is not finite.
        ResourceError: The memory does not hold a batch, or the disk no cache.
        Interrupted: It was asked to stop.
    """
    return _Fit(job).run(resumed)


class _Fit:
    """The networks of a run: the one that trains, its average, and the source."""

    def __init__(self, job: TrainContext) -> None:
        self.job = job
        self.module = job.detector.module
        self.source = {name: tensor.clone() for name, tensor in self.module.state_dict().items()}
        self.average = _average_of(self.module)
        self.stages = job.detector.stages()
        self.present = frozenset(self.stages.values())
        self.as_source = self.present  # the stages that are still those of the source

    def run(self, resumed: dict[str, Any] | None) -> Progress:
        """Run all phases."""
        progress = self.job.progress
        if resumed is None:
            self._end_epoch(None, None, time.monotonic(), {})
        for phase in self.job.plan.phases[progress.phase - 1 :]:
            if phase.number > progress.phase:
                progress.phase, progress.phase_epoch = phase.number, 0
            self._begin(phase, resumed)
            after = self._run_phase(phase, resumed)
            resumed = None
            self.job.accelerator.free_memory()  # it would keep the wrapped network of every phase
            if after == "stop":
                break
        progress.finished = True
        self._save(None)
        return progress

    def _begin(self, phase: PlannedPhase, resumed: dict[str, Any] | None) -> None:
        """Put the network where the phase goes on from."""
        if resumed is not None:
            self._load(resumed)
        elif phase.start != "previous":
            self.job.accelerator.wait_for_everyone()  # the main process may still be writing the best weights
            state = self.source if phase.start == "source" else self.job.best_weights()
            self.module.load_state_dict(state)
            self.average = _average_of(self.module)
            self.job.progress.rate_share = 1.0
            self.job.progress.course_start = self.job.progress.epoch
        moved = [p for p in self.job.plan.phases[: phase.number]]
        restarts = [p.number for p in moved if p.start == "source"]
        course = [p for p in moved if not restarts or p.number >= restarts[-1]]
        kept = self.present.difference(*[p.rates for p in course])
        self.as_source = frozenset() if any(p.batchnorm == "all" for p in course) else kept

    def _load(self, states: dict[str, Any]) -> None:
        self.module.load_state_dict(states["module"])
        self.average.load_state_dict(states["average"])
        torch.set_rng_state(states["rng"])

    def _run_phase(self, phase: PlannedPhase, resumed: dict[str, Any] | None) -> After:
        """Run the epochs of one phase; tell what comes after it."""
        job, progress = self.job, self.job.progress
        step = self._step(phase)
        if resumed is not None and resumed["optimizer"] is not None:  # it stopped inside this phase
            step.optimizer.load_state_dict(resumed["optimizer"])
            step.scaler.load_state_dict(resumed["scaler"])
        self._save(step)  # what a roll-back goes back to
        before, length = job.plan.course(phase)
        while progress.phase_epoch < phase.epochs:
            if progress.phase_epoch and not progress.step and (ended := _ended(job, phase)):
                return ended
            started = time.monotonic()
            job.detector.on_epoch(before + progress.phase_epoch + 1, length)
            try:
                facts = run_epoch(job, phase, step)
            except Interrupted:
                self._save(step)
                raise
            except LossNotFinite as error:
                self._roll_back(step, error)
                continue
            self._end_epoch(step, phase, started, facts)
        return _ended(job, phase) or "next"

    def _step(self, phase: PlannedPhase) -> Step:
        """Return what the steps of a phase work with."""
        job = self.job
        for name, parameter in self.module.named_parameters():
            parameter.requires_grad_(name in job.detector.trainable and self.stages[name] in phase.rates)
        optimizer = build_optimizer(job.detector, phase, job.settings, fresh_lr_factor=job.plan.fresh_lr_factor)
        scaler: Any = torch.amp.GradScaler(job.accelerator.device.type, enabled=job.precision == "fp16")
        parameters = dict(self.module.named_parameters())
        taken = {
            id(p): self.source[n]
            for n, p in parameters.items()
            if phase.pull and n not in job.detector.new_class_params
        }
        trained: Any = self.module
        loader = job.loader
        cut = job.detector.split(phase.frozen(self.present)) if phase.views else None
        if cut is not None and job.accelerator.num_processes > 1:
            logger.warning("features are kept by one process alone: with several they are computed every time")
        elif cut is not None:
            set_mode(job.detector, phase)
            kept = keep_features(job, cut, phase.views)
            if kept is not None:
                trained, loader = cut.tail, kept
        wrapped = job.accelerator.prepare_model(trained)
        return Step(wrapped, loader, optimizer, scaler, self.average, L2SP(optimizer, taken, phase.pull))

    def _roll_back(self, step: Step, error: LossNotFinite) -> None:
        """Go back to the end of the last epoch with half the rate, or raise the error."""
        job, progress = self.job, self.job.progress
        share = progress.rate_share / 2
        if job.settings.on_not_finite != "roll_back" or share < _LEAST_RATE_SHARE:
            raise error
        states = read_states(job.state_path)
        self._load(states)
        step.optimizer.load_state_dict(states["optimizer"])
        step.optimizer.zero_grad(set_to_none=True)
        step.scaler.load_state_dict(states["scaler"])
        progress.step, progress.sums = states["progress"]["step"], states["progress"]["sums"]
        progress.rate_share = share
        logger.warning("%s; back to the end of epoch %d, at %g of the rates", error, progress.epoch, share)

    def _end_epoch(self, step: Step | None, phase: PlannedPhase | None, started: float, facts: dict[str, Any]) -> None:
        """Score the averaged network, note the row, keep weights and state."""
        job, progress = self.job, self.job.progress
        began = time.monotonic()
        metrics = job.score(self.average.module, self.as_source)
        now = time.monotonic()
        row = {
            "epoch": 0 if phase is None else progress.epoch + 1,
            "phase": 0 if phase is None else phase.number,
            **{k: metrics[k] for k in ("AP", "AP50", "AP75")},
            **facts,
            "score_seconds": now - began,
            "epoch_seconds": now - started,
        }
        progress.phase_epoch += phase is not None
        best = progress.note(row)
        if job.accelerator.is_main_process:
            if best:
                job.save_best(self.average.module)
            job.save_last(self.average.module)
        self._save(step)
        job.on_epoch({**row, "best": best})

    def _save(self, step: Step | None) -> None:
        """Keep what a run needs to go on, and the rows of the epochs."""
        job = self.job
        if not job.accelerator.is_main_process:
            return
        states = {
            "module": self.module.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": None if step is None else step.optimizer.state_dict(),
            "scaler": None if step is None else step.scaler.state_dict(),
            "rng": torch.get_rng_state(),
        }
        save_state(job.state_path, job.progress, job.fingerprint, states)
        rows = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in job.progress.history)
        write_atomic(job.history_path, rows)


def _ended(job: TrainContext, phase: PlannedPhase) -> After | None:
    """Tell whether a phase is to end with the epoch that is over, and what comes then."""
    progress, row = job.progress, job.progress.history[-1]
    reached = [row[name] is not None and row[name] >= value for name, value in (phase.until or {}).items()]
    if reached and all(reached):
        logger.info("phase %d: good enough after epoch %d", phase.number, progress.epoch)
        return phase.on_until
    without = min(progress.epoch - progress.best_epoch, progress.phase_epoch)
    if job.settings.patience is not None and without >= job.settings.patience:
        another_road = any(later.start != "previous" for later in job.plan.phases[phase.number :])
        logger.info("%d epochs without a better AP: %s ends", without, "this road" if another_road else "training")
        return "next" if another_road else "stop"
    if phase.patience is not None and without >= phase.patience:
        logger.info("phase %d: %d epochs without a better AP", phase.number, phase.patience)
        return "next"
    return None


def _average_of(module: torch.nn.Module) -> AveragedModel:
    return AveragedModel(module, multi_avg_fn=_average, use_buffers=True)


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
