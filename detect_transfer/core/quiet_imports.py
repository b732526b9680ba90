"""Importing libraries that start other programs, or report to their makers: here they do neither."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

_NO_REPORTS = {  # of what is used to the makers of libraries, each in a variable of its own
    "GRADIO_ANALYTICS_ENABLED": "False",  # of trackio
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "ORT_DISABLE_TELEMETRY": "1",  # of onnxruntime
    "ORT_TELEMETRY_DISABLED": "1",  # as other releases of it call this
    "RAY_USAGE_STATS_ENABLED": "0",
    "WANDB_ERROR_REPORTING": "false",
}


def forbid_reports() -> None:
    """Keep libraries that are imported from now on from reporting to their makers, unless the environment allows it."""
    for name, value in _NO_REPORTS.items():
        os.environ.setdefault(name, value)


def import_fonts() -> None:
    """Import the fonts of matplotlib without asking `fc-list` for those of the system, of which none is drawn with."""
    with _no_programs():
        import_module("matplotlib.font_manager")


def import_cuda_libraries() -> None:
    """Import what torch looks for CUDA with, where it is installed; it need not ask `ldconfig`."""
    with _no_programs(), suppress(ImportError, RuntimeError):
        import_module("cuda.pathfinder._dynamic_libs.load_dl_linux")


def import_onnxruntime() -> Any:
    """Import onnxruntime without its telemetry, which numbers the machine in the home folder and reports to its maker.

    Raises:
        ImportError: It is not installed.
    """
    forbid_reports()
    return import_module("onnxruntime")


def import_openvino() -> Any:
    """Import OpenVINO without its telemetry, which would ask the network and write into the home folder at each import.

    It has a stub for where that package is not installed. A process that forked to send would also outlive the command.

    Raises:
        ImportError: It is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return import_module("openvino")


@contextmanager
def _no_programs() -> Iterator[None]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError("no program is started")

    before = subprocess.Popen
    subprocess.Popen = refuse  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        subprocess.Popen = before  # type: ignore[misc]
