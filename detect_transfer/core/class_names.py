"""Which class of one list is which of another, by name."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

_SEPARATORS = re.compile(r"[\s_.\-]+")
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[\s_.\-]+(?=\d)")


def match_class_names(names: Iterable[str], others: Iterable[str]) -> dict[str, str]:
    """Return which of `others` has the same name, for each of `names` that has one; none is taken twice.

    The very name comes first, then the name in any case, then without blanks, underscores, hyphens and dots:
    `Stop Sign` is `stop_sign`. Between two digits these count, so that `8_1_1` is `8.1.1` and not `8_11`. A form that
    two names of one side have in common, or of which nothing is left, says nothing.
    """
    left, right = list(dict.fromkeys(names)), list(dict.fromkeys(others))
    same: dict[str, str] = {}
    for form in (str, _any_case, _joined):
        here, there = Counter(map(form, left)), Counter(map(form, right))
        taken = set(same.values())
        by_form = {form(name): name for name in right if there[form(name)] == 1 and name not in taken}
        for name in left:
            key = form(name)
            if key and name not in same and here[key] == 1 and key in by_form:
                same[name] = by_form[key]
    return same


def alike(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the names that differ in letter case, blanks, underscores, hyphens or dots alone, together."""
    together: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        together.setdefault(_joined(name) or name, []).append(name)
    return [tuple(group) for group in together.values() if len(group) > 1]


def _any_case(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())


def _joined(name: str) -> str:
    return _SEPARATORS.sub("", _BETWEEN_DIGITS.sub("\0", _any_case(name)))
