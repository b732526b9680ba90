"""A run while it goes on: its folder is locked, what happens is logged, and what is half done goes."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from detect_transfer.training.lock import lock_folder
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.train_context import drop_cache, drop_unfinished

logger = logging.getLogger(__name__)


@contextmanager
def open_run(folder: RunFolder, *, main: bool, resume: bool) -> Iterator[None]:
    """Lock the folder of a run and log to it; remove it where the block fails before anything is worth keeping.

    Args:
        folder: The run folder.
        main: Whether this is the main process of the run; the others only train.
        resume: Whether the run was begun before.
    """
    with ExitStack() as stack:
        if main:
            stack.enter_context(lock_folder(folder.path))
            drop_unfinished(folder)
            stack.enter_context(logging_to(folder.log))
        stack.callback(drop_cache, folder)
        try:
            yield
        except BaseException as error:
            logger.error("ended by %s: %s", type(error).__name__, error)
            if main and not folder.state.exists() and not resume:
                shutil.rmtree(folder.path, ignore_errors=True)  # not one epoch was scored: nothing is worth keeping
            raise


class _LogFile(logging.FileHandler):
    """A log that stays silent where it cannot be written: what ails the disk shows in what must be written on it."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Go on without the line."""

    def close(self) -> None:
        """Close the file, with or without what is still to be written."""
        with suppress(OSError):
            super().close()


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Log what the package says to a file while the block runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _LogFile(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger("detect_transfer")
    root.setLevel(logging.INFO)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
