"""The named strategies: plans with a name, for a number of epochs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from detect_transfer.config import Phase, Stage, StrategyName, Train, Transfer
from detect_transfer.core.errors import InputError, did_you_mean

# There is no source; or it has a row for none, some or all of the target classes.
SourceClasses = Literal["no source", "none", "some", "all"]

_AFTER_BACKBONE: list[Stage] = ["neck", "rpn", "head"]
_HEAD: list[Stage] = ["rpn", "head"]
_HEAD_LR = 1e-3
_GENTLE = 0.2  # of the rate, where every class is taken from the source and there is more to lose than to learn
_HEAD_VIEWS = 2
_HEAD_EPOCHS = 0.5  # of the epochs of the config, for the head alone in `auto`
_NEW_HEAD_EPOCHS = 0.2  # the same where the source knows no class
_ALL_EPOCHS = 0.9  # the same for all stages


@dataclass(frozen=True)
class StrategyOptions:
    """What a strategy makes its phases of.

    Args:
        epochs: The epochs of the config.
        lr: The rate.
        cache_features: Whether frozen features are computed once, or in how many views.
        source_classes: Which target classes the source knows.
    """

    epochs: int
    lr: float
    cache_features: bool | int
    source_classes: SourceClasses


@dataclass(frozen=True)
class Strategy:
    """A named plan: the rate that it has by default, and its phases."""

    lr: float
    phases: Callable[[StrategyOptions], list[Phase]]


def classes_of_source(known: Sequence[bool] | None) -> SourceClasses:
    """Tell how many of the target classes the source knows, from whether it knows each; None where there is none."""
    if known is None:
        return "no source"
    return "all" if all(known) else "some" if any(known) else "none"


def choose_strategy(transfer: Transfer, source_classes: SourceClasses) -> StrategyName:
    """Return the strategy that a config asks for, or what is best without.

    Without a source that is `scratch`. Where kept source classes are untouched it is `head_only`, as all stages forget
    most of them; else `auto`.
    """
    if transfer.strategy is not None:
        return transfer.strategy
    if source_classes == "no source":
        return "scratch"
    return "head_only" if transfer.keep_source_classes and transfer.keep_from == "untouched" else "auto"


def phases_of(name: str, transfer: Transfer, train: Train, source_classes: SourceClasses) -> list[Phase]:
    """Return the phases of a named strategy.

    Args:
        name: A key of `STRATEGIES`.
        transfer: Whether frozen features are cached.
        train: Epochs and rate.
        source_classes: Which target classes the source knows.

    Raises:
        InputError: There is no such strategy.
    """
    if name not in STRATEGIES:
        remedy = did_you_mean(name, list(STRATEGIES))
        raise InputError(
            "STRATEGY_UNKNOWN", "there is no such strategy", field="transfer.strategy", value=name, remedy=remedy
        )
    strategy = STRATEGIES[name]
    options = StrategyOptions(train.epochs, train.lr or strategy.lr, transfer.cache_features, source_classes)
    return strategy.phases(options)


def _auto(options: StrategyOptions) -> list[Phase]:
    """Train the head alone first, then all stages from the best so far, which may be the source itself.

    The head learns on features that are computed once, so that its half of the epochs costs a fifth of as many of the
    whole network. With a tenth fewer of those, and the averages of weights that follow, 10 epochs take 1.0 to 1.2 times
    as long as training all stages alone. Where the source knows no class, features that were made for others soon limit
    the head: it has a fifth of the epochs then, all stages have those that this spares, and both take 1.2 times as
    long. All stages learn gently where the source knows every class: there a full rate forgets more than a small set
    teaches.
    """
    of_head, of_all = max(1, round(options.epochs * _HEAD_EPOCHS)), max(1, round(options.epochs * _ALL_EPOCHS))
    if options.source_classes == "none":
        spared = of_head - max(1, round(options.epochs * _NEW_HEAD_EPOCHS))
        of_head, of_all = of_head - spared, of_all + spared
    lr = options.lr * _GENTLE if options.source_classes == "all" else options.lr
    patience = max(3, of_head // 3)
    return [
        Phase(epochs=of_head, train=_HEAD, lr=_HEAD_LR, cache_features=_HEAD_VIEWS, patience=patience),
        Phase(epochs=of_all, train="all", lr=lr, start="best"),
    ]


def _all_stages(options: StrategyOptions) -> list[Phase]:
    return [Phase(epochs=options.epochs, train="all", lr=options.lr)]


def _untrained(options: StrategyOptions) -> list[Phase]:
    """Train nothing: the network as it was put together from the source is scored, and is the best."""
    return []


def _head_only(options: StrategyOptions) -> list[Phase]:
    return [Phase(epochs=options.epochs, train=_HEAD, lr=options.lr, cache_features=options.cache_features)]


def _frozen_backbone(options: StrategyOptions) -> list[Phase]:
    return [Phase(epochs=options.epochs, train=_AFTER_BACKBONE, lr=options.lr, cache_features=options.cache_features)]


def _discriminative(options: StrategyOptions) -> list[Phase]:
    return [Phase(epochs=options.epochs, train="all", lr=options.lr, lr_decay_per_stage=0.7)]


def _head_then_full(options: StrategyOptions) -> list[Phase]:
    """Train the head alone for a third of the epochs, then all stages from its best epoch on.

    Source: LP-FT of Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features and Underperform
    Out-of-Distribution": a head that fits spares the features behind it its first large gradients.
    """
    of_head = options.epochs // 3
    views = options.cache_features or _HEAD_VIEWS
    head = [Phase(epochs=of_head, train=_HEAD, lr=_HEAD_LR, cache_features=views)] if of_head else []
    return [
        *head,
        Phase(epochs=options.epochs - of_head, train="all", lr=options.lr, start="best" if head else "previous"),
    ]


def _gradual(options: StrategyOptions) -> list[Phase]:
    """Train the head first, then what lies behind the backbone, then all; a fifth of the epochs each at first."""
    opening: list[list[Stage]] = [_HEAD, _AFTER_BACKBONE]
    each = options.epochs // 5
    phases = [Phase(epochs=each, train=stages, lr=options.lr) for stages in opening] if each else []
    rest = options.epochs - each * len(phases)
    return [*phases, Phase(epochs=rest, train="all", lr=options.lr, lr_decay_per_stage=0.8)]


STRATEGIES: dict[str, Strategy] = {
    "auto": Strategy(5e-4, _auto),
    "scratch": Strategy(2e-3, _all_stages),
    "epoch0": Strategy(_HEAD_LR, _untrained),
    "head_only": Strategy(_HEAD_LR, _head_only),
    "frozen_backbone": Strategy(5e-4, _frozen_backbone),
    "full": Strategy(5e-4, _all_stages),
    "head_then_full": Strategy(5e-4, _head_then_full),
    "gradual": Strategy(5e-4, _gradual),
    "discriminative": Strategy(5e-4, _discriminative),
}
