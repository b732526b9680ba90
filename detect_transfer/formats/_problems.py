"""Collecting the faults of native files, so that one look tells them all. Imports `errors`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from detect_transfer.errors import InputError, raise_problems

MOST_SHOWN = 20


class Problems:
    """Input errors found so far: the first `MOST_SHOWN` are kept, the others are counted."""

    def __init__(self) -> None:
        self.shown: list[InputError] = []
        self.total = 0

    @property
    def full(self) -> bool:
        """Whether looking for the details of further problems is useless."""
        return len(self.shown) >= MOST_SHOWN

    def add(self, code: str, what: str, *, where: str | Path, remedy: str, **found: Any) -> None:
        """Add a problem; `found` may hold `field` and `value`, as for the errors themselves."""
        self.put(InputError(code, what, where=where, remedy=remedy, **found))

    def put(self, error: InputError) -> None:
        """Add an error that was made elsewhere."""
        self.total += 1
        if not self.full:
            self.shown.append(error)

    def count(self, more: int) -> None:
        """Count problems whose details nobody will see."""
        self.total += more

    def raise_any(self) -> None:
        """Raise what was collected, if anything.

        Raises:
            InputError: There is one problem.
            ProblemsError: There are several; a last line counts those that are not shown.
        """
        shown = list(self.shown)
        if self.total > len(shown):
            shown.append(
                InputError(
                    "MORE_PROBLEMS",
                    f"{self.total - len(shown):,} more problems of these files are not shown",
                    where=shown[-1].where,
                    remedy="mend these first",
                )
            )
        raise_problems(shown)
