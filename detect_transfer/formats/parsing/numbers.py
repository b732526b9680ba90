"""Strict numbers: what a text file may call one.

Python's `float` takes `1_0`, Arabic digits, `nan` and `inf`; an annotation that holds one of these is damaged. So is
`0.`, which is what is left of a number in a file that was cut short.
"""

from __future__ import annotations

import math
import re

NUMBER_PATTERN = r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?"
_NUMBER = re.compile(NUMBER_PATTERN)
_SHORT = 19  # no such number of digits overflows
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


def parse_number(text: str) -> float | None:
    """Return the finite number that `text` is, or None if it is none."""
    if len(text) < _SHORT and text.isascii() and text.isdigit():  # the plain case, without a look at the syntax
        return float(text)
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def parse_integer(text: str) -> int | None:
    """Return the integer of at most 18 digits that `text` is, or None if it is none."""
    return int(text) if _INTEGER.fullmatch(text) else None
