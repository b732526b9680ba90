"""The runs of a study as tasks of Ray, on this machine or on a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from detect_transfer.core.errors import ResourceError
from detect_transfer.core.quiet_imports import forbid_reports
from detect_transfer.core.threads import cores
from detect_transfer.workflows.study.folder import StudyFolder
from detect_transfer.workflows.study.launchers import check_ray, ray_options
from detect_transfer.workflows.study.process import do_run


def run_all(path: Path, keys: Sequence[str], options: Mapping[str, Any], *, keep_state: bool) -> None:
    """Give Ray a task a run, and wait until all have ended.

    Args:
        path: The folder of the study, which all machines see.
        keys: The runs.
        options: `address` of the cluster (without it Ray starts here), and options of a task, such as `num_gpus`.
        keep_state: Keep what finished runs would need to train on.

    Raises:
        InputError: An option is wrong, as for `check_ray`.
        ResourceError: Ray is not installed, or cannot be reached.
    """
    forbid_reports()
    try:
        import ray
    except ImportError as error:
        raise ResourceError(
            "LAUNCHER_MISSING", "Ray is not installed", remedy="pip install 'detect-transfer[ray]'"
        ) from error
    check_ray(options)
    given = ray_options(options)
    task: Any = ray.remote(do_run).options(**given)
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
