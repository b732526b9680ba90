"""One process at a time writes into a folder: two would overwrite each other's files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from detect_transfer.core.errors import InputError


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Lock a folder while the block runs; the system lets go of it when the process ends, however it ends.

    Raises:
        InputError: Another process has locked it.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no such lock
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                "RUN_IN_USE",
                "another process writes into this folder",
                where=folder,
                remedy="wait for it or stop it, or give another folder as out",
            ) from error
        yield
    finally:
        os.close(descriptor)
