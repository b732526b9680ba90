"""Processes that a launcher such as `torchrun` started end when it does, which kills none of them if it is killed."""

from __future__ import annotations

import os
import signal
import threading
import time

LOOK_S = 1.0  # between looks at who the parent is
LAST_S = 60.0  # for an end in good order; a step that waits for a process that is gone would take half an hour


def end_with_launcher() -> None:
    """Let SIGTERM end this process once its parent is gone, and end it for good `LAST_S` seconds later."""
    threading.Thread(target=_watch, args=(os.getppid(),), name="launcher", daemon=True).start()


def _watch(launcher: int) -> None:
    while os.getppid() == launcher:
        time.sleep(LOOK_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LAST_S)
    os._exit(128 + signal.SIGTERM)
