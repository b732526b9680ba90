"""The options of a reader: typed when `KEY=VALUE` is parsed, so that no misspelt value is taken for another one."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.formats import Format, Option

_NOTHING = ("", "null", "none")
_TRUTH = {"true": True, "false": False}


def parse_options(form: Format, options: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a reader by name.

    Args:
        form: The format of the reader.
        options: Words of the command line such as `one_based=false`, or values by name, which are taken as they are.

    Raises:
        InputError: The reader has no such option, it is given twice, or its value is of another type.
    """
    names = form.options
    if isinstance(options, Mapping):
        for name, value in options.items():
            _check_name(name, f"{name}={value}", names)
        return dict(options)
    parsed: dict[str, Any] = {}
    for word in options:
        name, equals, text = word.partition("=")
        _check_name(name, word, names)
        if not equals or name in parsed:
            what = "the option is given twice" if equals else "KEY=VALUE was expected"
            raise InputError("OPTION_VALUE", what, field="--option", value=word, remedy=f"give {name}=VALUE once")
        try:
            parsed[name] = _typed(text, names[name].type)
        except ValueError as error:
            raise InputError(
                "OPTION_VALUE", f"{error} was expected", field="--option", value=word, remedy="correct the value"
            ) from error
    return parsed


def _check_name(name: str, word: str, names: Mapping[str, Option]) -> None:
    if name not in names:
        raise InputError(
            "OPTION_UNKNOWN",
            "the reader has no such option",
            field="--option",
            value=word,
            remedy=did_you_mean(name, list(names)),
        )


def _typed(text: str, hint: Any) -> Any:
    """Return the value that a text stands for; a `ValueError` says what was expected."""
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if type(None) in kinds and text.lower() in _NOTHING:
        return None
    kind = next(k for k in kinds if k is not type(None))
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            raise ValueError(f"one of {', '.join(get_args(kind))}")
        return text
    if get_origin(kind) is not None:  # a sequence of words
        return tuple(word.strip(" \"'") for word in text.strip("[]").split(",") if word.strip(" \"'"))
    if kind is bool:
        if text.lower() not in _TRUTH:
            raise ValueError("true or false")
        return _TRUTH[text.lower()]
    if kind in (int, float):
        return _number(text, kind)
    return kind(text) if kind is Path else text


def _number(text: str, kind: type[int] | type[float]) -> float:
    expected = "a whole number" if kind is int else "a finite number"
    try:
        value = kind(text)
    except ValueError as error:
        raise ValueError(expected) from error
    if not math.isfinite(value):
        raise ValueError(expected)
    return value
