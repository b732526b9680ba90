"""What a run needs to go on where it stopped: written whole after every epoch, read without running code."""

from __future__ import annotations

import pickle
import zipfile
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from detect_transfer.core.errors import InputError
from detect_transfer.core.io import new_file, read_errors
from detect_transfer.core.opening import open_regular
from detect_transfer.models.tensor_files import damaged_part, first_not_finite
from detect_transfer.training.mixes import mix_of


@dataclass
class Spent:
    """What the steps of an epoch took, also before a resume: images, seconds, and seconds of waiting for images."""

    images: int = 0
    seconds: float = 0.0
    waited: float = 0.0


@dataclass
class Progress:
    """How far training is.

    Args:
        epoch: The last whole epoch; 0 is the model before any training.
        best_epoch: The epoch with the best AP so far.
        best_ap: The AP of the best weights so far; None where there was nothing to score.
        history: A row an epoch, as in `metrics.jsonl`.
        finished: Training ended by itself.
        phase: The phase that runs, from 1.
        phase_epoch: How many whole epochs of it are done.
        course_start: The epoch after which the network last began again.
        step: How many steps of the next epoch are done.
        sums: The sums of the loss parts over these steps.
        spent: What these steps took.
        rate_share: What is left of the rates after roll-backs.
        planned_epochs: `train.epochs` of the run, and of each time that it was extended.
        plan: The phases that it began with, as `Plan.text` has them.
        mixes: A row an average of weights that was scored, as in `metrics.jsonl`.
        best_mix: That of the best weights, where they are such an average.
        packages: The licence ledger of the code that its processes have loaded.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_ap: float | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    finished: bool = False
    phase: int = 1
    phase_epoch: int = 0
    course_start: int = 0
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)
    rate_share: float = 1.0
    planned_epochs: list[int] = field(default_factory=list)
    plan: str = ""
    mixes: list[dict[str, Any]] = field(default_factory=list)
    best_mix: dict[str, Any] | None = None
    packages: list[dict[str, str]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """What all epochs and averages of weights took."""
        seconds = [row["epoch_seconds"] for row in self.history] + [row["score_seconds"] for row in self.mixes]
        return float(sum(seconds))

    @property
    def score_seconds(self) -> float:
        """What scoring an epoch took at most."""
        return max(float(row["score_seconds"]) for row in self.history)

    @property
    def best_weights(self) -> str:
        """What the best weights are, in words."""
        return f"epoch {self.best_epoch}" if self.best_mix is None else mix_of(self.best_mix).name

    def note(self, row: dict[str, Any]) -> bool:
        """Add the row of an epoch; tell whether it is the best so far."""
        self.epoch = row["epoch"]
        self.step, self.sums, self.spent = 0, {}, Spent()
        self.history.append(row)
        ap = row["AP"]
        # the best so far may be an average that was kept below an epoch, for what it knows of the source
        before = [each["AP"] for each in (*self.history[:-1], *self.mixes) if each["AP"] is not None]
        better = len(self.history) == 1 or (ap is not None and ap > max(before, default=-1.0))
        if better:
            self.best_epoch, self.best_ap, self.best_mix = self.epoch, ap, None
        return better

    def note_mix(self, row: dict[str, Any], *, give_up: float = 0.0) -> bool:
        """Add the row of an average of weights; tell whether it is the best so far.

        Args:
            row: Its row.
            give_up: How far below the highest AP it may lie and be the best, as it is nearer the source than others.
        """
        self.mixes.append(row)
        if row["AP"] is None or self.best_ap is None:
            return False
        highest = max(each["AP"] for each in (*self.history, *self.mixes) if each["AP"] is not None)
        better = row["AP"] > self.best_ap or (give_up > 0 and row["AP"] >= highest - give_up)
        if better:
            self.best_ap, self.best_mix = row["AP"], row
        return better


def save_state(path: Path, progress: Progress, fingerprint: str, tensors: dict[str, Any]) -> None:
    """Save progress and the states of module, average, optimizer and random numbers, atomically.

    Raises:
        InputError: The weights are not finite.
        ResourceError: The disk is full or does not let us write.
    """
    if broken := _not_finite(tensors):
        what, remedy = f"the tensor {broken} is not finite, so the state is not saved", "lower train.lr"
        raise InputError("WEIGHTS_NOT_FINITE", what, where=path, remedy=remedy)
    with new_file(path) as stream:
        try:
            torch.save({"fingerprint": fingerprint, "progress": asdict(progress), **tensors}, stream)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):  # torch stumbles over what is left of a write that failed
                raise error.__context__ from None
            raise


def progress_of(states: dict[str, Any]) -> Progress:
    """Return how far training was when its states were saved.

    Raises:
        TypeError: It has other fields than this version saves.
    """
    stored = deepcopy(states["progress"])
    return Progress(**{**stored, "spent": Spent(**stored.get("spent", {}))})


def read_states(path: Path) -> dict[str, Any]:
    """Read what `save_state` saved, without running code from it.

    Raises:
        InputError: The file is damaged.
        ResourceError: The machine does not let us read it.
    """
    with read_errors(path), open_regular(path) as stream:
        stream.read(1)
    try:
        if part := damaged_part(path):
            raise zipfile.BadZipFile(f"bits of its part {part} have changed")
        states: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        progress_of(states)
        if broken := _not_finite(states):
            raise ValueError(f"its tensor {broken} is not finite")
    except (
        RuntimeError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        EOFError,
        LookupError,
        TypeError,
        ValueError,
        OSError,
    ) as error:
        reason = error if type(error) in (zipfile.BadZipFile, ValueError) else type(error).__name__  # torch's are pages
        raise InputError(
            "RESUME_DAMAGED",
            f"it cannot be read ({reason})",
            where=path,
            remedy="start the run again from weights/last.safetensors of this folder",
        ) from error
    return states


def _not_finite(states: dict[str, Any]) -> str | None:
    return first_not_finite(states["module"]) or first_not_finite(states["average"])
