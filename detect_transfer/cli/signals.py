"""Signals that ask a command to stop: those of the keyboard, of the system, and of a terminal that is closed."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from detect_transfer.core.errors import DetectTransferError
from detect_transfer.core.signals import signal_name

TERMINATE = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(BaseException):
    """A signal came; no `except Exception` may take it.

    Args:
        number: Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def error(self) -> DetectTransferError:
        """What the user reads."""
        what = f"stopped by {signal_name(self.number)}"
        return DetectTransferError("INTERRUPTED", what, remedy="run it again, or --resume a training")

    @property
    def exit_code(self) -> int:
        """128 and the number of the signal."""
        return 128 + self.number


@contextmanager
def stops_handled(handle: Callable[[int], None], *signals: int) -> Iterator[None]:
    """Call `handle` with the number of each of these signals that comes; nohup, which ignores one, is obeyed."""
    before = {number: signal.getsignal(number) for number in signals}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN or number == signal.SIGINT:
            signal.signal(number, lambda number, _: handle(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def keyboard_handled() -> Iterator[None]:
    """Let Ctrl-C raise `KeyboardInterrupt` where it would end the process at once, as before and after a command."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if before is signal.SIG_DFL:
            signal.signal(signal.SIGINT, before)


def raise_stopped(number: int) -> None:
    """Let a signal end what runs like an error, so that what is half done is removed.

    Raises:
        Stopped: Always.
    """
    raise Stopped(number)


def stop_behind(error: BaseException) -> Stopped | None:
    """Return the signal that an error comes from: a library that is interrupted raises an error of its own."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, Stopped):
            return cause
        if isinstance(cause, KeyboardInterrupt):
            return Stopped(signal.SIGINT)
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return None
