"""Many small text files: a label or an XML for each image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from detect_transfer.core.disk import resource_errors
from detect_transfer.core.io import safe_join

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)  # Windows would change line ends


def write_small_files(folder: Path, names: Sequence[str], texts: Sequence[str]) -> None:
    """Write UTF-8 texts straight to their place, so `folder` should be one that is published whole.

    Args:
        folder: Where they go; made if it is not there.
        names: A relative path for each.
        texts: As many.

    Raises:
        InputError: A name leads out of the folder.
        ResourceError: The disk is full or does not let us write.
    """
    with resource_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for parent in sorted({str(PurePosixPath(name).parent) for name in names}):
            safe_join(folder, parent).mkdir(parents=True, exist_ok=True)
        for name, text in zip(names, texts, strict=True):
            _write_plain(f"{folder}/{name}", text.encode())


def _write_plain(path: str, data: bytes) -> None:
    """Write a small file; fifty thousand of them are no place for `pathlib`."""
    descriptor = os.open(path, _FLAGS, 0o644)
    try:
        while data:  # a disk that fills up may take a part
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)
