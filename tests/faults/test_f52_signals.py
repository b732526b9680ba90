"""F52: signals, one and a second one, while a command runs and while it writes."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from detect_transfer.cli.console import training_watch
from detect_transfer.cli.signals import Stopped
from detect_transfer.workflows import convert as module


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal__in_the_middle_of_a_write_is_no_bug(
    command: Callable[..., Any],
    yolo_set: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    code: int,
) -> None:
    def write(*_: Any, **__: Any) -> None:
        try:
            _kill_itself(number)
        except BaseException as error:
            raise RuntimeError("unexpected pos 64 vs 0") from error  # as torch ends a file that was interrupted

    monkeypatch.setattr(module, "read_dataset", write)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background ignores it
    ended = command("convert", "yolo", yolo_set, "--out", tmp_path / "out")
    signal.signal(signal.SIGINT, before)
    assert ended.code == code
    assert ended.err.startswith("INTERRUPTED - stopped by ")


def _kill_itself(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(10)


def test_hangup__that_nohup_ignores_stays_ignored(yolo_set: Path, command: Callable[..., Any]) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with training_watch(Console(quiet=True)) as watch:
            os.kill(os.getpid(), signal.SIGHUP)
            assert watch.stop.signal is None
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_training__is_asked_to_stop_and_a_second_signal_ends_it(number: int) -> None:
    with training_watch(Console(quiet=True)) as watch:
        os.kill(os.getpid(), number)
        assert watch.stop.signal == number
        with pytest.raises(Stopped) as caught:
            _kill_itself(number)
    assert caught.value.exit_code == 128 + number
