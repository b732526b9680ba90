"""Running a study: what is left of it is done on this machine, or handed to a cluster."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial

from detect_transfer.config import absolute_paths
from detect_transfer.core.errors import InputError
from detect_transfer.workflows.study.data import write_split_files
from detect_transfer.workflows.study.plan import PlannedRun, StudyPlan, make_study_plan
from detect_transfer.workflows.study.process import RunWatch, do_run, drop_state
from detect_transfer.workflows.study.runs import digest_run, state_of
from detect_transfer.workflows.study.search import search_rates


@dataclass
class Launcher:
    """Runs what is left of a study.

    Args:
        plan: The study.
        on_event: Called with what happens, in words.
        watch: What is under way.
    """

    plan: StudyPlan
    on_event: Callable[[str], None] = lambda _: None
    watch: RunWatch = field(default_factory=RunWatch)
    _ended: int = 0
    _reported: set[str] = field(default_factory=set)

    def run(self, *, retry_failed: bool = False) -> bool:
        """Run everything that is not done; return whether nothing is left to be run.

        Rates that are to be searched are searched first, and `plan` is then the one with what was found.

        Args:
            retry_failed: Try runs again that stand as failed.
        """
        if self.plan.to_search:
            write_split_files(self.plan.data, self.plan.folder)
            if not search_rates(self.plan, self._each, self.on_event):
                return False
            self.plan = make_study_plan(self.plan.config, self.plan.folder)
        folder = self.plan.folder
        prepare_store(self.plan)
        order = {arm: i for i, arm in enumerate((*self.plan.config.study.arms, *self.plan.config.study.timed))}
        seeds = {seed: i for i, seed in enumerate(self.plan.config.study.seeds)}
        runs = sorted(self.plan.runs, key=lambda run: (seeds[run.seed], run.percent, order[run.arm]))
        if retry_failed:
            for run in runs:
                folder.failure(run.key).unlink(missing_ok=True)
        left = [run for run in runs if state_of(folder, run.key) in ("planned", "begun")]
        self._ended = len(runs) - len(left)
        for run in runs if not self.plan.config.study.keep_state else ():
            drop_state(folder, run.key)
        if self.plan.config.study.launcher == "local":
            with ThreadPoolExecutor(max_workers=self.plan.jobs) as pool:
                list(pool.map(self._one, left))  # those that no other launcher has
                list(pool.map(partial(self._one, wait=True), left))
        else:
            for _ in self._each([run.key for run in left]):
                pass
            for run in left:
                self._report(run)
        return not self.watch.stopped.is_set()

    def _each(self, keys: Sequence[str]) -> Iterator[str]:
        """Do runs, here or on a cluster, and yield each as it ends or is stopped."""
        study, path = self.plan.config.study, self.plan.folder.path.absolute()
        if study.launcher == "local":
            do = partial(do_run, self.plan.folder, jobs=self.plan.jobs, keep_state=study.keep_state, watch=self.watch)
            with ThreadPoolExecutor(max_workers=self.plan.jobs) as pool:
                tasks = {pool.submit(do, key): key for key in keys}
                for task in as_completed(tasks):
                    task.result()
                    yield tasks[task]
            return
        if study.launcher == "slurm":
            from detect_transfer.workflows.study.slurm import run_all
        else:
            from detect_transfer.workflows.study.ray import run_all
        self.on_event(f"{len(keys)} runs go to {study.launcher}")
        run_all(path, keys, study.launcher_options, keep_state=study.keep_state)
        yield from keys

    def stop(self, *, ask_runs: bool = True) -> None:
        """Start nothing more.

        Args:
            ask_runs: Ask what is under way to stop at its next step; a terminal has asked it already.
        """
        self.watch.stopped.set()
        for process in tuple(self.watch.processes) if ask_runs else ():
            process.send_signal(signal.SIGTERM)

    def _one(self, run: PlannedRun, *, wait: bool = False) -> None:
        """Do a run; where another process does it, leave it, or wait for it."""
        keep_state, jobs = self.plan.config.study.keep_state, self.plan.jobs
        if self.watch.stopped.is_set() or run.key in self._reported:
            return
        do_run(self.plan.folder, run.key, jobs=jobs, keep_state=keep_state, wait=wait, watch=self.watch)
        if not self.watch.stopped.is_set() and (wait or state_of(self.plan.folder, run.key) in ("done", "failed")):
            self._report(run)

    def _report(self, run: PlannedRun) -> None:
        self._reported.add(run.key)
        self._ended += 1
        folder = self.plan.folder
        where = f"[{self._ended} of {len(self.plan.runs)}] {run.words}"
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
        plan.write_config(run, plan.config_of(run))
    plan.folder.write_config(absolute_paths(plan.config.model_copy(update={"out": plan.folder.path.absolute()})))
