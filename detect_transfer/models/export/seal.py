"""The hash that an exported model carries of itself, so that a bit that changed since is seen before it is run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from detect_transfer.core.errors import InputError
from detect_transfer.core.io import read_bytes, write_atomic

SEAL = "content_sha256"
NO_SEAL = "0" * 64  # stands in its place while the hash is taken
# behind the key in JSON `": "`, in ONNX two bytes and a quote; no text in either holds a quote without a backslash
_FOUND = re.compile(SEAL.encode() + rb'[^0-9a-f\\]{2,6}([0-9a-f]{64})"')


def seal(path: Path, beside: Sequence[Path] = ()) -> None:
    """Put the hash of a file that has `NO_SEAL` under the key `SEAL`, and of those beside it, into its place.

    Raises:
        ResourceError: The disk is full or does not let us write.
    """
    data = read_bytes(path)
    match = _FOUND.search(data)
    assert match is not None
    digest = _digest(data, match, beside).encode()
    write_atomic(path, data[: match.start(1)] + digest + data[match.end(1) :])


def check_seal(path: Path, beside: Sequence[Path] = ()) -> None:
    """Check that a file, and those beside it, are what was sealed; earlier versions sealed none.

    Raises:
        InputError: They are not, or one is missing.
        ResourceError: The machine does not let us read one.
    """
    data = read_bytes(path)
    match = _FOUND.search(data)
    if match is not None and _digest(data, match, beside) != match[1].decode():
        what = "its content is not what was exported: bits have changed since"
        remedy = "copy it again, or export the weights again"
        raise InputError("EXPORT_DAMAGED", what, where=path, remedy=remedy)


def _digest(data: bytes, match: re.Match[bytes], beside: Sequence[Path]) -> str:
    digest, view = hashlib.sha256(), memoryview(data)
    for part in (view[: match.start(1)], NO_SEAL.encode(), view[match.end(1) :]):
        digest.update(part)
    for other in beside:
        digest.update(read_bytes(other))
    return digest.hexdigest()
