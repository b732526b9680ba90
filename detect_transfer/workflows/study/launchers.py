"""What `study.launcher_options` may hold, checked before anything is planned."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from detect_transfer.core.errors import InputError


def check_launcher(launcher: str, options: Mapping[str, Any]) -> None:
    """Raise unless a launcher takes its options; one that is not installed here says nothing of them.

    Raises:
        InputError: It does not.
    """
    if launcher == "local" and options:
        what, remedy = "runs on this machine take no options", "give study.launcher=slurm or ray, or leave them out"
        raise InputError("LAUNCHER_OPTION", what, field="study.launcher_options", value=list(options), remedy=remedy)
    if launcher == "slurm" and find_spec("submitit") is not None:
        from detect_transfer.workflows.study.slurm import check_options

        check_options(options)
    if launcher == "ray" and find_spec("ray") is not None:
        from detect_transfer.workflows.study.ray import task_of

        task_of(options)
