"""The last step of training: averages of weights are scored as epochs are, and the best may be one of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from copy import deepcopy

import torch

from detect_transfer.config import Stage
from detect_transfer.training.context import Interrupted, TrainContext
from detect_transfer.training.mixes import Mix, State, choose_soup, interpolate, ranked_epochs, soup

logger = logging.getLogger(__name__)


def stored_epochs(context: TrainContext) -> set[int]:
    """Return the epochs whose weights are to be stored: the best of the course that trains, and of the best course."""
    ranked = ranked_epochs(context.progress.history, context.plan)
    current = [epochs for epochs in ranked if max(epochs) == context.progress.epoch]
    return {epoch for epochs in ranked[:1] + current for epoch in epochs[: context.mixes.stored_epochs]}


def try_mixes(
    context: TrainContext, source: State, module: torch.nn.Module, as_source: Callable[[int], frozenset[Stage]]
) -> None:
    """Score averages of weights of the best course, and keep the best where it is better than every epoch.

    Where source classes are kept, the nearest to the source is the best of those whose AP is hardly lower.

    The network that trained stays as it is, so that a run is extended from its last weights.

    Args:
        context: The run, whose phases have ended.
        source: The weights before training.
        module: A network to copy.
        as_source: Gives the stages that are those of the source in an epoch of a phase.

    Raises:
        Interrupted: It was asked to stop.
    """
    options, progress = context.mixes, context.progress
    context.accelerator.wait_for_everyone()  # the main process may still be writing weights
    ranked = ranked_epochs(progress.history, context.plan)
    best = [epoch for epoch in (ranked[0] if ranked else ()) if context.epoch_weights.has(epoch)]
    best = best[: options.stored_epochs]
    if not best:
        return
    phases = {row["epoch"]: row["phase"] for row in progress.history}
    mixer = _Mixer(context, deepcopy(module), {epoch: as_source(phases[epoch]) for epoch in best})
    states = {epoch: _on_device(context, context.epoch_weights.read(epoch)) for epoch in best}
    trained = mixer.soups(states) if options.soup_epochs > 1 else (best[0],)
    for share in options.shares:
        mixed = interpolate(source, soup([states[epoch] for epoch in trained]), share, options.trained_rows)
        mixer.score(Mix("interpolated", trained, share), mixed)


def _on_device(context: TrainContext, state: State) -> dict[str, torch.Tensor]:
    return {name: tensor.to(context.accelerator.device) for name, tensor in state.items()}


class _Mixer:
    """Scores averages of weights."""

    def __init__(
        self, context: TrainContext, module: torch.nn.Module, as_source: Mapping[int, frozenset[Stage]]
    ) -> None:
        self._context = context
        self._module = module
        self._as_source = as_source

    def soups(self, states: Mapping[int, State]) -> tuple[int, ...]:
        """Score means of the weights of epochs; return the epochs whose mean is the best, or the best epoch alone."""
        order, history = list(states), self._context.progress.history
        first = float(next(row["AP"] for row in history if row["epoch"] == order[0]))
        return choose_soup(order, first, lambda kind, of: self.score(Mix(kind, of), soup([states[e] for e in of])))

    def score(self, mix: Mix, state: State) -> float:
        """Score one average of weights; return its AP, -1 where there is none."""
        context, progress = self._context, self._context.progress
        if context.stop.signal is not None:
            raise Interrupted(context.stop.signal, context.folder)
        began = time.monotonic()
        self._module.load_state_dict(dict(state))
        as_source = frozenset.intersection(*(self._as_source[epoch] for epoch in mix.epochs))
        metrics = context.score(self._module, as_source, f"mix_{len(progress.mixes):03d}")
        row = {
            "epoch": progress.epoch,
            "mix": mix.kind,
            "share": mix.share,
            "epochs": list(mix.epochs),
            **{k: metrics[k] for k in ("AP", "AP50", "AP75")},
            "score_seconds": time.monotonic() - began,
        }
        give_up = context.mixes.give_up if mix.kind == "interpolated" else 0.0
        best = progress.note_mix(row, give_up=give_up)
        if best and context.accelerator.is_main_process:
            context.save_best(self._module)
        context.on_epoch({**row, "best": best})
        ap = metrics["AP"]
        return -1.0 if ap is None else ap
