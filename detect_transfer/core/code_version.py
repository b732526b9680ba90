"""Which code a number was made by: a hash of the source files that a run goes through."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_WITHOUT = ("cli", "report", "assets")  # what is shown, and how it is asked for, changes no number


@functools.cache
def code_sha256() -> str:
    """Return the hash of the source files that numbers of a run depend on: not the command line, pages or studies."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        parts = path.relative_to(_PACKAGE).parts
        if parts[0] not in _WITHOUT and not any(part.startswith("study") for part in parts):
            digest.update(f"{'/'.join(parts)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
