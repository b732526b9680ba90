"""What pydantic finds wrong with a config, as errors of ours: one for each key, with what the key takes."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from detect_transfer.config.explain import Key, keys_of, nearest_key, plain_name
from detect_transfer.core.errors import InputError, did_you_mean

_MAIN_KEYS = {"data": "data.path", "model": "model.weights", "transfer": "transfer.strategy"}  # meant by `data=MY`


def problems_of(
    error: ValidationError, kind: type[BaseModel], *, where: Path | str, overridden: Collection[str]
) -> list[InputError]:
    """Return an error for each key at fault.

    Args:
        error: What pydantic found.
        kind: The model of the config.
        where: The file that it came from.
        overridden: The keys that the command line gave; it is then what errors name.
    """
    keys = {plain_name(key.name): key for key in keys_of(kind)}
    problems: dict[str, InputError] = {}
    for detail in error.errors():
        location = [str(part) for part in detail["loc"]]
        is_unknown = detail["type"] == "extra_forbidden"
        field = ".".join(location if is_unknown else _known_part(location, keys)) or "config"
        is_word = any(f"{field}.".startswith(f"{key}.") or f"{key}.".startswith(f"{field}.") for key in overridden)
        origin = "command line" if is_word else where
        if is_unknown:
            remedy = nearest_key(field, kind)
            problem = InputError("CONFIG_KEY", "there is no such key", where=origin, field=field, remedy=remedy)
        else:
            problem = _wrong_value(field, keys.get(plain_name(field)), detail, origin)
        if field not in problems or detail["type"] == "literal_error":  # of several choices, words say most
            problems[field] = problem
    return list(problems.values())


def _known_part(location: list[str], keys: Mapping[str, Key]) -> list[str]:
    """Return the beginning of a location that names a key; what follows are branches of its type, or entries."""
    for length in range(len(location), 0, -1):
        if location[length - 1].isdigit():
            continue
        if plain_name(".".join(location[:length])) in keys:
            return location[:length]
    return location


def _wrong_value(field: str, key: Key | None, detail: Any, origin: Path | str) -> InputError:
    name = plain_name(field)
    remedy = f"detect-transfer config --explain {name}" if key else "detect-transfer config --explain"
    value = detail["input"]
    if detail["type"] == "value_error":
        what = detail["msg"].removeprefix("Value error, ")
        return InputError("CONFIG_VALUE", what, where=origin, field=field, remedy=remedy)
    if detail["type"] == "missing":
        remedy = f"write {_MAIN_KEYS[name]}=MY_DATA" if name == "data" else remedy
        return InputError(
            "CONFIG_VALUE", "it has no default", where=origin, field=field, value="(missing)", remedy=remedy
        )
    if detail["type"] == "model_type" and name in _MAIN_KEYS:
        remedy = f"write {_MAIN_KEYS[name]}={value}"
    elif detail["type"] == "literal_error" and isinstance(value, str):
        choices = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
        remedy = did_you_mean(value, choices) if len(choices) > 1 else remedy
    what = detail["msg"] if key is None else f"{key.values} was expected"
    return InputError("CONFIG_VALUE", what, where=origin, field=field, value=value, remedy=remedy)
