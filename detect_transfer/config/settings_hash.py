"""A hash of what a config says but for its paths, by which a file is known that was edited where data have moved."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from detect_transfer.config.load import read_yaml
from detect_transfer.config.parts import RunConfig
from detect_transfer.config.paths import change_paths


def settings_sha256(path: Path, kind: type[RunConfig] = RunConfig) -> str:
    """Return a SHA-256 of the keys and values in the file of a config, without `out` and what paths say.

    It is of the file and not of the config that comes of it, so that later versions, which know more keys, agree.

    Raises:
        InputError: The file is missing or no YAML.
    """
    return sha256_of_settings(read_yaml(path), kind)


def sha256_of_settings(content: Any, kind: type[RunConfig]) -> str:
    """Return what `settings_sha256` returns of a file with this content."""
    if isinstance(content, dict):
        content = {key: value for key, value in content.items() if key != "out"}
        content = change_paths(content, kind, lambda _, __: "")
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
