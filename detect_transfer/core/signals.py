"""What a signal that asks a command to stop is called."""

from __future__ import annotations

import signal


def signal_name(number: int) -> str:
    """Return the name of a signal as a user knows it."""
    return "the keyboard" if number == signal.SIGINT else signal.Signals(number).name
