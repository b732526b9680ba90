"""What polars says of a damaged table, as an error of ours."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from detect_transfer.core.errors import InputError

# a panic is what Rust ends with where it trusted what it read
_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError)


@contextmanager
def table_errors(code: str, path: Path, *, remedy: str) -> Iterator[None]:
    """Turn what polars raises of a table into an error that names the file.

    Raises:
        InputError: The table cannot be parsed.
    """
    try:
        with _quiet():
            yield
    except _ERRORS as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        what = "it is damaged" if isinstance(error, pl.exceptions.PanicException) else first
        raise InputError(code, f"it cannot be parsed ({what})", where=path, remedy=remedy) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Rust writes of a panic from the error stream, which shows one line an error."""
    try:
        before = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    sys.stderr.flush()
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(nothing)
