"""JSON files that carry the hash of what they say: for what is worked out once, kept, and believed later."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from detect_transfer.core.errors import InputError
from detect_transfer.core.io import read_json, write_json

SEAL = "content_sha256"


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Write an object with its hash, atomically.

    Raises:
        ResourceError: The disk is full or does not let us write.
    """
    written = orjson.loads(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS))
    write_json(path, {**written, SEAL: _hash_of(written)})


def read_sealed(path: Path, *, remedy: str, seal: bool = True) -> dict[str, Any]:
    """Return what an object says that `write_sealed` wrote, without its hash.

    Args:
        path: The file.
        remedy: What to do about one that has changed.
        seal: It must have a hash; else one that earlier versions wrote, which has none, is taken.

    Raises:
        InputError: It is missing or no JSON, or it does not say what was written.
    """
    content = read_json(path)
    stated = content.pop(SEAL, None) if isinstance(content, dict) else ...
    if stated is ... or (stated != _hash_of(content) and (seal or stated is not None)):
        raise InputError("FILE_CHANGED", "it is not what was written: its hash is another", where=path, remedy=remedy)
    return dict(content)


def read_kept(path: Path) -> dict[str, Any]:
    """Return what an object says that `write_sealed` wrote; nothing where it is missing or has changed since."""
    try:
        return read_sealed(path, remedy="remove it") if path.is_file() else {}
    except InputError:
        return {}


def _hash_of(content: Any) -> str:
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
