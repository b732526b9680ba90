"""Collecting the faults of native files, so that they are reported at once.

A fault is of a row (one box), of an image (its annotation as a whole) or of the data set. What becomes of the first
two is the user's choice, `on_error`: nothing is left out unless it was asked for, and then it is counted and listed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from detect_transfer.core.errors import InputError, raise_problems
from detect_transfer.core.ledger import Action, LedgerLine

MOST_SHOWN = 20
MOST_OF_A_KIND = 3
_MOST_LISTED = 1000

OnError = Literal["fail", "skip-row", "skip-image"]
Kind = tuple[str, str, str]  # code, what, remedy
ON_ERROR: tuple[OnError, ...] = get_args(OnError)


class ErrorCollector:
    """Input errors found so far: the first ones are kept, the others are counted.

    At most `MOST_SHOWN` are kept, and `MOST_OF_A_KIND` of those that say the same of different places.

    Args:
        on_error: ``fail`` keeps every fault as an error; ``skip-row`` leaves out the box that a fault of a row is of;
            ``skip-image`` leaves out the image that a fault of a row or of an image is of, with all its boxes.
            Faults of the data set are always errors.

    Raises:
        InputError: There is no such choice.
    """

    def __init__(self, on_error: str = "fail") -> None:
        if on_error not in ON_ERROR:
            remedy = "give one of: " + ", ".join(ON_ERROR)
            raise InputError("OPTION_VALUE", "no such choice", field="on_error", value=on_error, remedy=remedy)
        self.on_error = on_error
        self.shown: list[InputError] = []
        self.total = 0  # all faults, whatever becomes of them
        self.codes: Counter[str] = Counter()
        self.fatal = 0
        self._kinds: Counter[Kind] = Counter()  # of those that are fatal
        self.skipped_rows: list[InputError] = []
        self.skipped_images: dict[str, InputError] = {}
        self._rows_of_skipped_images = 0
        self._notes: dict[tuple[Literal["box", "image"], Action, str], LedgerLine] = {}  # by kind, action and reason

    @property
    def full(self) -> bool:
        """Whether looking for the details of further problems is useless."""
        return self.on_error == "fail" and len(self.shown) >= MOST_SHOWN

    def add(
        self,
        code: str,
        what: str,
        *,
        where: str | Path,
        remedy: str,
        row_of: str | None = None,
        image: str | None = None,
        **given: Any,
    ) -> None:
        """Add a fault.

        Args:
            code: As for `InputError`.
            what: As for `InputError`.
            where: The file and line, or the file and JSON pointer.
            remedy: What to do.
            row_of: The `file_name` of the image whose row is at fault; empty where the row does not tell it.
            image: The `file_name` of the image whose annotation is at fault as a whole.
            given: `field` and `value`, as for `InputError`.
        """
        self.put(InputError(code, what, where=where, remedy=remedy, **given), row_of=row_of, image=image)

    def put(self, error: InputError, *, row_of: str | None = None, image: str | None = None) -> None:
        """Add an error that was made elsewhere; `row_of` and `image` as for `add`."""
        self.total += 1
        self.codes[error.code] += 1
        file_name = image if image is not None else row_of
        if self.on_error == "skip-row" and row_of is not None:
            self.skipped_rows.append(error)
        elif self.on_error == "skip-image" and file_name:
            self.skipped_images.setdefault(file_name, error)
            self._rows_of_skipped_images += image is None
        else:
            kind = (error.code, error.what, error.remedy)
            self.fatal += 1
            self._kinds[kind] += 1
            if not self.full and self._kinds[kind] <= MOST_OF_A_KIND:
                self.shown.append(error)

    def row(self, file_name: str) -> _Block:
        """Take the input errors of the block as faults of one row of that image; the block ends at the first."""
        return _Block(self, {"row_of": file_name})

    def image(self, file_name: str) -> _Block:
        """Take the input errors of the block as faults of the whole annotation of that image."""
        return _Block(self, {"image": file_name})

    def file(self) -> _Block:
        """Take the input errors of the block as faults of the data set."""
        return _Block(self, {})

    def note(self, reason: str, count: int, examples: tuple[str, ...] = (), *, kind: Literal["box", "image"]) -> None:
        """Note for the ledger that boxes or images of the source are left out by an option of the reader."""
        self._take(LedgerLine(kind, "dropped", reason, count, examples))

    def remark(self, reason: str, count: int, examples: tuple[str, ...] = (), *, kind: Literal["box", "image"]) -> None:
        """Note for the ledger that boxes or images are there, but were read otherwise than the format says."""
        self._take(LedgerLine(kind, "noted", reason, count, examples))

    def _take(self, line: LedgerLine) -> None:
        """Add what a line counts to one of the same reason, as another file of the data set has it."""
        key = (line.kind, line.action, line.reason)
        before = self._notes.get(key, LedgerLine(*key, 0))
        if line.count:
            examples = (before.examples + line.examples)[:_MOST_LISTED]
            self._notes[key] = LedgerLine(*key, before.count + line.count, examples)

    def absorb(self, other: ErrorCollector, folder: str = "") -> None:
        """Take over what was collected of a part of the data set, whose names of images are relative to `folder`."""
        self.total += other.total
        self.codes += other.codes
        self.fatal += other.fatal
        self._kinds += other._kinds
        self.shown += other.shown
        self.skipped_rows += other.skipped_rows
        self._rows_of_skipped_images += other._rows_of_skipped_images
        for name, error in other.skipped_images.items():
            self.skipped_images.setdefault(folder + name, error)
        for line in other._notes.values():
            self._take(line)

    def rename_skipped(self, names_of: Callable[[str], Iterable[str]]) -> None:
        """Let faults be of other images than were named: those that stand in the table under these names."""
        errors, self.skipped_images = self.skipped_images, {}
        for name, error in errors.items():
            for other in names_of(name):
                self.skipped_images.setdefault(other, error)

    def count(self, more: int, code: str = "", kind: Kind | None = None) -> None:
        """Count problems whose details nobody will see; `kind` is that of some that are shown, if they are of one."""
        if kind is not None:
            self._kinds[kind] += more
        self.codes[code] += more
        self.total += more
        self.fatal += more

    def raise_any(self) -> None:
        """Raise the faults that are errors, if there are any.

        Raises:
            InputError: There is one problem.
            ProblemsError: There are several: more than `MOST_OF_A_KIND` that say the same are one line with their
                number and first places, and a last line counts those that are not shown.
        """
        of_kind: dict[Kind, list[InputError]] = {}
        for error in self.shown[:MOST_SHOWN]:
            of_kind.setdefault((error.code, error.what, error.remedy), []).append(error)
        shown = [line for kind, errors in of_kind.items() for line in _merged(errors, self._kinds[kind])]
        more = self.fatal - sum(max(self._kinds[kind], len(errors)) for kind, errors in of_kind.items())
        if more > 0:
            what = f"{more:,} more problems of these files are not shown"
            shown.append(InputError("MORE_PROBLEMS", what, where=shown[-1].where, remedy="fix these first"))
        raise_problems(shown)

    def reading(self, *, boxes_of_skipped: int = 0) -> tuple[LedgerLine, ...]:
        """Return what was left out as lines of a ledger: a line for each code, with up to a thousand places.

        Args:
            boxes_of_skipped: How many whole boxes left with skipped images, beside those at fault.
        """
        lines = [
            *self._notes.values(),
            *_lines("box", self.skipped_rows),
            *_lines("image", list(self.skipped_images.values())),
        ]
        boxes = boxes_of_skipped + self._rows_of_skipped_images
        if boxes:
            lines.append(LedgerLine("box", "dropped", "skipped with their image", boxes))
        return tuple(lines)


def _merged(errors: list[InputError], count: int) -> list[InputError]:
    """Return the errors of one kind, or one line for them all where they are many."""
    if count <= MOST_OF_A_KIND:
        return errors
    first = errors[0]
    others = ", ".join(str(error).partition(" - ")[0].partition(" ")[2] for error in errors[1:])
    what = f"{first.what} ({count:,} such" + (f", then {others})" if others else ")")
    merged = InputError(first.code, what, where=first.where, field=first.field, remedy=first.remedy)
    merged.value = first.value
    return [merged]


class _Block:
    """A block whose input errors are collected; a generator would take three times as long, once for each box."""

    __slots__ = ("errors", "of")

    def __init__(self, errors: ErrorCollector, of: dict[str, str]) -> None:
        self.errors = errors
        self.of = of

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> bool:
        """Collect an input error, and go on behind the block."""
        if not isinstance(error, InputError):
            return False
        for each in error.problems:
            if isinstance(each, InputError):
                self.errors.put(each, **self.of)
        return True


def _lines(kind: Literal["box", "image"], errors: list[InputError]) -> Iterator[LedgerLine]:
    by_code: dict[str, list[str]] = {}
    for error in errors:
        by_code.setdefault(error.code, []).append(str(error))
    for code, messages in by_code.items():
        yield LedgerLine(kind, "dropped", f"skipped: {code}", len(messages), tuple(messages[:_MOST_LISTED]))
