"""The runs of a study as jobs of Slurm, by submitit; `cluster: local` runs them as processes here."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from detect_transfer.core.errors import InputError, ResourceError
from detect_transfer.core.temporary import scratch_folder
from detect_transfer.workflows.study.folder import StudyFolder
from detect_transfer.workflows.study.process import do_run

_CLUSTERS = ("slurm", "local")


def run_all(path: Path, keys: Sequence[str], options: Mapping[str, Any], *, keep_state: bool) -> None:
    """Submit a job a run, and wait until all have ended; a job that is killed leaves its run to be gone on with.

    Args:
        path: The folder of the study, which all machines see.
        keys: The runs.
        options: What `submitit` takes as parameters; `cluster` is `slurm` or `local`.
        keep_state: Keep what finished runs would need to train on.

    Raises:
        InputError: An option is wrong, as for `check_options`.
        ResourceError: submitit is not installed, or there is no such cluster.
    """
    try:
        import submitit
    except ImportError as error:
        raise ResourceError(
            "LAUNCHER_MISSING", "submitit is not installed", remedy="pip install 'detect-transfer[slurm]'"
        ) from error
    check_options(options)
    try:
        executor = submitit.AutoExecutor(folder=path / "slurm", cluster=str(options.get("cluster", "slurm")))
        executor.update_parameters(**_parameters(options))
        with executor.batch():
            jobs = [executor.submit(partial(do_run, StudyFolder(path), key, keep_state=keep_state)) for key in keys]
    except (RuntimeError, FileNotFoundError, submitit.core.utils.FailedSubmissionError) as error:
        raise ResourceError("LAUNCHER_FAILED", str(error), remedy="is this a machine that submits to Slurm?") from error
    for job in jobs:
        job.wait()  # how a run ended stands in the folder of the study


def _parameters(options: Mapping[str, Any]) -> dict[str, Any]:
    return {"slurm_array_parallelism": 16, **{key: value for key, value in options.items() if key != "cluster"}}


def check_options(options: Mapping[str, Any]) -> None:
    """Raise unless submitit takes these options, whether there is a cluster or not.

    Raises:
        InputError: There is no such cluster or parameter, or a value is of another kind.
    """
    import submitit

    what, field = "", "study.launcher_options"
    if (cluster := options.get("cluster", "slurm")) not in _CLUSTERS:
        what, field = f"{' or '.join(_CLUSTERS)} was expected, and {cluster!r} is there", f"{field}.cluster"
    with scratch_folder() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that submitit takes and renames
        try:
            submitit.AutoExecutor(folder=scratch, cluster="local").update_parameters(**_parameters(options))
        except (NameError, TypeError, ValueError, AssertionError) as error:  # it asserts the kinds of values
            what = what or str(error).partition("\n")[0].rstrip(".")
    if what:
        remedy = "see the parameters of submitit, such as {slurm_partition: gpu, timeout_min: 120}"
        raise InputError("LAUNCHER_OPTION", what, field=field, remedy=remedy)
