"""Running a study on this machine: each run by the existing `train`, in a process of its own.

A run is claimed by a lock that its process inherits. A launcher that was killed may leave a run that goes on by itself;
the next one waits for it instead of starting it twice. Launchers on several machines share a store in the same way.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from detect_transfer.config import absolute_paths, dump_config
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import write_atomic
from detect_transfer.core.threads import shared_threads
from detect_transfer.workflows.study_data import write_split_files
from detect_transfer.workflows.study_folder import StudyFolder
from detect_transfer.workflows.study_plan import PlannedRun, StudyPlan
from detect_transfer.workflows.study_runs import digest_run, note_failure, state_of

_SECONDS_BETWEEN_LOOKS = 0.5
_BY_SIGNAL = (130, 143)  # exit codes of a run that was asked to stop


@dataclass
class Launcher:
    """Runs what is left of a study.

    Args:
        plan: The study.
        on_event: Called with what happens, in words.
        stopped: Set from outside to start nothing more; runs that are under way end at their next step.
        processes: Those that are under way.
    """

    plan: StudyPlan
    on_event: Callable[[str], None] = lambda _: None
    stopped: threading.Event = field(default_factory=threading.Event)
    processes: set[subprocess.Popen[bytes]] = field(default_factory=set)
    _ended: int = 0
    _told: set[str] = field(default_factory=set)

    def run(self, *, retry_failed: bool = False) -> bool:
        """Run everything that is not done; return whether nothing is left to be run.

        Args:
            retry_failed: Try runs again that stand as failed.
        """
        folder, jobs = self.plan.folder, self.plan.config.study.jobs
        prepare_store(self.plan)
        order = {arm: i for i, arm in enumerate(self.plan.config.study.arms)}
        seeds = {seed: i for i, seed in enumerate(self.plan.config.study.seeds)}
        runs = sorted(self.plan.runs, key=lambda run: (seeds[run.seed], run.percent, order[run.arm]))
        if retry_failed:
            for run in runs:
                folder.failure(run.key).unlink(missing_ok=True)
        left = [run for run in runs if state_of(folder, run.key) in ("planned", "begun")]
        self._ended = len(runs) - len(left)
        if self.plan.config.study.launcher == "local":
            with ThreadPoolExecutor(max_workers=jobs) as pool:
                list(pool.map(self._one, left))  # those that no other launcher has
                list(pool.map(partial(self._one, wait=True), left))
        else:
            self._elsewhere([run.key for run in left])
        return not self.stopped.is_set()

    def _elsewhere(self, keys: list[str]) -> None:
        """Hand runs to a cluster, and wait until all have ended."""
        study, path = self.plan.config.study, self.plan.folder.path.absolute()
        if study.launcher == "slurm":
            from detect_transfer.workflows.study_slurm import run_all
        else:
            from detect_transfer.workflows.study_ray import run_all
        self.on_event(f"{len(keys)} runs go to {study.launcher}")
        run_all(path, keys, study.launcher_options, keep_state=study.keep_state)
        for run in self.plan.runs:
            if run.key in keys:
                self._tell(run)

    def stop(self, *, ask_runs: bool = True) -> None:
        """Start nothing more.

        Args:
            ask_runs: Ask what is under way to stop at its next step; a terminal has asked it already.
        """
        self.stopped.set()
        for process in tuple(self.processes) if ask_runs else ():
            process.send_signal(signal.SIGTERM)

    def _one(self, run: PlannedRun, *, wait: bool = False) -> None:
        """Do a run; where another process does it, leave it, or wait for it."""
        study = self.plan.config.study
        if self.stopped.is_set() or run.key in self._told:
            return
        do_run(self.plan.folder, run.key, jobs=study.jobs, keep_state=study.keep_state, wait=wait, watch=self)
        if not self.stopped.is_set() and (wait or state_of(self.plan.folder, run.key) in ("done", "failed")):
            self._tell(run)

    def _tell(self, run: PlannedRun) -> None:
        self._told.add(run.key)
        self._ended += 1
        folder = self.plan.folder
        where = f"[{self._ended} of {len(self.plan.runs)}] {run.arm}, {run.n_images} images, seed {run.seed}"
        if state_of(folder, run.key) == "done":
            try:
                facts = digest_run(self.plan, run).facts
                self.on_event(f"{where}: test AP {facts['test']['AP']:.3f} in {facts['cost']['seconds']:.0f} s")
            except InputError as error:  # the report counts it as failed
                self.on_event(f"{where}: {error}")
        elif state_of(folder, run.key) == "failed":
            self.on_event(f"{where}: failed; {folder.output(run.key)}")
        else:
            self.on_event(f"{where}: stopped before its end; run the study again")


def prepare_store(plan: StudyPlan) -> None:
    """Write what the runs of a study share, and a config for each run that has none; the config of the study last."""
    write_split_files(plan.data, plan.folder)
    for run in plan.runs:
        path = plan.folder.run_config(run.key)
        if not path.is_file():
            write_atomic(path, dump_config(plan.config_of(run)))
    write_atomic(
        plan.folder.config,
        dump_config(absolute_paths(plan.config.model_copy(update={"out": plan.folder.path.absolute()}))),
    )


def do_run(
    folder: StudyFolder,
    key: str,
    *,
    jobs: int = 1,
    keep_state: bool = False,
    wait: bool = True,
    watch: Launcher | None = None,
) -> None:
    """Do a run in a process of its own; nothing where it has ended.

    Args:
        folder: The folder of the study.
        key: The run.
        jobs: How many runs share this machine.
        keep_state: Keep what a finished run would need to train on.
        wait: Where another process does the run, wait for it; else leave it.
        watch: Is told of the process, and may be stopped.
    """
    stopped = threading.Event() if watch is None else watch.stopped
    while not stopped.is_set() and state_of(folder, key) in ("planned", "begun"):
        claim = _claim(folder.run_config(key))
        if claim is None:
            if not wait:
                return
            stopped.wait(_SECONDS_BETWEEN_LOOKS)
            continue
        try:
            if state_of(folder, key) in ("planned", "begun"):
                code = _train(folder, key, claim, jobs, set() if watch is None else watch.processes)
                _note_end(folder, key, code, keep_state=keep_state)
                if code in _BY_SIGNAL:
                    return
        finally:
            os.close(claim)


def _train(folder: StudyFolder, key: str, claim: int, jobs: int, processes: set[subprocess.Popen[bytes]]) -> int:
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
        processes.add(process)
        code = process.wait()
        processes.discard(process)
    return code


def run_command(folder: StudyFolder, key: str) -> Sequence[str]:
    """Return the command that does a run or goes on with it; what cannot be gone on with is removed."""
    run = folder.run(key)
    program = [sys.executable, "-m", "detect_transfer", "train"]
    if run.state.is_file():
        return [*program, "--resume", str(run.path)]
    shutil.rmtree(run.path, ignore_errors=True)  # killed before its first epoch was kept
    return [*program, str(folder.run_config(key))]


def _note_end(folder: StudyFolder, key: str, code: int, *, keep_state: bool) -> None:
    """Drop what a finished run needs no more, or note how a run failed; one that was asked to stop has not ended."""
    run = folder.run(key)
    if run.manifest.is_file():
        if not keep_state:
            run.state.unlink(missing_ok=True)
    elif code not in _BY_SIGNAL:
        note_failure(folder, key, _why(folder, key, code))


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
