"""What `study.launcher_options` may hold for submitit and for Ray, checked before anything is planned."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from detect_transfer.core.errors import InputError
from detect_transfer.core.quiet_imports import forbid_reports
from detect_transfer.core.temporary import scratch_folder

_CLUSTERS = ("slurm", "local")
_MOST_TRIES = 3  # of a task whose machine was lost; what its run had reached is gone on with
_FIELD = "study.launcher_options"


def check_launcher(launcher: str, options: Mapping[str, Any]) -> None:
    """Raise unless a launcher takes its options; one that is not installed here says nothing of them.

    Raises:
        InputError: It does not.
    """
    if launcher == "local" and options:
        what, remedy = "runs on this machine take no options", "give study.launcher=slurm or ray, or leave them out"
        raise InputError("LAUNCHER_OPTION", what, field=_FIELD, value=list(options), remedy=remedy)
    if launcher == "slurm" and find_spec("submitit") is not None:
        check_slurm(options)
    if launcher == "ray" and find_spec("ray") is not None:
        check_ray(options)


def slurm_parameters(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what submitit takes as parameters."""
    return {"slurm_array_parallelism": 16, **{key: value for key, value in options.items() if key != "cluster"}}


def check_slurm(options: Mapping[str, Any]) -> None:
    """Raise unless submitit takes these options, whether there is a cluster or not.

    Raises:
        InputError: There is no such cluster or parameter, or a value is of another kind.
    """
    import submitit

    what, field = "", _FIELD
    if (cluster := options.get("cluster", "slurm")) not in _CLUSTERS:
        what, field = f"{' or '.join(_CLUSTERS)} was expected, and {cluster!r} is there", f"{field}.cluster"
    with scratch_folder() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that submitit takes and renames
        try:
            submitit.AutoExecutor(folder=scratch, cluster="local").update_parameters(**slurm_parameters(options))
        except (NameError, TypeError, ValueError, AssertionError) as error:  # it asserts the kinds of values
            what = what or str(error).partition("\n")[0].rstrip(".")
    if what:
        remedy = "see the parameters of submitit, such as {slurm_partition: gpu, timeout_min: 120}"
        raise InputError("LAUNCHER_OPTION", what, field=field, remedy=remedy)


def ray_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a task of Ray."""
    return {"max_retries": _MOST_TRIES, "num_cpus": 1, **{k: v for k, v in options.items() if k != "address"}}


def check_ray(options: Mapping[str, Any]) -> None:
    """Raise unless a task of Ray takes these options, whether Ray has been started or not.

    Raises:
        InputError: There is no such option, or a value is of another kind.
    """
    forbid_reports()
    import ray

    try:
        ray.remote(check_ray).options(**ray_options(options))
        int(ray_options(options)["num_cpus"])
    except (TypeError, ValueError) as error:
        what = str(error).partition("\n")[0]
        remedy = "see the options of a task of Ray, such as {num_gpus: 0.5, max_retries: 3}"
        raise InputError("LAUNCHER_OPTION", what, field=_FIELD, remedy=remedy) from error
