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


def is_special(path: Path) -> bool:
    """Tell whether there is a pipe, a device or a socket."""
    return path.exists() and not path.is_file() and not path.is_dir()


def not_regular(path: Path | str) -> InputError:
    """Return the error for a pipe, a device or a socket where a file or folder of the user was expected."""
    what, remedy = "it is a pipe, a device or a socket, no regular file", "give the file itself"
    return InputError("FILE_KIND", what, where=path, remedy=f"{remedy}; what a pipe gives, write to a file first")
