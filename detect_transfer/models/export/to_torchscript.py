"""TorchScript files, and running them."""

from __future__ import annotations

import io
import json
import warnings
from collections import Counter
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from detect_transfer.core.errors import InputError
from detect_transfer.core.io import read_errors, write_atomic
from detect_transfer.core.opening import open_regular
from detect_transfer.models.device import full_precision
from detect_transfer.models.export.detector import Opened
from detect_transfer.models.export.graph import ExportGraph, GraphOptions
from detect_transfer.models.export.metadata import ExportMetadata, read_metadata
from detect_transfer.models.tensor_files import damaged_part

_METADATA = "metadata.json"


def write_torchscript(graph: ExportGraph, options: GraphOptions, path: Path, metadata: ExportMetadata) -> None:
    """Trace the graph and write it with its metadata, through memory: torch itself crashes where a disk is full."""
    data = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of tracing: the gate tells what came of it
        traced = torch.jit.trace(graph, (options.example(),), check_trace=False)  # type: ignore[no-untyped-call]
        extra = {_METADATA: json.dumps(metadata.as_texts(), ensure_ascii=False)}
        torch.jit.save(traced, data, _extra_files=extra)
    write_atomic(path, data.getvalue())


class TorchscriptSession:
    """A TorchScript file on the CPU.

    Args:
        path: The file.

    Raises:
        InputError: It is damaged.
        ResourceError: The machine does not let us read it.
    """

    def __init__(self, path: Path) -> None:
        extra = {_METADATA: ""}
        with read_errors(path), open_regular(path) as stream:
            stream.read(1)
        try:
            if part := damaged_part(path):
                raise BadZipFile(f"bits of its part {part} have changed")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._module = torch.jit.load(path, "cpu", _extra_files=extra)  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError, BadZipFile) as error:
            raise InputError(
                "EXPORT_DAMAGED",
                f"torch {torch.__version__} cannot load it: {str(error).splitlines()[0]}",
                where=path,
                remedy="copy it again, or export the weights again",
            ) from error
        self.texts: dict[str, str] = json.loads(extra[_METADATA] or "{}")
        self.runtime = f"torch {torch.__version__}"

    def __call__(self, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Run the model on (B, 3, H, W) RGB; give its outputs in order."""
        # the profiling executor would compile again for each size of images
        jit: Any = torch.jit
        with torch.no_grad(), full_precision(torch.device("cpu")), jit.optimized_execution(False):
            return [each.numpy() for each in self._module(torch.from_numpy(images))]

    def layers(self) -> dict[str, int]:
        """Count the layers with weights by the numbers that they really compute with."""
        weights = (p for name, p in self._module.named_parameters() if name.endswith("weight") and p.ndim > 1)
        names = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}
        return dict(Counter(names.get(each.dtype, str(each.dtype)) for each in weights))


def open_torchscript(path: Path) -> Opened:
    """Open a TorchScript file of ours.

    Raises:
        InputError: It is damaged or of others.
    """
    session = TorchscriptSession(path)
    return Opened(session, read_metadata(session.texts, path))
