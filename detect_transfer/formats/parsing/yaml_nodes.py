"""YAML of plain values, fast, as a `Node` of `json_nodes`.

All scalars stay strings, so a label `off` is not False. The events of the parser are put together here: libyaml's own
composer can be made to overflow the stack, and an alias may stand for a million boxes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.json_nodes import Node

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # without libyaml the same, some ten times slower
_ENDS = {yaml.SequenceEndEvent, yaml.MappingEndEvent}
_VALUES = {yaml.ScalarEvent, yaml.AliasEvent, yaml.SequenceStartEvent, yaml.MappingStartEvent}
_DEEPEST = 10
_REMEDY = "fix the file"

Plain = str | list["Plain"] | dict[str, "Plain"]


def read_yaml(root: Path, name: str) -> Node:
    """Read a YAML file of a data set.

    Raises:
        InputError: It is missing, is no regular file, leads out of `root`, is no YAML, or holds tags, anchors, aliases,
            deep nesting, several documents, or a key twice.
    """
    return parse_yaml(native.read_text(root, root / name), root, name)


def parse_yaml(text: str, root: Path, name: str) -> Node:
    """Parse the YAML that came from `name`, or stands in it.

    Raises:
        InputError: As for `read_yaml`.
    """
    path = root / name
    try:
        return Node(_compose(text, path), f"{root}/", f"{name}#")
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        if "nesting" in str(error.problem):  # PyYAML from 6.0.4 on stops it before the events of it come
            raise _not_plain(path, line) from error
        raise InputError("YAML_SYNTAX", str(error.problem), where=f"{path}:{line}", remedy=_REMEDY) from error
    except yaml.YAMLError as error:
        raise InputError("YAML_SYNTAX", str(error), where=path, remedy="save the file as plain text") from error


def _compose(text: str, path: Path) -> Plain:
    """Put the value of the one document together from the events of the parser."""
    documents: list[Plain] = []
    containers: list[Any] = [documents]  # those that are open, the outermost first
    keys: list[str | None] = [None]  # the key of each that waits for its value
    event: Any
    for event in yaml.parse(text, Loader=_LOADER):
        kind = type(event)
        if kind in _ENDS:
            containers.pop()
            keys.pop()
        if kind not in _VALUES:
            continue
        if kind is yaml.AliasEvent or event.anchor or event.tag or len(containers) > _DEEPEST:
            raise _not_plain(path, event.start_mark.line + 1)
        value = event.value if kind is yaml.ScalarEvent else [] if kind is yaml.SequenceStartEvent else {}
        into = containers[-1]
        if isinstance(into, list):
            into.append(value)
        elif keys[-1] is None:
            keys[-1] = _key(value, into, event, path)
            continue
        else:
            into[keys[-1]] = value
            keys[-1] = None
        if kind is not yaml.ScalarEvent:
            containers.append(value)
            keys.append(None)
    if len(documents) != 1:
        what = f"found {len(documents)} documents, expected one"
        raise InputError("YAML_SYNTAX", what, where=path, remedy="the file is empty or damaged: restore it")
    return documents[0]


def _not_plain(path: Path, line: int) -> InputError:
    what = "tags, anchors, aliases and deep nesting are not read"
    return InputError("YAML_PLAIN", what, where=f"{path}:{line}", remedy="write plain values")


def _key(value: Any, into: dict[str, Any], event: Any, path: Path) -> str:
    if not isinstance(value, str) or value in into:
        what, where = "the key stands twice or is no plain word", f"{path}:{event.start_mark.line + 1}"
        raise InputError("YAML_KEY_TWICE", what, where=where, field="key", value=value, remedy="keep one of them")
    return value
