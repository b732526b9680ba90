"""The runs of a study as jobs of Slurm, by submitit; `cluster: local` runs them as processes here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from detect_transfer.core.errors import ResourceError
from detect_transfer.workflows.study.folder import StudyFolder
from detect_transfer.workflows.study.launchers import check_slurm, slurm_parameters
from detect_transfer.workflows.study.process import do_run


def run_all(path: Path, keys: Sequence[str], options: Mapping[str, Any], *, keep_state: bool) -> None:
    """Submit a job a run, and wait until all have ended; a job that is killed leaves its run to be gone on with.

    Args:
        path: The folder of the study, which all machines see.
        keys: The runs.
        options: What `submitit` takes as parameters; `cluster` is `slurm` or `local`.
        keep_state: Keep what finished runs would need to train on.

    Raises:
        InputError: An option is wrong, as for `check_slurm`.
        ResourceError: submitit is not installed, or there is no such cluster.
    """
    try:
        import submitit
    except ImportError as error:
        raise ResourceError(
            "LAUNCHER_MISSING", "submitit is not installed", remedy="pip install 'detect-transfer[slurm]'"
        ) from error
    check_slurm(options)
    try:
        executor = submitit.AutoExecutor(folder=path / "slurm", cluster=str(options.get("cluster", "slurm")))
        executor.update_parameters(**slurm_parameters(options))
        with executor.batch():
            jobs = [executor.submit(partial(do_run, StudyFolder(path), key, keep_state=keep_state)) for key in keys]
    except (RuntimeError, FileNotFoundError, submitit.core.utils.FailedSubmissionError) as error:
        raise ResourceError("LAUNCHER_FAILED", str(error), remedy="is this a machine that submits to Slurm?") from error
    for job in jobs:
        job.wait()  # how a run ended stands in the folder of the study
