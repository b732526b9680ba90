"""The paths in a config: those of a file are relative to its folder, and those of a run hold from anywhere."""

from __future__ import annotations

import copy
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from detect_transfer.config.explain import models_in
from detect_transfer.config.parts import RunConfig
from detect_transfer.core.errors import InputError
from detect_transfer.core.opening import real_path

Config = TypeVar("Config", bound=RunConfig)
_WEIGHTS = ("model.weights", "model.sources")  # paths of files, or names
_ARMS = "study.arms"
STATED_HASH = "@sha256:"  # stands between a file or a name of weights and the hash that it must have
_NOT_READ = ("out",)  # it is made where the command runs


def path_keys(kind: type[BaseModel] = RunConfig, prefix: str = "") -> Iterator[str]:
    """Yield the keys of a config that name a file or folder which is read, such as `data.path`; `*` is any name."""
    for name, field in kind.model_fields.items():
        key = f"{prefix}{name}"
        if (_has_path(field.annotation) and key not in _NOT_READ) or key in _WEIGHTS:
            yield key
        if key == _ARMS:  # which change keys of a run, of which these are paths that may differ
            yield from (f"{key}.*.{of_arm}" for of_arm in _WEIGHTS)
        for part in models_in(field.annotation):
            yield from path_keys(part, f"{key}.*." if _is_mapping(field.annotation) else f"{key}.")


def _has_path(annotation: Any) -> bool:
    return annotation is Path or any(_has_path(part) for part in typing.get_args(annotation))


def _is_mapping(annotation: Any) -> bool:
    """Return whether a field has parts by name."""
    return typing.get_origin(annotation) is dict or any(map(_is_mapping, typing.get_args(annotation)))


def paths_from(
    content: Mapping[str, Any], folder: Path, kind: type[BaseModel] = RunConfig, *, but: Collection[str] = ()
) -> dict[str, Any]:
    """Return the content of a config file whose relative paths hold from the folder that the command runs in.

    A relative path is looked for in the folder of the file, then in the folder that the command runs in; one that lies
    in neither stays as it is.

    Args:
        content: The keys of the file.
        folder: The folder that it lies in.
        kind: The model of the config.
        but: Keys that the command line gives.

    Raises:
        InputError: Both have something of that name, so that it is not clear which is meant.
    """

    def from_folder(key: str, text: str) -> str:
        beside = folder / text
        if key in but or Path(text).is_absolute() or not beside.exists() or _is_name(key, beside):
            return text
        if Path(text).exists() and real_path(Path(text)) != real_path(beside):
            raise InputError(
                "CONFIG_PATH",
                f"there is one in {folder}, where the config lies, and one in this folder",
                field=key,
                value=text,
                remedy=f"write {key}={beside} or {key}={Path(text).absolute()} on the command line or in the config",
            )
        return str(beside)

    return change_paths(content, kind, from_folder)


def absolute_paths(config: Config) -> Config:
    """Return a config so that it holds from any folder: whatever is there by a relative path is absolute."""

    def absolute(key: str, text: str) -> str:
        path = Path(text)
        return str(path.absolute()) if path.exists() and not _is_name(key, path) else text

    return type(config).model_validate(change_paths(config.model_dump(), type(config), absolute))


def _is_name(key: str, path: Path) -> bool:
    """Return whether a value of `model.weights` is no path, though a folder may have that name."""
    return key.endswith(_WEIGHTS) and not path.is_file() and not (path / "config.json").is_file()


def change_paths(
    content: Mapping[str, Any], kind: type[BaseModel], change: Callable[[str, str], str]
) -> dict[str, Any]:
    """Return a copy of the content of a config with its paths changed; what is no path there stays as it is."""

    def change_path(key: str, text: str) -> str:
        path, mark, digest = text.partition(STATED_HASH) if key.endswith(_WEIGHTS) else (text, "", "")
        return f"{change(key, path)}{mark}{digest}"

    keys = copy.deepcopy(dict(content))
    for key in path_keys(kind):
        _change(keys, key.split("."), (), change_path)
    return keys


def _change(node: Any, parts: list[str], passed: tuple[str, ...], change: Callable[[str, str], str]) -> None:
    """Change the path that lies along `parts` from a node on, in place."""
    if not isinstance(node, dict):
        return
    if len(parts) > 1:
        for name in list(node) if parts[0] == "*" else parts[:1]:
            _change(node.get(name), parts[1:], (*passed, str(name)), change)
    last = ".".join(parts)  # arms may have `model.weights` as one key
    value = node.get(last)
    key = ".".join((*passed, last))
    if isinstance(value, list):
        node[last] = [change(key, str(entry)) if isinstance(entry, str | Path) else entry for entry in value]
    elif isinstance(value, str | Path) and str(value):
        node[last] = change(key, str(value))
