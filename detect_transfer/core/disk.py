"""What a disk refuses: names that are too long, writing where it is full or forbidden."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from detect_transfer.core.errors import DetectTransferError, InputError, ResourceError, one_line

LONGEST_NAME = 255  # bytes
_FULL = {errno.ENOSPC, errno.EDQUOT}
_NO_ROOM = 1 << 14  # bytes; a disk gives room in blocks


def name_too_long(error: OSError) -> InputError | None:
    """Return the error for a name that no disk has, None where it is about something else."""
    if error.errno != errno.ENAMETOOLONG:
        return None
    what = f"a name in it has more than the {LONGEST_NAME} bytes that a disk allows, or all of it is too long"
    return InputError("NAME_TOO_LONG", what, where=one_line(error.filename, longest=120), remedy="give a shorter name")


@contextmanager
def resource_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` of the block into an error that names `path`.

    Raises:
        InputError: A name is too long for a disk.
        ResourceError: The disk is full, or does not let us write.
    """
    try:
        yield
    except DetectTransferError:
        raise
    except OSError as error:
        if (too_long := name_too_long(error)) is not None:
            raise too_long from error
        full = error.errno in _FULL
        raise ResourceError(
            "DISK_FULL" if full else "WRITE_FAILED",
            f"writing failed: {error.strerror or error}",
            where=error.filename or path,
            remedy="free some space and run it again" if full else "check that the folder can be written",
        ) from error


@contextmanager
def full_disk_errors(folder: Path) -> Iterator[None]:
    """Let nothing pass that a library does on a full disk: some raise errors of their own, some write a part and go on.

    Raises:
        ResourceError: The disk of `folder` is full when the block ends, however it ends.
    """
    try:
        yield
    finally:
        if is_full(folder):
            remedy = "free some space and run it again"
            raise ResourceError("DISK_FULL", "the disk is full", where=folder, remedy=remedy)


def is_full(folder: Path) -> bool:
    """Tell whether the disk of a folder has no room left."""
    return shutil.disk_usage(folder).free < _NO_ROOM


def require_room(folder: Path, need: int, *, what: str, remedy: str) -> None:
    """Check that the disk of a folder has `need` bytes free.

    Args:
        folder: It is there.
        need: In bytes.
        what: What needs them, in the plural.
        remedy: What to do if there is no room.

    Raises:
        ResourceError: It has not.
    """
    free = shutil.disk_usage(folder).free
    if need > free:
        raise ResourceError(
            "DISK_FULL", f"{what} need {need:,} bytes and {free:,} are free", where=folder, remedy=remedy
        )
