"""The config that `init` writes: YAML with a reason beside each value."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from detect_transfer.config import RunConfig
from detect_transfer.core.errors import one_line
from detect_transfer.workflows.init_choices import Choice

SCHEMA_NAME = "config.schema.json"
_WIDTH, _LONGEST = 118, 1000
_ORDER = list(RunConfig.model_fields)


def config_text(choices: Mapping[str, Choice], facts: Iterable[str], *, source: Path, out: Path) -> str:
    """Return the config as YAML with its reasons."""
    lines = [f"# yaml-language-server: $schema={SCHEMA_NAME}"]
    lines += [f"# Command: detect-transfer train {shlex.quote(one_line(str(out)))}"]
    lines += [f"# {one_line(line, longest=_LONGEST)}" for line in facts]  # a class may have a line end in its name
    lines += ["#", "# detect-transfer config --explain KEY says what a key does, and which others there are.", "data:"]
    lines.append(f"  path: {as_yaml(path_from(out.parent, source))}")
    part = "data"
    for key, choice in sorted(choices.items(), key=lambda entry: _ORDER.index(entry[0].partition(".")[0])):
        first, _, name = key.partition(".")
        if first != part and name:
            lines.append(f"{first}:")
            part = first
        text = f"{'  ' if name else ''}{name or first}: {as_yaml(choice.value)}"
        comment = f"# {one_line(choice.reason, longest=_LONGEST)}"
        if len(text) + len(comment) + 2 > _WIDTH:
            lines += [f"{'  ' if name else ''}{comment}", text]
        else:
            lines.append(f"{text}  {comment}")
    return "\n".join(lines) + "\n"


def path_from(folder: Path, source: Path) -> str:
    """Return the path of data as a config in a folder names it: relative where the data lie in that folder."""
    relative = os.path.relpath(source.absolute(), folder.absolute())
    return str(source.absolute()) if relative.startswith("..") else relative


def as_yaml(value: Any) -> str:
    """Return a value in one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")
