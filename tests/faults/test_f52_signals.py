"""F52: signals, one and a second one, while a command runs and while it writes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from paths import ROOT
from rich.console import Console

import detect_transfer.cli.study as study
from detect_transfer.cli.console import training_watch
from detect_transfer.cli.signals import TERMINATE, Stopped, raise_stopped, stops_handled
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

    monkeypatch.setattr(module, "scan_dataset", write)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background ignores it
    ended = command("convert", "yolo", yolo_set, "--out", tmp_path / "out")
    is_default = signal.signal(signal.SIGINT, before) == signal.SIG_DFL
    assert (ended.code, is_default) == (code, True)
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


@pytest.mark.parametrize(
    ("number", "is_asked"), [(signal.SIGHUP, True), (signal.SIGINT, False), (signal.SIGTERM, True)]
)
def test_study__asks_its_runs_to_stop_and_says_how_to_go_on(
    number: int, is_asked: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked: list[bool] = []

    class Launcher:
        def __init__(self, *_: object) -> None: ...

        def run(self, *, retry_failed: bool) -> None:
            os.kill(os.getpid(), number)

        def stop(self, *, ask_runs: bool) -> None:
            asked.append(ask_runs)

    monkeypatch.setattr("detect_transfer.workflows.study.run.Launcher", Launcher)
    monkeypatch.setattr(study, "print_study_plan", lambda _: None)
    with stops_handled(raise_stopped, *TERMINATE), pytest.raises(typer.Exit) as caught:
        study._run_and_report(SimpleNamespace(folder=SimpleNamespace(path=tmp_path)), retry_failed=False)
    assert caught.value.exit_code == 128 + number
    assert asked == [is_asked]
    assert f"detect-transfer study resume {tmp_path}" in capsys.readouterr().out


LOADING = """
import os, runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
class Send:
    def find_spec(self, name, *_):
        if name == "detect_transfer.cli.console":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Send())
sys.argv = ["detect-transfer", "config", "--explain", "train.lr"]
runpy.run_module("detect_transfer", run_name="__main__")
"""


def test_keyboard__while_the_command_line_is_loaded_is_no_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", LOADING], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
