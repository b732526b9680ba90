"""What an exported model may differ by from its weights, and what few images cannot tell.

In single precision it computes the same, and every difference beyond a limit is a fault. Eight bits change every score
a little, and on few images AP then moves by chance in either direction: a loss beyond a limit fails there where its
95 % interval, over draws of the images, leaves out chance, or where it is beyond a limit that no chance excuses. What
an interval reaches beyond the limit without failing is a doubt, which is shown and recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from detect_transfer.core.choices import ExportPrecision
from detect_transfer.evaluation.coco.intervals import Span
from detect_transfer.evaluation.comparison import Difference
from detect_transfer.workflows.export_pairing import LARGEST_MOVE

LARGEST_FALL = 0.03  # of AP of small objects, and of AP of a class
_VERBS = {"vanish": "vanish", "appear": "are new", "move": f"move by more than {LARGEST_MOVE:g} px"}


@dataclass(frozen=True)
class HardLimits:
    """What fails whatever the intervals say.

    Args:
        ap: Loss of AP.
        fall: Loss of AP of small objects or of a class.
        share: Of the detections that vanish or appear.
    """

    ap: float
    fall: float
    share: float


@dataclass(frozen=True)
class GateLimits:
    """What an exported model may differ by.

    Args:
        ap: Of AP; up or down where nothing is left to chance.
        share: Of the detections that vanish, appear or move.
        moves: Whether boxes that move by more than `LARGEST_MOVE` count; with eight bits they all do.
        hard: The limits that no chance excuses; None: chance excuses nothing.
    """

    ap: float
    share: float
    moves: bool
    hard: HardLimits | None = None


LIMITS = {
    ExportPrecision.FP32: GateLimits(0.001, 0.005, moves=True),
    ExportPrecision.INT8: GateLimits(0.01, 0.1, moves=False, hard=HardLimits(0.05, 0.2, 0.3)),
}


@dataclass(frozen=True)
class Share:
    """How many detections differ in one way, of how many, with the interval of the share where it is asked for."""

    faulty: int
    of: int
    interval: Span | None = None


@dataclass(frozen=True)
class Doubt:
    """A loss beyond a limit that the images do not rule out.

    Args:
        name: What may be lost.
        limit: The loss that it may be.
        interval: Of the difference, or of the share of detections; None where there is none.
        reason: Why there is none.
    """

    name: str
    limit: float
    interval: Span | None
    reason: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return what `export.json` holds."""
        return {"name": self.name, "limit": self.limit, "interval": self.interval, "reason": self.reason}


def judged_scores(ap: Difference, falls: Mapping[str, Difference], limits: GateLimits) -> tuple[list[str], list[Doubt]]:
    """Return what fails, in words, and what is in doubt.

    Args:
        ap: AP of the weights and of the exported model.
        falls: The same of what may fall by `LARGEST_FALL`, by its name.
        limits: The limits.
    """
    hard, failures, doubts = limits.hard, [], []
    rows = [("AP", ap, limits.ap, None if hard is None else hard.ap)]
    rows += [(name, d, LARGEST_FALL, None if hard is None else hard.fall) for name, d in falls.items()]
    for name, d, limit, at_most in rows:
        if d.difference is None:
            continue
        loss = -d.difference
        beyond = loss > limit or (d is ap and hard is None and -loss > limit)
        certain = at_most is None or loss > at_most or (d.interval is not None and d.interval[1] < 0)
        if beyond and certain:
            span = "" if hard is None or d.interval is None else f" [{d.interval[0]:+.4f}, {d.interval[1]:+.4f}]"
            failures.append(f"{name} {d.first:.4f} -> {d.second:.4f}{span} (limit {limit:g})")
        elif hard is not None and (d.interval is None or -d.interval[0] > limit):
            doubts.append(Doubt(name, limit, d.interval, d.reason))
    return failures, doubts


def judged_shares(shares: Mapping[str, Share], limits: GateLimits) -> tuple[list[str], list[Doubt]]:
    """Return what fails, in words, and what is in doubt, of detections that vanish, appear or move."""
    hard, failures, doubts = limits.hard, [], []
    for name, share in shares.items():
        if name == "move" and not limits.moves:
            continue
        beyond = share.faulty > int(limits.share * share.of)
        low = None if share.interval is None else share.interval[0]
        certain = hard is None or share.faulty > hard.share * share.of or (low is not None and low > limits.share)
        if beyond and certain:
            counts = f"{share.faulty} of {share.of} detections {_VERBS[name]}"
            failures.append(f"{counts} (limit {limits.share:.1%})")
        elif hard is not None and (beyond or (share.interval is not None and share.interval[1] > limits.share)):
            reason = None if share.interval else "no interval of so few images"
            doubts.append(Doubt(f"detections that {_VERBS[name]}", limits.share, share.interval, reason))
    return failures, doubts
