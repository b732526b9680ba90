"""The loader of a run config, which reports all problems at once.

A config is one flat YAML file; `key.subkey=value` overrides come after it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from detect_transfer.config.parts import RunConfig
from detect_transfer.config.paths import paths_from
from detect_transfer.config.problems import problems_of
from detect_transfer.core.errors import DetectTransferError, InputError, raise_problems
from detect_transfer.core.io import read_text

_MOST_NODES = 100_000
_MERGE = "tag:yaml.org,2002:merge"  # of the key <<
Config = TypeVar("Config", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """The safe loader, which refuses a key that stands twice, and aliases that stand for more than a config holds."""

    def get_single_node(self) -> Any:
        """Compose the document.

        Raises:
            yaml.constructor.ConstructorError: Its aliases stand for too much.
        """
        node = super().get_single_node()
        if node is not None and _size(node, {}) > _MOST_NODES:
            what = f"its aliases stand for more than {_MOST_NODES:,} values"
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark)
        return node


def _size(node: yaml.Node, sizes: dict[int, float]) -> float:
    """Return how many values a node stands for with its aliases written out; infinite where it holds itself."""
    if id(node) not in sizes:
        sizes[id(node)] = math.inf
        inner = node.value if isinstance(node, yaml.CollectionNode) else ()
        parts = (part for item in inner for part in (item if isinstance(item, tuple) else (item,)))
        sizes[id(node)] = 1 + sum(_size(part, sizes) for part in parts)
    return sizes[id(node)]


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        if key_node.tag == _MERGE:
            what, remedy = "a merge key is not read", "write the keys that it stands for in the place of the line"
            raise yaml.constructor.ConstructorError(None, None, what, key_node.start_mark, note=remedy)
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
            remedy=getattr(error, "note", None) or "fix the line",
        ) from error
    except (ValueError, TypeError, RecursionError) as error:  # a date out of range, an unhashable key, deep nesting
        raise InputError("YAML_SYNTAX", str(error), where=where, remedy="fix the file") from error
    except (AttributeError, LookupError) as error:  # of the constructors of PyYAML
        what = "a value is not of the kind that its tag states"
        raise InputError("YAML_SYNTAX", what, where=where, remedy="write it without !!") from error


def load_config(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Load a run config, apply `key.subkey=value` overrides and check everything.

    Args:
        path: The YAML file; relative paths in it are looked for in its folder, then in that of the command.
        overrides: Words such as `train.epochs=5`; the value is read as YAML.

    Raises:
        InputError: The file cannot be read, or keys or values are wrong; one error holds all problems.
    """
    return load_config_of(RunConfig, path, overrides)


def load_config_of(kind: type[Config], path: Path, overrides: Sequence[str] = ()) -> Config:
    """Load a config of some kind, as `load_config` does.

    Raises:
        InputError: The file cannot be read, or keys or values are wrong; one error holds all problems.
    """
    content = read_yaml(path)
    if isinstance(content, Mapping):
        given = {word.partition("=")[0] for word in overrides}
        content = paths_from(content, path.parent, kind, but=given)
    return make_config_of(kind, content, overrides, where=path)


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
        raise InputError(
            "CONFIG_KIND", "a mapping of keys was expected", where=where, remedy="detect-transfer config --explain"
        )
    keys = copy.deepcopy(dict(content))
    problems: list[DetectTransferError] = [*_given_twice(overrides)]
    for word in overrides:
        try:
            _override(keys, word)
        except InputError as error:
            problems.append(error)
    try:
        config = kind.model_validate(keys)
    except ValidationError as error:
        overridden = {word.partition("=")[0] for word in overrides}
        problems += problems_of(error, kind, where=where, overridden=overridden)
    raise_problems(problems)
    return config


def _given_twice(words: Sequence[str]) -> Iterator[InputError]:
    """Yield what is wrong with overrides that change a key, or a part of it, which one before them gave."""
    for number, word in enumerate(words):
        key = word.partition("=")[0]
        for before in words[:number]:
            other = before.partition("=")[0]
            if f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}."):
                yield InputError(
                    *("CONFIG_OVERRIDE", "it is given twice"),
                    where="command line",
                    field=word,
                    remedy=f"leave out {before} or {word}",
                )


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
        if isinstance(child, list):
            raise InputError(
                "CONFIG_OVERRIDE",
                f"{part} is a list there, of which no part can be changed",
                where="command line",
                field=word,
                remedy=f"give all of {key.partition(f'{part}.')[0]}{part}, or write it as a mapping in the config",
            )
        if not isinstance(child, dict):
            child = node[part] = {}
        node = child
    node[parts[-1]] = parse_value(value, key)


def dump_config(config: RunConfig) -> str:
    """Return the resolved config as YAML, with every default spelt out."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
