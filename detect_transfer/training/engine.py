"""The training loop, the same for every family: phases, epochs, scoring, keeping the best.

Epoch 0 is the model before any training. It is scored like every other, and it may stay the best: a run never hands
back something worse than what it started from.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import orjson
import torch
from accelerate.utils import broadcast

from detect_transfer.config import Stage
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import write_atomic
from detect_transfer.models.device import tuned_convolutions
from detect_transfer.models.licences import code_ledger
from detect_transfer.training.averaging import average_of
from detect_transfer.training.checkpoint import Progress, progress_of, read_states, save_state
from detect_transfer.training.context import Interrupted, TrainContext
from detect_transfer.training.ending import After, ended
from detect_transfer.training.epoch import Step, run_epoch, set_mode
from detect_transfer.training.faults import LossNotFinite, check_weights, loading_errors
from detect_transfer.training.feature_cache import cache_features
from detect_transfer.training.mixing import stored_epochs, try_mixes
from detect_transfer.training.optim import L2SP, build_optimizer
from detect_transfer.training.plan import PlannedPhase
from detect_transfer.training.random_states import random_states, restore_random_states
from detect_transfer.training.time_budget import Deadline, deadline_of, seconds_left

logger = logging.getLogger(__name__)

_LEAST_RATE_SHARE = 0.125  # three roll-backs
_OF_AN_EPOCH = ("AP", "AP50", "AP75", "train_AP")


def fit(context: TrainContext, resumed: dict[str, Any] | None = None) -> Progress:
    """Train by the plan and return how it went; weights and state are in the run folder.

    Args:
        context: All that the loop works with.
        resumed: The states of a run that goes on; None begins one.

    Raises:
        InputError: The loss is not finite, or the weights after an epoch.
        ResourceError: The memory does not hold a batch, the disk no cache, or a loading process died.
        Interrupted: It was asked to stop.
    """
    with loading_errors(context.folder), tuned_convolutions():
        return _Trainer(context).run(resumed)


class _Trainer:
    """The networks of a run: the one that trains, its average, and the source."""

    def __init__(self, context: TrainContext) -> None:
        self.context = context
        self.module = context.detector.module
        self.source = {name: tensor.clone() for name, tensor in self.module.state_dict().items()}
        self.average = average_of(self.module)
        self.stages = context.detector.stages()
        self.present = frozenset(self.stages.values())
        self.as_source = self.present  # the stages that are still those of the source

    def run(self, resumed: dict[str, Any] | None) -> Progress:
        """Run all phases."""
        progress = self.context.progress
        if resumed is None:
            self._end_epoch(None, None, time.monotonic(), {})
        for phase in self.context.plan.phases[progress.phase - 1 :]:
            if phase.number > progress.phase:
                progress.phase, progress.phase_epoch = phase.number, 0
            self._begin(phase, resumed)
            after = self._run_phase(phase, resumed)
            resumed = None
            self.context.accelerator.free_memory()  # it would keep the wrapped network of every phase
            if after == "stop":
                break
        self._mix(resumed)
        progress.finished = True
        self._save(None)
        return progress

    def _begin(self, phase: PlannedPhase, resumed: dict[str, Any] | None) -> None:
        """Put the network where the phase goes on from."""
        if resumed is not None:
            self._load(resumed)
        elif phase.start != "previous":
            self.context.accelerator.wait_for_everyone()  # the main process may still be writing the best weights
            state = self.source if phase.start == "source" else self.context.best_weights()
            self.module.load_state_dict(state)
            self.average = average_of(self.module)
            self.context.progress.rate_share = 1.0
            self.context.progress.course_start = self.context.progress.epoch
        self.as_source = self._untouched(phase.number)

    def _untouched(self, number: int) -> frozenset[Stage]:
        """Return the stages that are those of the source after a phase."""
        course = self.context.plan.phases[:number]
        restarts = [p for p in course if p.start != "previous"]
        if restarts and restarts[-1].start == "source":  # the best weights may come from any phase so far
            course = course[restarts[-1].number - 1 :]
        untouched = self.present.difference(*[p.rates for p in course])
        return frozenset() if any(p.batchnorm == "all" for p in course) else untouched

    def _mix(self, resumed: dict[str, Any] | None) -> None:
        """Try averages of weights; a run that is stopped meanwhile goes on with the first of them.

        One that had finished, and was stopped as its outputs were written, has tried them.
        """
        context = self.context
        if resumed is not None:
            self._load(resumed)
        if context.mixes.stored_epochs and not context.progress.finished:
            context.progress.phase = len(context.plan.phases) + 1
            self._save(None)
            try_mixes(context, self.source, self.average.module, self._untouched)

    def _load(self, states: dict[str, Any]) -> None:
        self.module.load_state_dict(states["module"])
        self.average.load_state_dict(states["average"])
        restore_random_states(states["rng"], self.context.accelerator)

    def _run_phase(self, phase: PlannedPhase, resumed: dict[str, Any] | None) -> After:
        """Run the epochs of one phase; tell what comes after it."""
        context, progress = self.context, self.context.progress
        # features that are computed first belong to the first epoch, and so do its steps before a resume
        started = time.monotonic() - progress.spent.seconds
        deadline = self._deadline(phase)
        step = self._step(phase, deadline)
        if resumed is not None and resumed["optimizer"] is not None:  # it stopped inside this phase
            step.optimizer.load_state_dict(resumed["optimizer"])
            step.scaler.load_state_dict(resumed["scaler"])
        self._save(step)  # what a roll-back goes back to
        before, length = context.plan.course(phase)
        while progress.phase_epoch < phase.epochs:
            if progress.phase_epoch and not progress.step and (after := ended(context, phase)):
                return after
            if deadline.share(context.accelerator) == 1:
                done = f"is over after {progress.phase_epoch} of" if progress.phase_epoch else "leaves no time for"
                context.on_stage(f"phase {phase.number}: its share of transfer.budget {done} its {phase.epochs} epochs")
                break
            context.detector.on_epoch(before + progress.phase_epoch + 1, length)
            try:
                facts = run_epoch(context, phase, step)
                check_weights(context, self.module, self.average.module)
            except Interrupted:
                try:
                    self._save(step)
                except InputError as error:
                    logger.warning("%s; --resume goes on from the end of epoch %d", error, progress.epoch)
                raise
            except LossNotFinite as error:
                self._roll_back(step, error)
                continue
            self._end_epoch(step, phase, started, facts)
            started = time.monotonic()
        return (ended(context, phase) if progress.phase_epoch else None) or "next"

    def _deadline(self, phase: PlannedPhase) -> Deadline:
        """Return until when a phase may go on."""
        context, progress = self.context, self.context.progress
        phases = context.plan.phases[phase.number - 1 :]
        epochs = [p.epochs - (progress.phase_epoch if p is phase else 0) for p in phases]
        return deadline_of(seconds_left(context), epochs[0], sum(epochs), progress.score_seconds)

    def _step(self, phase: PlannedPhase, deadline: Deadline) -> Step:
        """Return what the steps of a phase work with."""
        context = self.context
        for name, parameter in self.module.named_parameters():
            parameter.requires_grad_(name in context.detector.trainable and self.stages[name] in phase.rates)
        optimizer = build_optimizer(
            context.detector, phase, context.settings, new_class_lr_factor=context.plan.new_class_lr_factor
        )
        scaler: Any = torch.amp.GradScaler(context.accelerator.device.type, enabled=context.precision == "fp16")
        parameters = dict(self.module.named_parameters())
        source_tensors = {
            id(p): self.source[n]
            for n, p in parameters.items()
            if phase.l2sp and n not in context.detector.new_class_params
        }
        trained: Any = self.module
        loader = context.loader
        network = context.detector.split(phase.frozen(self.present)) if phase.views else None
        if network is not None:
            set_mode(context.detector, phase)
            features = cache_features(context, network, phase.views)
            if features is not None:
                trained, loader = network.tail, features
        wrapped = context.accelerator.prepare_model(trained)
        l2sp = L2SP(optimizer, source_tensors, phase.l2sp)
        return Step(wrapped, loader, optimizer, scaler, self.average, l2sp, deadline)

    def _roll_back(self, step: Step, error: LossNotFinite) -> None:
        """Go back to the end of the last epoch with half the rate, or raise the error."""
        context, progress = self.context, self.context.progress
        share = progress.rate_share / 2
        if context.settings.on_not_finite != "roll_back" or share < _LEAST_RATE_SHARE:
            raise error
        states = read_states(context.state_path)
        self._load(states)
        step.optimizer.load_state_dict(states["optimizer"])
        step.optimizer.zero_grad(set_to_none=True)
        step.scaler.load_state_dict(states["scaler"])
        stored = progress_of(states)
        progress.step, progress.sums, progress.spent = stored.step, stored.sums, stored.spent
        progress.rate_share = share
        logger.warning("%s; back to the end of epoch %d, at %g of the rates", error, progress.epoch, share)

    def _end_epoch(self, step: Step | None, phase: PlannedPhase | None, started: float, facts: dict[str, Any]) -> None:
        """Score the averaged network, note the row, keep weights and state."""
        context, progress = self.context, self.context.progress
        began = time.monotonic()
        if context.accelerator.num_processes > 1:
            # each has running statistics of its own: all score those of the first
            broadcast(list(self.average.module.state_dict().values()))
        epoch = 0 if phase is None else progress.epoch + 1
        metrics = context.score(self.average.module, self.as_source, f"{epoch:06d}")
        now = time.monotonic()
        row = {
            "epoch": epoch,
            "phase": 0 if phase is None else phase.number,
            **{name: value for name, value in metrics.items() if name in _OF_AN_EPOCH},
            **facts,
            "score_seconds": now - began,
            "epoch_seconds": now - started,
        }
        progress.phase_epoch += phase is not None
        best = progress.note(row)
        if context.accelerator.is_main_process:
            if best:
                context.save_best(self.average.module)
            context.save_last(self.average.module)
            if epoch in stored_epochs(context):
                context.epoch_weights.write(epoch, self.average.module.state_dict())
        self._save(step)
        if context.accelerator.is_main_process and phase is not None:  # not before the state knows what is stored
            context.epoch_weights.keep_only(stored_epochs(context))
        context.on_epoch({**row, "best": best})

    def _save(self, step: Step | None) -> None:
        """Keep what a run needs to go on, and the rows of the epochs."""
        context = self.context
        random = random_states(context.accelerator)
        if not context.accelerator.is_main_process:
            return
        states = {  # plain dicts: the version that torch keeps of every layer would be most of what is pickled
            "module": dict(self.module.state_dict()),
            "average": dict(self.average.state_dict()),
            "optimizer": None if step is None else step.optimizer.state_dict(),
            "scaler": None if step is None else step.scaler.state_dict(),
            "rng": random,
        }
        context.progress.packages = code_ledger(context.progress.packages)
        save_state(context.state_path, context.progress, context.fingerprint, states)
        scored = [*context.progress.history, *context.progress.mixes]
        rows = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in scored)
        write_atomic(context.history_path, rows)
