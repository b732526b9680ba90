"""Averages of weights as candidates: between the source and what was trained, and over the epochs of one plan.

Sources: Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" (WiSE-FT: interpolation with the source), and
"Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing inference time".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import torch

from detect_transfer.config import Transfer
from detect_transfer.models.base import Detector, TransferReport
from detect_transfer.training.plan import Plan

State = Mapping[str, torch.Tensor]
SoupKind = Literal["uniform soup", "greedy soup"]
Kind = Literal["interpolated", SoupKind]
Key = TypeVar("Key")

_SHARES = (0.25, 0.5, 0.75)
_GIVE_UP = 0.005  # of AP, where source classes are kept, whose AP nothing here tells


@dataclass(frozen=True)
class Mix:
    """One average of weights.

    Args:
        kind: How it was made.
        epochs: The epochs whose weights were averaged, the best first.
        share: Of the trained weights; the rest is the source.
    """

    kind: Kind
    epochs: tuple[int, ...]
    share: float = 1.0

    @property
    def name(self) -> str:
        """What it is in a few words, such as `0.5 source + 0.5 epoch 7`."""
        epochs = ", ".join(map(str, self.epochs))
        trained = f"epoch {epochs}" if len(self.epochs) == 1 else f"mean of epochs {epochs}"
        return trained if self.share == 1 else f"{1 - self.share:g} source + {self.share:g} {trained}"


def mix_of(row: Mapping[str, Any]) -> Mix:
    """Return the average of weights that a row of `metrics.jsonl` is about."""
    return Mix(row["mix"], tuple(row["epochs"]), row["share"])


@dataclass(frozen=True)
class MixOptions:
    """What is averaged when training has ended.

    Args:
        shares: Of the trained weights, where these and the source are interpolated; none does not interpolate.
        soup_epochs: How many of the best epochs of a plan are stored and averaged; below 2 no epochs are averaged.
        trained_rows: For each tensor that is not wholly the source's, (rows,) bool which rows are taken from the
            trained weights alone.
        give_up: AP that may be lost to weights nearer the source, which keep more of what it knew.
    """

    shares: tuple[float, ...] = ()
    soup_epochs: int = 0
    trained_rows: Mapping[str, torch.Tensor] = field(default_factory=dict)
    give_up: float = 0.0

    @property
    def most(self) -> int:
        """How many averages are scored at most."""
        return len(self.shares) + (self.soup_epochs if self.soup_epochs > 1 else 0)

    @property
    def stored_epochs(self) -> int:
        """How many of the best epochs of a plan are stored."""
        return max(self.soup_epochs, 1) if self.shares else self.soup_epochs if self.soup_epochs > 1 else 0


def mix_options(transfer: Transfer, detector: Detector, report: TransferReport) -> MixOptions:
    """Return what is averaged: where more than class rows began at random, `auto` does not mix in the source."""
    if transfer.interpolate == "off":
        return MixOptions()
    rows = class_rows_from_training(detector, report)
    random = [name for name in report.new_tensors if name not in detector.class_rows()]
    shares: Sequence[float] = () if random else _SHARES
    if transfer.interpolate != "auto":
        shares = sorted({share for share in transfer.interpolate if share < 1}) if report.tensors else ()
    give_up = _GIVE_UP if transfer.keep_source_classes else 0.0
    return MixOptions(tuple(sorted(shares, reverse=give_up > 0)), transfer.soup_epochs, rows, give_up)


def class_rows_from_training(detector: Detector, report: TransferReport) -> dict[str, torch.Tensor]:
    """Return which rows (rows,) of each tensor are trained alone: those of classes that the source does not know."""
    state = detector.module.state_dict()
    new = {i for i, row in enumerate(report.rows) if not row.known}
    rows = {name: torch.tensor([i in new for i in indices]) for name, indices in detector.class_rows().items()}
    whole = {name: torch.ones(len(state[name]), dtype=torch.bool) for name in report.new_tensors if state[name].ndim}
    return {name: mask for name, mask in (rows | whole).items() if mask.any()}


def interpolate(source: State, trained: State, share: float, trained_rows: State) -> dict[str, torch.Tensor]:
    """Return `share` of the trained weights and the rest of the source; running statistics like weights.

    Args:
        source: The network before training.
        trained: The network after it.
        share: In [0, 1].
        trained_rows: As in `MixOptions`.
    """
    mixed = {}
    for name, tensor in trained.items():
        mixed[name] = torch.lerp(source[name], tensor, share) if torch.is_floating_point(tensor) else tensor.clone()
        if name in trained_rows:
            rows = trained_rows[name].to(tensor.device)
            mixed[name][rows] = tensor[rows]
    return mixed


def soup(states: Sequence[State]) -> dict[str, torch.Tensor]:
    """Return the mean of some weights; what is no floating point number is that of the first.

    A tensor that is the same in all is so in the mean, to the bit.
    """
    mean = {name: tensor.clone() for name, tensor in states[0].items()}
    for count, state in enumerate(states[1:], start=2):
        for name, tensor in mean.items():
            if torch.is_floating_point(tensor):
                tensor.lerp_(state[name], 1 / count)
    return mean


def choose_soup(
    order: Sequence[Key], first: float, score: Callable[[SoupKind, tuple[Key, ...]], float]
) -> tuple[Key, ...]:
    """Score the mean of all weights, and the mean to which each is added that does not lower its AP.

    Args:
        order: What names each, the best first.
        first: The AP of the best.
        score: Scores the mean of these; returns its AP.

    Returns:
        Those whose mean is the best, or the best alone.
    """
    chosen: tuple[Key, ...] = (order[0],)
    values = {chosen: first}
    for each in order[1:]:
        tried = (*chosen, each)
        values[tried] = score("greedy soup", tried)
        if values[tried] >= values[chosen]:
            chosen = tried
    if len(order) > 1 and tuple(order) not in values:
        values[tuple(order)] = score("uniform soup", tuple(order))
    return max(values, key=lambda keys: (values[keys], -len(keys)))


def ranked_epochs(history: Sequence[Mapping[str, Any]], plan: Plan) -> list[list[int]]:
    """Return for each course of a plan its epochs, the best first; the course with the best epoch comes first."""
    courses: dict[int, list[Mapping[str, Any]]] = {}
    for row in history:
        if row["phase"] and row["AP"] is not None:
            courses.setdefault(plan.course_start(row["phase"]), []).append(row)
    ranked = [sorted(rows, key=lambda row: (-row["AP"], row["epoch"])) for rows in courses.values()]
    ranked.sort(key=lambda rows: (-rows[0]["AP"], rows[0]["epoch"]))
    return [[row["epoch"] for row in rows] for rows in ranked]
