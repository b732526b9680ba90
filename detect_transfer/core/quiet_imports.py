"""Importing libraries that start other programs as they are imported: here they start none."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any


def import_fonts() -> None:
    """Import the fonts of matplotlib without asking `fc-list` for those of the system, of which none is drawn with."""
    with _no_programs():
        import_module("matplotlib.font_manager")


def import_cuda_libraries() -> None:
    """Import what torch looks for CUDA with, where it is installed; it need not ask `ldconfig`."""
    with _no_programs(), suppress(ImportError, RuntimeError):
        import_module("cuda.pathfinder._dynamic_libs.load_dl_linux")


@contextmanager
def _no_programs() -> Iterator[None]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError("no program is started")

    before = subprocess.Popen
    subprocess.Popen = refuse  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        subprocess.Popen = before  # type: ignore[misc]
