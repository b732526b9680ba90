"""Going on with a run: from the step where it stopped, or, where it has finished, with more epochs."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detect_transfer.config import RunConfig, load_config, path_keys
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import require_file
from detect_transfer.models.tensor_files import read_tensors
from detect_transfer.training.checkpoint import Progress, progress_of, read_states
from detect_transfer.training.context import TrainContext
from detect_transfer.training.time_budget import seconds_left
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.train_context import RESUMABLE


def resume_config(folder: Path, words: Sequence[str]) -> RunConfig:
    """Return the config that a run goes on with: its own, with the few keys changed that may be.

    Raises:
        InputError: There is no such run, or a key would change what it computes.
    """
    changeable = [*RESUMABLE, *path_keys()]  # of paths: where the same files lie now
    for word in words:
        key = word.partition("=")[0]
        if key not in changeable:
            raise InputError(
                "RESUME_KEY",
                "a run goes on with the config that it began with",
                field=key,
                remedy=f"start a new run; --resume takes {', '.join(changeable)}",
            )
    config = load_config(require_file(RunFolder(folder).config, what="the config of a run"), words)
    return config.model_copy(update={"out": folder})  # the folder may have been moved


def read_state(folder: RunFolder, config: RunConfig) -> tuple[Progress, dict[str, Any]]:
    """Read how far a run is; where it has finished and is to be extended, put it before its new epochs.

    Raises:
        InputError: Nothing can be gone on with.
    """
    if not folder.state.is_file():
        what = "no epoch of this run was finished"
        remedy = f"delete {folder.path}, and start the run again"
        if folder.average.is_file():
            what, remedy = "this is an average of runs", "resume one of those, and average again"
        raise InputError("RESUME_NOTHING", what, where=folder.state, remedy=remedy)
    states = read_states(folder.state)
    progress = progress_of(states)
    if not progress.planned_epochs or not (progress.plan or progress.finished):
        raise _of_another_version(folder, "an earlier version began this run")
    wanted, planned = config.train.epochs, progress.planned_epochs[-1]
    extends = config.transfer.phases is None and config.transfer.strategy != "epoch0"
    if progress.finished and wanted > planned and extends:
        progress.planned_epochs.append(wanted)
    elif progress.finished and folder.manifest.exists():
        raise InputError(
            "RESUME_FINISHED",
            f"this run ended by itself after epoch {progress.epoch}",
            where=folder.state,
            remedy=_more(folder, config, 2 * planned, progress.seconds)
            if extends
            else f"start a new run with model.weights={folder.last}",
        )
    elif not progress.finished and wanted != planned:
        raise InputError(
            "RESUME_UNFINISHED",
            f"the run has not finished its {planned} epochs",
            field="train.epochs",
            value=wanted,
            remedy="resume it without train.epochs first",
        )
    require_file(folder.best, what="the best epoch so far, which the run may hand back")
    _require_whole(folder.best, f"start a new run with model.weights={folder.last}")
    if folder.last.is_file():
        _require_whole(folder.last, "delete it: the next epoch writes it again")
    folder.as_written(folder.best)
    return progress, states


def _of_another_version(folder: RunFolder, what: str) -> InputError:
    remedy = f"go on with that version, or start a new run with model.weights={folder.last}"
    return InputError("RESUME_CHANGED", what, where=folder.state, remedy=remedy)


def _require_whole(weights: Path, remedy: str) -> None:
    """Check that weights are those that were saved."""
    try:
        read_tensors(weights)
    except InputError as error:
        error.remedy = f"put back a copy, or {remedy}"
        raise


def begin_resumed(context: TrainContext, states: dict[str, Any], folder: RunFolder, config: RunConfig) -> None:
    """Check that data and config are those of the run; begin the new phase of one that is extended.

    Raises:
        InputError: They are not, or the budget leaves no time for the new phase.
    """
    if states["fingerprint"] != context.fingerprint:
        raise InputError(
            "RESUME_CHANGED",
            "the data or the config are not those that the run began with",
            where=folder.state,
            remedy="put them back, or start a new run",
        )
    progress = context.progress
    if states["progress"].get("plan", progress.plan) != progress.plan:
        raise _of_another_version(folder, "the version that began this run planned other phases")
    if progress.finished and len(progress.planned_epochs) > len(states["progress"]["planned_epochs"]):
        if seconds_left(context) <= progress.score_seconds:
            raise InputError(
                "RESUME_FINISHED",
                f"the {context.budget_seconds / 60:g} minutes of transfer.budget are over",
                where=folder.state,
                remedy=_more(folder, config, config.train.epochs, progress.seconds),
            )
        phase = context.plan.phases[-1]
        progress.finished, progress.phase, progress.phase_epoch = False, phase.number, 0
        folder.manifest.unlink(missing_ok=True)  # it marks a whole run
        last = progress.epoch + phase.epochs
        context.on_stage(f"extending the finished run from its last weights: epochs {progress.epoch + 1} to {last}")


def _more(folder: RunFolder, config: RunConfig, epochs: int, seconds: float) -> str:
    """Return the command that extends a run that took so many seconds, with twice its time where that is limited."""
    command = f"go on with --resume {shlex.quote(str(folder.path))} train.epochs={epochs}"
    if config.transfer.budget is None:
        return command
    minutes = 2 * max(config.transfer.budget, seconds / 60)
    return f"{command} transfer.budget={math.ceil(100 * minutes) / 100:g}"
