"""The loader of a run config, which reports all problems at once.

A config is one flat YAML file; `key.subkey=value` overrides come after it.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from detect_transfer.config.parts import RunConfig
from detect_transfer.core.errors import DetectTransferError, InputError, did_you_mean, raise_problems
from detect_transfer.core.io import read_text

Config = TypeVar("Config", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """The safe loader, which refuses a key that stands twice."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key '{key}' stands twice", key_node.start_mark)
        seen[key] = loader.construct_object(value_node, deep=True)
    return seen


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> Any:
    """Read a YAML file with the safe loader; a key that stands twice is refused.

    Raises:
        InputError: The file is missing or is no YAML; with the line.
    """
    return _parse_yaml(read_text(path), path)


def parse_value(text: str, key: str) -> Any:
    """Read the value of a `key=value` word of the command line as YAML.

    Raises:
        InputError: It is no YAML.
    """
    return _parse_yaml(text, f"command line ({key})")


def _parse_yaml(text: str, where: Path | str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InputError(
            "YAML_SYNTAX",
            str(getattr(error, "problem", None) or error),
            where=f"{where}:{mark.line + 1}" if mark else where,
            remedy="fix the line",
        ) from error
    except (ValueError, TypeError, RecursionError) as error:  # a date out of range, an unhashable key, deep nesting
        raise InputError("YAML_SYNTAX", str(error), where=where, remedy="fix the file") from error


def load_config(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Load a run config, apply `key.subkey=value` overrides and check everything.

    Args:
        path: The YAML file.
        overrides: Words such as `train.epochs=5`; the value is read as YAML.

    Raises:
        InputError: The file cannot be read, or keys or values are wrong; one error holds all problems.
    """
    return make_config(read_yaml(path), overrides, where=path)


def make_config(content: object, overrides: Sequence[str] = (), *, where: Path | str = "config") -> RunConfig:
    """Make a run config from the content of a YAML file, as `load_config` does.

    Args:
        content: A mapping of keys.
        overrides: Words such as `train.epochs=5`; the value is read as YAML.
        where: What errors name as their place.

    Raises:
        InputError: Keys or values are wrong; one error holds all problems.
    """
    return make_config_of(RunConfig, content, overrides, where=where)


def make_config_of(
    kind: type[Config], content: object, overrides: Sequence[str] = (), *, where: Path | str = "config"
) -> Config:
    """Make a config of some kind, such as that of a study, which has all keys of a run and more.

    Args:
        kind: Its model.
        content: A mapping of keys.
        overrides: Words such as `train.epochs=5`; the value is read as YAML.
        where: What errors name as their place.

    Raises:
        InputError: Keys or values are wrong; one error holds all problems.
    """
    if not isinstance(content, Mapping):
        raise InputError("CONFIG_KIND", "a mapping of keys was expected", where=where, remedy="see configs/")
    keys = copy.deepcopy(dict(content))
    problems: list[DetectTransferError] = []
    for word in overrides:
        try:
            _override(keys, word)
        except InputError as error:
            problems.append(error)
    try:
        config = kind.model_validate(keys)
    except ValidationError as error:
        overridden = {word.partition("=")[0] for word in overrides}
        problems += [
            _problem(where, overridden, detail, kind) for detail in error.errors() if not _is_other_branch(detail)
        ]
    raise_problems(problems)
    return config


def _override(keys: dict[str, Any], word: str) -> None:
    key, equals, value = word.partition("=")
    parts = key.split(".")
    if not equals or not all(parts):
        raise InputError(
            "CONFIG_OVERRIDE", "key=value was expected", where="command line", field=word, remedy="e.g. train.epochs=5"
        )
    node = keys
    for part in parts[:-1]:
        child = node.get(part)
        if not isinstance(child, dict):
            child = node[part] = {}
        node = child
    node[parts[-1]] = parse_value(value, key)


def _is_other_branch(detail: Any) -> bool:
    """Return whether a finding is of the word branch of a key that was given a list, which has findings of its own."""
    return detail["type"] == "literal_error" and isinstance(detail["input"], list)


def _problem(path: Path | str, overridden: set[str], detail: Any, kind: type[BaseModel]) -> InputError:
    """Turn a finding of pydantic into an error of ours; its place is the file, or the command line."""
    location = [str(part) for part in detail["loc"] if not str(part).startswith(("function-", "list[", "constrained-"))]
    field = ".".join(location) or "config"
    where = "command line" if any(f"{field}.".startswith(f"{key}.") for key in overridden) else path
    if detail["type"] == "extra_forbidden":
        return InputError(
            "CONFIG_KEY",
            "there is no such key",
            where=where,
            field=field,
            remedy=did_you_mean(location[-1], _keys_at(location[:-1], kind)),
        )
    what = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "value_error":
        return InputError("CONFIG_VALUE", what, where=where, field=field, remedy="fix it in the config")
    value = detail["input"] if detail["type"] != "missing" else "(missing)"
    remedy = "see configs/ for examples"
    if detail["type"] == "literal_error":
        remedy = did_you_mean(str(value), re.findall(r"'([^']*)'", detail["ctx"]["expected"]))
    return InputError("CONFIG_VALUE", what, where=where, field=field, value=value, remedy=remedy)


def _keys_at(location: Sequence[str], model: type[BaseModel]) -> list[str]:
    for part in location:
        if part.isdigit() or part not in model.model_fields:
            continue
        models = _models_in(model.model_fields[part].annotation)
        if models:
            model = models[0]
    return list(model.model_fields)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for a in getattr(annotation, "__args__", ()) for m in _models_in(a)]


def dump_config(config: RunConfig) -> str:
    """Return the resolved config as YAML, with every default spelt out."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
