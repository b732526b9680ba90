"""Every error that a user can meet, as one line.

    DetectTransferError
    ├── InputError          exit 2   what was given is wrong: a file, a row, a key, a flag
    │   └── ProblemsError            several errors at once, a line each; the highest exit code of theirs
    ├── ResourceError       exit 3   the machine failed: disk, memory, missing weights, no network
    └── InternalError       exit 4   a bug of ours

The line reads ``CODE file:line field=value - what; remedy``.
"""

from __future__ import annotations

import copyreg
import reprlib
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

_UNSET = ...  # the same object in every process
_LONGEST_VALUE = 80
_MOST_CHOICES = 60
_NESTED = reprlib.Repr()
_NESTED.maxlevel, _NESTED.maxdict, _NESTED.maxlist, _NESTED.maxtuple, _NESTED.maxset = 4, 8, 8, 8, 8
_NESTED.maxstring = _NESTED.maxother = _LONGEST_VALUE


class DetectTransferError(Exception):
    """An error in one line: a code, the place, what was found and what to do.

    Args:
        code: Upper-case word that scripts can test for, such as ``LABEL_COLUMNS``.
        what: What was found and what was expected.
        remedy: What the reader can do about it.
        where: The file, as ``file:line`` or ``file#/json/pointer`` where that is known.
        field: The field, key or flag at fault.
        value: The value found in it; shown shortened and on one line.
    """

    exit_code = 4

    def __init__(
        self,
        code: str,
        what: str,
        *,
        remedy: str,
        where: str | Path | None = None,
        field: str | None = None,
        value: object = _UNSET,
    ) -> None:
        super().__init__(code, what)
        self.code = code
        self.what = what
        self.remedy = remedy
        self.where = None if where is None else str(where)
        self.field = field
        self.value = value

    @property
    def problems(self) -> tuple[DetectTransferError, ...]:
        """The errors that it stands for: itself alone, or several."""
        return (self,)

    def __reduce__(self) -> tuple[Any, ...]:
        """Let the error go from a process to another whole: an exception is made again from its arguments alone."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]

    def __str__(self) -> str:
        """Return the line ``CODE file:line field=value - what; remedy``."""
        head = [self.code]
        if self.where is not None:
            head.append(one_line(self.where, longest=400))
        if self.field is not None:
            head.append(self.field if self.value is _UNSET else f"{self.field}={one_line(self.value)}")
        return f"{' '.join(head)} - {one_line(self.what, longest=2000)}; {one_line(self.remedy, longest=2000)}"

    def as_dict(self) -> dict[str, str | None]:
        """Return the same facts as a JSON-ready dict."""
        value = None if self.value is _UNSET else one_line(self.value)
        return {
            "code": self.code,
            "where": self.where,
            "field": self.field,
            "value": value,
            "what": self.what,
            "remedy": self.remedy,
        }


class InputError(DetectTransferError):
    """What the user gave is wrong."""

    exit_code = 2


class ProblemsError(InputError):
    """Several errors at once, so that they can be fixed in one go; its exit code is the highest of theirs."""

    def __init__(self, problems: Sequence[DetectTransferError]) -> None:
        first = problems[0]
        super().__init__(first.code, first.what, remedy=first.remedy, where=first.where)
        self._problems = tuple(problems)
        self.exit_code = max(problem.exit_code for problem in problems)

    @property
    def problems(self) -> tuple[DetectTransferError, ...]:
        """The several errors."""
        return self._problems

    def __str__(self) -> str:
        """Return one line for each problem."""
        return "\n".join(str(problem) for problem in self.problems)


class ResourceError(DetectTransferError):
    """The machine failed: no disk, no memory, no weights, no network."""

    exit_code = 3


class InternalError(DetectTransferError):
    """A bug of ours."""

    exit_code = 4


def raise_problems(problems: Sequence[DetectTransferError]) -> None:
    """Raise nothing for no problem, the problem itself for one, a `ProblemsError` for several."""
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise ProblemsError(problems)


def one_line(value: object, *, longest: int = _LONGEST_VALUE) -> str:
    """Return `value` as printable text on one line, shortened in its middle to `longest` characters."""
    text = _shown(value)
    if len(text) > 4 * longest:  # of a text of many megabytes only its ends are looked at
        text = text[: 2 * longest] + text[-2 * longest :]
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    if len(text) <= longest:
        return text
    half = (longest - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def _shown(value: object) -> str:
    """Return a value as text; of what is nested the first parts, since aliases in YAML make it as large as you like."""
    if isinstance(value, dict | list | tuple | set | frozenset):
        return _NESTED.repr(value)
    try:
        return str(value)
    except ValueError:  # an integer of thousands of digits
        return f"a {type(value).__name__} of more digits than are shown"


def did_you_mean(word: str, choices: Sequence[str]) -> str:
    """Return ``did you mean 'x'?`` for the nearest choice, else the list of what there is."""
    near = get_close_matches(word, choices, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{near[0]}'?"
    more = len(choices) - _MOST_CHOICES
    listed = [*sorted(choices)[:_MOST_CHOICES], *([f"and {more} more"] if more > 0 else [])]
    return "there is: " + ", ".join(listed) if listed else "there is none"
