"""A run of a study, done by the existing `train` in a process of its own.

A run is claimed by a lock that its process inherits. A launcher that was killed may leave a run that goes on by itself;
the next one waits for it instead of starting it twice. Launchers on several machines share a store in the same way.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from detect_transfer.config import load_config
from detect_transfer.core.threads import shared_threads
from detect_transfer.workflows.study.folder import StudyFolder
from detect_transfer.workflows.study.runs import note_failure, state_of

_SECONDS_BETWEEN_LOOKS = 0.5
_BY_SIGNAL = (129, 130, 143, -1, -2, -15)  # of a run that was asked to stop; negative: as it started


@dataclass
class RunWatch:
    """What a launcher knows of the runs that are under way.

    Args:
        stopped: Set from outside to start nothing more.
        processes: Those of the runs.
    """

    stopped: threading.Event = field(default_factory=threading.Event)
    processes: set[subprocess.Popen[bytes]] = field(default_factory=set)


def do_run(
    folder: StudyFolder,
    key: str,
    *,
    jobs: int = 1,
    keep_state: bool = False,
    wait: bool = True,
    watch: RunWatch | None = None,
) -> None:
    """Do a run in a process of its own; nothing where it has ended.

    Args:
        folder: The folder of the study.
        key: The run.
        jobs: How many runs share this machine.
        keep_state: Keep what a finished run would need to train on.
        wait: Where another process does the run, wait for it; else leave it.
        watch: Has the process while it runs, and may be stopped from outside.
    """
    watch = watch or RunWatch()
    stopped = watch.stopped
    while not stopped.is_set() and state_of(folder, key) in ("planned", "begun"):
        claim = _claim(folder.run_config(key))
        if claim is None:
            if not wait:
                return
            stopped.wait(_SECONDS_BETWEEN_LOOKS)
            continue
        try:
            if state_of(folder, key) in ("planned", "begun"):
                code = _train(folder, key, claim, jobs, watch)
                _note_end(folder, key, code, keep_state=keep_state)
                if code in _BY_SIGNAL:
                    return
        finally:
            os.close(claim)
    if not keep_state:
        drop_state(folder, key)


def _train(folder: StudyFolder, key: str, claim: int, jobs: int, watch: RunWatch) -> int:
    """Run the command of a run, which inherits the claim; return its exit code."""
    output = folder.output(key)
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("ab") as stream:
        process = subprocess.Popen(
            run_command(folder, key),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env=shared_threads(jobs),
            pass_fds=(claim,),
        )
        watch.processes.add(process)
        code = process.wait()
        watch.processes.discard(process)
    return code


def run_command(folder: StudyFolder, key: str) -> Sequence[str]:
    """Return the command that does a run or goes on with it; what cannot be gone on with is removed."""
    run = folder.run(key)
    program = [sys.executable, "-m", "detect_transfer", "train"]
    if run.state.is_file():
        return [*program, "--resume", str(run.path), *_paths_now(folder, key)]
    shutil.rmtree(run.path, ignore_errors=True)  # killed before its first epoch was kept
    return [*program, str(folder.run_config(key))]


def _paths_now(folder: StudyFolder, key: str) -> Sequence[str]:
    """Return the words for where the data of a run lie now: the study may have been moved since the run began."""
    data = load_config(folder.run_config(key)).data
    paths = {"path": data.path, "split_file": data.split_file}
    return [f"data.{name}={json.dumps(str(path))}" for name, path in paths.items() if path is not None]


def _note_end(folder: StudyFolder, key: str, code: int, *, keep_state: bool) -> None:
    """Drop what a finished run needs no more, or note how a run failed; one that was asked to stop has not ended."""
    if folder.run(key).manifest.is_file():
        if not keep_state:
            drop_state(folder, key)
    elif code not in _BY_SIGNAL:
        note_failure(folder, key, _why(folder, key, code), code)


def drop_state(folder: StudyFolder, key: str) -> None:
    """Drop what only training on needs of a run, where that has finished; a launcher that was killed leaves it."""
    if state_of(folder, key) == "done":
        folder.run(key).state.unlink(missing_ok=True)


def _why(folder: StudyFolder, key: str, code: int) -> str:
    """Return the last line that a run printed, or the signal that ended it."""
    if code < 0:
        return f"ended by signal {-code} ({signal.Signals(-code).name}); the memory may have run out"
    path = folder.output(key)
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {code}")


def _claim(path: Path) -> int | None:
    """Return a descriptor that holds the lock beside a config, which processes inherit; None where another has it."""
    descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # Windows has no such lock: one launcher at a time
        return descriptor
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
