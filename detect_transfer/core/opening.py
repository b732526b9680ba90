"""Opening what a user names: regular files alone, since a pipe, a device or a socket may block, or never end."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

from detect_transfer.core.errors import InputError


def open_regular(path: Path | str) -> BufferedReader:
    """Open a regular file, or what a link to one leads to, for reading.

    Raises:
        InputError: It is a folder, a pipe, a device or a socket; what `open` raises otherwise stays an `OSError`.
    """
    return open(path, "rb", opener=_regular)


def _regular(path: str, flags: int) -> int:
    """Open without waiting for the other end of a pipe, and look at what was opened."""
    try:
        descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENODEV):
            raise not_regular(path) from error
        raise
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise InputError("FILE_KIND", "a file was expected here", where=path, remedy="check the path")
    raise not_regular(path)


def real_path(path: Path) -> Path:
    """Return where a path leads to when links are followed; of a loop of links, where `resolve` raises, the path."""
    return Path(os.path.realpath(path))


def is_link(path: Path) -> bool:
    """Tell whether there is a link; of a path that is too long for a disk, where `is_symlink` raises, there is none."""
    return os.path.islink(path)  # noqa: PTH114


def is_special(path: Path) -> bool:
    """Tell whether there is a pipe, a device or a socket."""
    return path.exists() and not path.is_file() and not path.is_dir()


def not_regular(path: Path | str) -> InputError:
    """Return the error for a pipe, a device or a socket where a file or folder of the user was expected."""
    mode = os.stat(path).st_mode  # noqa: PTH116 - of text as well
    kind = "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
    remedy = "give the file itself; what a pipe gives, write to a file first"
    return InputError("FILE_KIND", f"it is {kind}, no regular file", where=path, remedy=remedy)


def what_is_there(path: Path, *, expected: str = "file") -> str:
    """Return in words why no `expected` is there: nothing is, or a folder, a file, or a link that leads nowhere."""
    if path.is_dir():
        return "a folder is there"
    if path.exists():
        return "a file is there"
    return "a link that leads nowhere is there" if is_link(path) else f"there is no such {expected}"
