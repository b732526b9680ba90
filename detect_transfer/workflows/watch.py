"""What a run says while it goes on, on the console and in its log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from detect_transfer.core.counted import counted
from detect_transfer.training.context import Stop
from detect_transfer.training.mixes import mix_of
from detect_transfer.training.plan import Plan

logger = logging.getLogger(__name__)

_MUCH_WAITING = 0.02  # share of the time of an epoch


@dataclass(frozen=True)
class Watch:
    """What a run tells while it goes on; each is a function that may do nothing.

    Args:
        on_stage: Called with what begins now, or a fact, in a line.
        on_plan: Called with the plan and its table before training.
        on_step: Called with epoch, step, steps, loss, the share of the whole run that is done, and the seconds that
            training will take from now on.
        on_epoch: Called with the row of each epoch, with `best`.
        on_progress: Called with what is going on, how much is done, and of how much.
        stop: Set from outside to end training at the next step.
    """

    on_stage: Callable[[str], None] = lambda _: None
    on_plan: Callable[[Plan, list[dict[str, Any]]], None] = lambda *_: None
    on_step: Callable[[int, int, int, float, float, float], None] = lambda *_: None
    on_epoch: Callable[[dict[str, Any]], None] = lambda _: None
    on_progress: Callable[[str, int, int], None] = lambda *_: None
    stop: Stop = field(default_factory=Stop)

    def logged(self) -> Watch:
        """Return a watch that also writes lines, plan and epochs into the log."""

        def on_stage(text: str) -> None:
            logger.info(text)
            self.on_stage(text)

        def on_plan(plan: Plan, rows: list[dict[str, Any]]) -> None:
            for line in plan_lines(plan, rows):
                logger.info(line)
            self.on_plan(plan, rows)

        def on_epoch(row: dict[str, Any]) -> None:
            logger.info(epoch_line(row))
            self.on_epoch(row)

        return replace(self, on_stage=on_stage, on_plan=on_plan, on_epoch=on_epoch)

    def say(self, *lines: str) -> None:
        """Call `on_stage` with each line."""
        for line in lines:
            self.on_stage(line)

    def counting(self, what: str, total: int) -> Callable[[int], None]:
        """Return a function that is called with how many more of a total are done."""
        done = 0

        def advance(number: int) -> None:
            nonlocal done
            done += number
            self.on_progress(what, done, total)

        return advance


def epoch_line(row: dict[str, Any]) -> str:
    """Return the line of an epoch, or of an average of weights."""

    def shown(value: float | None) -> str:
        return "  -  " if value is None else f"{value:.3f}"

    best = "  best" if row["best"] else ""
    if "mix" in row:
        return f"average    AP {shown(row['AP'])}  AP50 {shown(row['AP50'])}  {mix_of(row).name}{best}"
    trained = "  (untrained)"
    if "loss" in row:
        waited = f" ({row['waiting_share']:.0%} waiting for data)" if row["waiting_share"] >= _MUCH_WAITING else ""
        trained = f"  loss {row['loss']:.3f}  {row['images_per_second']:.1f} images/s{waited}"
    return f"epoch {row['epoch']:3d}  AP {shown(row['AP'])}  AP50 {shown(row['AP50'])}{trained}{best}"


def plan_lines(plan: Plan, rows: list[dict[str, Any]]) -> list[str]:
    """Return the plan in lines of text: the strategy, and the rate of each stage in each phase."""
    lines = [f"strategy {plan.strategy}: {counted(plan.epochs, 'epoch')}"]
    for number, phase in enumerate(plan.phases):
        rates = {row["stage"]: row["rates"][number] for row in rows}
        shown = (f"{stage} {'frozen' if rate is None else format(rate, '.2e')}" for stage, rate in rates.items())
        lines.append(f"epochs {phase.first_epoch}-{phase.last_epoch}: {', '.join(shown)}")
    return lines
