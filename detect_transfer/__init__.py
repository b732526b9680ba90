"""Turn native annotations into a fine-tuned detector, with the evidence of what the transfer was worth.

    from detect_transfer import read_dataset, convert, train, predict, evaluate, compare, study, load_detector

Each name is imported when it is first used, and torch only by what needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detect_transfer.core.annotations import AnnotationTable, Detections
    from detect_transfer.core.errors import DetectTransferError, InputError, InternalError, ResourceError
    from detect_transfer.workflows.api import convert, read_dataset, study, train
    from detect_transfer.workflows.api_detectors import compare, evaluate, export, load_detector, predict

__version__ = "0.1.0"

__all__ = [
    "AnnotationTable",
    "DetectTransferError",
    "Detections",
    "InputError",
    "InternalError",
    "ResourceError",
    "__version__",
    "compare",
    "convert",
    "evaluate",
    "export",
    "load_detector",
    "predict",
    "read_dataset",
    "study",
    "train",
]

_MODULE_OF = {
    "AnnotationTable": "core.annotations",
    "Detections": "core.annotations",
    "DetectTransferError": "core.errors",
    "InputError": "core.errors",
    "InternalError": "core.errors",
    "ResourceError": "core.errors",
    **dict.fromkeys(("convert", "read_dataset", "study", "train"), "workflows.api"),
    **dict.fromkeys(("compare", "evaluate", "export", "load_detector", "predict"), "workflows.api_detectors"),
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
