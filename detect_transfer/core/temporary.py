"""Temporary folders: a hidden one beside an output folder, in which that is built, and one of the process.

The hidden one is named after the output folder and this tool. A process holds the lock of its folder until it ends,
however it ends, so a folder that can be locked was left by a killed run.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SUFFIX = ".tmp"


@contextmanager
def building_folder(out: Path) -> Iterator[Path]:
    """Give a new folder beside `out`, removed at the end if it is still there, without those of killed runs.

    Raises:
        OSError: The parent of `out` cannot be written.
    """
    prefix = f".{out.name}.detect_transfer-"
    for left in out.parent.glob(f"{_escape(prefix)}*{_SUFFIX}"):
        _remove_if_free(left)
    folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=_SUFFIX, dir=out.parent))
    lock = _lock(folder)
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _escape(text: str) -> str:
    """Return a pattern that matches this text alone."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in text)


def _remove_if_free(folder: Path) -> None:
    lock = _lock(folder)
    if lock is not None:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _lock(folder: Path) -> int | None:
    """Return the descriptor that holds a folder; None where another process holds it, or the system cannot."""
    try:
        import fcntl
    except ImportError:  # Windows has no such lock: what killed runs leave stays there
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


@functools.cache
def private_folder() -> Path:
    """Return a temporary folder of this process, removed at its end, for libraries that must write settings somewhere.

    Some write to the home folder as soon as they are imported; what a run writes belongs into its own folder.
    """
    folder = Path(tempfile.mkdtemp(prefix="detect_transfer-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in ("MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR"):
        os.environ.setdefault(name, str(folder))
    return folder
