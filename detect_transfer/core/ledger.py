"""The ledger: what every step took in, what it gave out, and a line for each reason why something left or changed.

A step whose numbers do not add up is a bug of ours and raises at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from detect_transfer.core.errors import InternalError

Kind = Literal["box", "image"]
Action = Literal["dropped", "added", "changed", "marked", "noted"]
_MOST_EXAMPLES = 5


@dataclass(frozen=True)
class LedgerLine:
    """How many boxes or images left, came or changed for one reason, with the places of the first few."""

    kind: Kind
    action: Action
    reason: str
    count: int
    examples: tuple[str, ...] = ()


@dataclass
class LedgerStep:
    """One step: rows in, rows out, and the lines that explain the difference."""

    step: str
    images_in: int
    boxes_in: int
    images_out: int = 0
    boxes_out: int = 0
    lines: list[LedgerLine] = field(default_factory=list)

    def add(self, kind: Kind, action: Action, reason: str, count: int, examples: Iterable[object] = ()) -> None:
        """Add a line; nothing is added for a count of zero."""
        if count:
            first = tuple(str(e) for e, _ in zip(examples, range(_MOST_EXAMPLES), strict=False))
            self.lines.append(LedgerLine(kind, action, reason, int(count), first))

    def close(self, *, images_out: int, boxes_out: int) -> LedgerStep:
        """Set what the step gave out and check that the lines explain it.

        Raises:
            InternalError: Rows in, less those dropped, plus those added are not the rows out.
        """
        self.images_out, self.boxes_out = images_out, boxes_out
        for kind, before, after in (("image", self.images_in, images_out), ("box", self.boxes_in, boxes_out)):
            moved = sum(
                {"dropped": -line.count, "added": line.count}.get(line.action, 0)
                for line in self.lines
                if line.kind == kind
            )
            if before + moved != after:
                raise InternalError(
                    "LEDGER_UNBALANCED",
                    f"step '{self.step}': {before} {kind} rows in, {moved:+d} explained, {after} out",
                    remedy="please report this with the command",
                )
        return self


@dataclass
class Ledger:
    """The steps of a conversion in order."""

    steps: list[LedgerStep] = field(default_factory=list)

    def open(self, step: str, *, images: int, boxes: int) -> LedgerStep:
        """Begin a step with what it takes in."""
        self.steps.append(LedgerStep(step, images, boxes))
        return self.steps[-1]

    def as_dict(self) -> dict[str, Any]:
        """Return the ledger as a JSON-ready dict."""
        return {"steps": [asdict(step) for step in self.steps]}
