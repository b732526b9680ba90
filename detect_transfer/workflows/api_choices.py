"""The choices that callers of the functions give as words and keywords."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from detect_transfer.core.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def several(words: str | Sequence[str]) -> tuple[str, ...]:
    """Return words of which one may be given by itself."""
    return (words,) if isinstance(words, str) else tuple(map(str, words))


def require_fields(choices: Mapping[str, Any], options: type[DataclassInstance]) -> None:
    """Refuse a choice that the options do not have.

    Raises:
        InputError: There is such a choice.
    """
    names = [each.name for each in fields(options)]
    unknown = next((key for key in choices if key not in names), None)
    if unknown is not None:
        remedy = did_you_mean(unknown, names)
        raise InputError(
            "OPTION_UNKNOWN", "there is no such choice", field=unknown, value=choices[unknown], remedy=remedy
        )
