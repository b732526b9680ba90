"""The named strategies: plans with a name, for a number of epochs."""

from __future__ import annotations

from typing import Literal

from detect_transfer.config import Phase, Stage, StrategyName, Train, Transfer

Classes = Literal["none", "some", "all"]  # which target classes have a row in the source; none: there is no source

_AFTER_BACKBONE: list[Stage] = ["neck", "rpn", "head"]
_HEAD: list[Stage] = ["rpn", "head"]
_DEFAULT_LR: dict[StrategyName, float] = {
    "auto": 5e-4,
    "scratch": 2e-3,
    "head_only": 1e-3,
    "frozen_backbone": 5e-4,
    "full": 5e-4,
    "gradual": 5e-4,
    "discriminative": 5e-4,
}
_GENTLE = 0.2  # of the rate, where every class is taken from the source and there is more to lose than to learn
_SCOUT_VIEWS = 2


def choose_strategy(transfer: Transfer, known: Classes) -> StrategyName:
    """Return the strategy that a config asks for; where it asks for none, `auto`, or `scratch` without a source."""
    return transfer.strategy or ("scratch" if known == "none" else "auto")


def phases_of(strategy: StrategyName, transfer: Transfer, train: Train, known: Classes) -> list[Phase]:
    """Return the phases of a named strategy.

    Args:
        strategy: Its name.
        transfer: Whether frozen features are kept.
        train: Epochs and rate.
        known: Which classes the source knows.
    """
    lr, epochs = train.lr or _DEFAULT_LR[strategy], train.epochs
    keep = transfer.cache_features
    if strategy == "auto":
        return _auto(epochs, lr, known)
    if strategy == "head_only":
        return [Phase(epochs=epochs, train=_HEAD, lr=lr, cache_features=keep)]
    if strategy == "frozen_backbone":
        return [Phase(epochs=epochs, train=_AFTER_BACKBONE, lr=lr, cache_features=keep)]
    if strategy == "discriminative":
        return [Phase(epochs=epochs, train="all", lr=lr, lr_decay_per_stage=0.7)]
    if strategy == "gradual":
        return _gradual(epochs, lr)
    return [Phase(epochs=epochs, train="all", lr=lr)]


def _auto(epochs: int, lr: float, known: Classes) -> list[Phase]:
    """Try the cheap road, then the long one, both from the source; the best epoch of either is kept, epoch 0 too.

    The head alone learns on features that are computed once, so that its road costs little. All stages together learn
    gently where the source knows every class already: there a full rate forgets more than a small set teaches.
    """
    head_lr = _DEFAULT_LR["head_only"]
    scout = Phase(epochs=epochs, train=_HEAD, lr=head_lr, cache_features=_SCOUT_VIEWS, patience=max(3, epochs // 3))
    return [scout, Phase(epochs=epochs, train="all", lr=lr * _GENTLE if known == "all" else lr, start="source")]


def _gradual(epochs: int, lr: float) -> list[Phase]:
    """Train the head first, then what lies behind the backbone, then all; a fifth of the epochs each at first."""
    opening: list[list[Stage]] = [_HEAD, _AFTER_BACKBONE]
    each = epochs // 5
    phases = [Phase(epochs=each, train=stages, lr=lr) for stages in opening] if each else []
    return [*phases, Phase(epochs=epochs - each * len(phases), train="all", lr=lr, lr_decay_per_stage=0.8)]
