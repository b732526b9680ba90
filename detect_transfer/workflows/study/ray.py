"""The runs of a study as tasks of Ray, on this machine or on a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from detect_transfer.core.errors import InputError, ResourceError
from detect_transfer.core.quiet_imports import forbid_reports
from detect_transfer.core.threads import cores
from detect_transfer.workflows.study.folder import StudyFolder
from detect_transfer.workflows.study.process import do_run

_MOST_TRIES = 3  # of a task whose machine was lost; what its run had reached is gone on with


def run_all(path: Path, keys: Sequence[str], options: Mapping[str, Any], *, keep_state: bool) -> None:
    """Give Ray a task a run, and wait until all have ended.

    Args:
        path: The folder of the study, which all machines see.
        keys: The runs.
        options: `address` of the cluster (without it Ray starts here), and options of a task, such as `num_gpus`.
        keep_state: Keep what finished runs would need to train on.

    Raises:
        InputError: An option is wrong, as for `task_of`.
        ResourceError: Ray is not installed, or cannot be reached.
    """
    forbid_reports()
    try:
        import ray
    except ImportError as error:
        raise ResourceError(
            "LAUNCHER_MISSING", "Ray is not installed", remedy="pip install 'detect-transfer[ray]'"
        ) from error
    task, given = task_of(options), _of_task(options)
    address = options.get("address")
    try:
        ray.init(address=address, log_to_driver=False, include_dashboard=False if address is None else None)
    except (ConnectionError, RuntimeError) as error:
        raise ResourceError("LAUNCHER_FAILED", str(error), remedy="check study.launcher_options.address") from error
    try:
        jobs = max(1, cores() // max(1, int(given["num_cpus"])))
        waiting = [task.remote(StudyFolder(path), key, jobs=jobs, keep_state=keep_state) for key in keys]
        while waiting:
            _, waiting = ray.wait(waiting)  # a task that was lost for good leaves its run to be gone on with
    finally:
        ray.shutdown()


def _of_task(options: Mapping[str, Any]) -> dict[str, Any]:
    return {"max_retries": _MOST_TRIES, "num_cpus": 1, **{k: v for k, v in options.items() if k != "address"}}


def task_of(options: Mapping[str, Any]) -> Any:
    """Return the task that does a run, whether Ray has been started or not.

    Raises:
        InputError: There is no such option, or a value is of another kind.
    """
    import ray

    try:
        task = ray.remote(do_run).options(**_of_task(options))
        int(_of_task(options)["num_cpus"])
    except (TypeError, ValueError) as error:
        what = str(error).partition("\n")[0]
        remedy = "see the options of a task of Ray, such as {num_gpus: 0.5, max_retries: 3}"
        raise InputError("LAUNCHER_OPTION", what, field="study.launcher_options", remedy=remedy) from error
    return task
