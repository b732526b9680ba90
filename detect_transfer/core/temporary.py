"""Temporary folders: one beside an output folder, in which that is built, and those for what is needed meanwhile.

Each is named after this tool, the boot of the machine and the process, which holds the lock of its folder until it
ends, however it ends. Making one removes those that killed runs left in the same place: whose lock is free, and whose
process has ended; of another boot, or of another machine that shares the disk, only after a day.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OURS = re.compile(r"(?:\..*\.)?detect_transfer-(?P<boot>[0-9a-f]{8})-(?P<process>[0-9]+)-\w+\.tmp")
_SUFFIX = ".tmp"
_SECONDS_OF_OTHERS = 86_400.0
_LONGEST_STEM = 150  # bytes; a file system allows 255 for all of a name
_LOCKS: list[int] = []  # held until the process ends


@contextmanager
def building_folder(out: Path) -> Iterator[Path]:
    """Give a new folder beside `out`, removed at the end if it is still there.

    Raises:
        OSError: The parent of `out` cannot be written.
    """
    with scratch_folder(out.parent, name=f".{short_name(out.name)}.") as folder:
        umask = os.umask(0o077)  # it can be asked only by setting it, to what leaves nothing open meanwhile
        os.umask(umask)
        folder.chmod(0o777 & ~umask)
        yield folder


@contextmanager
def scratch_folder(parent: Path | None = None, *, name: str = "") -> Iterator[Path]:
    """Give a new folder, removed at the end.

    Args:
        parent: Where it is made; None takes the temporary folder of the system.
        name: What its name begins with: nothing, or text between two dots.

    Raises:
        OSError: It cannot be made.
    """
    folder, lock = _make(parent or Path(tempfile.gettempdir()), name)
    try:
        yield folder
    finally:
        _remove(folder)
        if lock is not None:
            os.close(lock)


def _remove(folder: Path) -> None:
    """Remove a folder, also where a second signal comes meanwhile, which then goes on."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def short_name(name: str) -> str:
    """Return a name that leaves room for more in the name of a file: a long one becomes its hash."""
    data = os.fsencode(name)
    return name if len(data) <= _LONGEST_STEM else hashlib.sha256(data).hexdigest()


def _make(parent: Path, name: str) -> tuple[Path, int | None]:
    """Make a folder, without those of killed runs beside it, and lock it.

    Until it is locked, a process that sees no such process, as from another container, may take it for left: then
    another is made. Where the disk knows no locks, the third stays without.
    """
    with os.scandir(parent) as entries:
        for entry in entries:
            if (match := _OURS.fullmatch(entry.name)) is not None:
                _remove_if_left(Path(entry.path), match["boot"], int(match["process"]))
    prefix, tries = f"{name}detect_transfer-{_boot()}-{os.getpid()}-", 3
    while True:
        tries -= 1
        folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=_SUFFIX, dir=parent))
        lock = _lock(folder)
        if (lock is not None and folder.is_dir()) or not tries:
            return folder, lock
        if lock is not None:
            os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def _boot() -> str:
    """Return what tells this boot of this machine from others, in eight digits; zeros where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    except OSError:
        return "0" * 8


def _remove_if_left(folder: Path, boot: str, process: int) -> None:
    lock = _lock(folder)  # of nobody else: neither that of another user nor a link can be opened so
    if lock is None:
        return
    stat = os.fstat(lock)
    is_over = not _is_running(process) if boot == _boot() else time.time() - stat.st_mtime > _SECONDS_OF_OTHERS
    if is_over and stat.st_uid == os.getuid():
        shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


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
    folder, lock = _make(Path(tempfile.gettempdir()), "")
    _LOCKS.extend([] if lock is None else [lock])
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in ("MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR"):
        os.environ.setdefault(name, str(folder))
    return folder
