"""ONNX files, and running them in ONNX Runtime."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from detect_transfer.core.disk import full_disk_errors
from detect_transfer.core.errors import InputError
from detect_transfer.core.quiet_imports import import_onnxruntime
from detect_transfer.core.temporary import scratch_folder
from detect_transfer.models.export.detector import Opened
from detect_transfer.models.export.graph import INPUT, OUTPUTS, ExportGraph, GraphOptions
from detect_transfer.models.export.metadata import ExportMetadata, read_metadata
from detect_transfer.models.export.seal import NO_SEAL, SEAL, check_seal, seal

OPSET = 17
HEAVY = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_QUANTISED = {"QLinearConv": "int8", "QLinearMatMul": "int8", "QGemm": "int8", "MatMulIntegerToFloat": "int8"}


def write_onnx(graph: ExportGraph, options: GraphOptions, path: Path, metadata: ExportMetadata) -> None:
    """Write the graph with its metadata.

    The exporter that traces is taken: that of `torch.export` fails on the data-dependent shapes of torchvision.

    Raises:
        InputError: The network has an operation that ONNX does not have.
    """
    try:
        _export(graph, options, path)
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        raise InputError(
            "EXPORT_OPERATOR",
            f"the network cannot be written as ONNX: {str(error).splitlines()[0]}",
            field="--to",
            value="onnx",
            remedy="give --to torchscript, or train another architecture",
        ) from error
    add_metadata(path, metadata.as_texts())


def _export(graph: ExportGraph, options: GraphOptions, path: Path) -> None:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of tracing: the gate tells what came of it
        torch.onnx.export(
            graph,
            (options.example(),),
            str(path),
            input_names=[INPUT],
            output_names=list(OUTPUTS[options.nms]),
            dynamic_axes=options.dynamic_axes,
            opset_version=OPSET,
            dynamo=False,
        )


def add_metadata(path: Path, texts: Mapping[str, str]) -> None:
    """Write texts into the metadata of an ONNX file, in the place of those that it has, and its hash."""
    import onnx

    model = onnx.load(path)
    onnx.helper.set_model_props(model, dict(sorted({**texts, SEAL: json.dumps(NO_SEAL)}.items())))
    model.producer_name = "detect-transfer"
    onnx.save(model, path)
    seal(path)


class OnnxSession:
    """An ONNX file in ONNX Runtime on the CPU, with as many threads as torch has.

    Args:
        path: The file.

    Raises:
        InputError: It is no whole ONNX file, or has operations that the runtime does not have.
    """

    def __init__(self, path: Path) -> None:
        onnxruntime = import_onnxruntime()

        self._path = path
        try:
            self._session = onnxruntime.InferenceSession(path, _options(), providers=["CPUExecutionProvider"])
        except Exception as error:  # the classes of its errors are made in C++ and share no base
            raise InputError(
                "EXPORT_DAMAGED",
                f"onnxruntime {onnxruntime.__version__} cannot load it: {error}",
                where=path,
                remedy="copy it again, or export the weights again",
            ) from error
        self.runtime = f"onnxruntime {onnxruntime.__version__}"

    @property
    def texts(self) -> dict[str, str]:
        """What the file says of itself."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def __call__(self, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Run the model on (B, 3, H, W) RGB; give its outputs in order."""
        return list(self._session.run(None, {INPUT: images}))

    def layers(self) -> dict[str, int]:
        """Count the layers with weights by the numbers that they really compute with."""
        import onnx

        onnxruntime = import_onnxruntime()

        options = _options()
        # a higher level has layers of the CPU it was made on, which onnx does not know
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        with scratch_folder() as scratch, full_disk_errors(scratch):
            options.optimized_model_filepath = str(scratch / "optimised.onnx")
            onnxruntime.InferenceSession(self._path, options, providers=["CPUExecutionProvider"])
            nodes = onnx.load(options.optimized_model_filepath).graph.node
        numbers = {**dict.fromkeys((*HEAVY, "FusedConv", "FusedMatMul", "FusedGemm"), "fp32"), **_QUANTISED}
        return dict(Counter(numbers[node.op_type] for node in nodes if node.op_type in numbers))


def _options() -> Any:
    onnxruntime = import_onnxruntime()

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    return options


def open_onnx(path: Path) -> Opened:
    """Open an ONNX file of ours.

    Raises:
        InputError: It is damaged or of others.
        ResourceError: The machine does not let us read it.
    """
    check_seal(path)
    session = OnnxSession(path)
    return Opened(session, read_metadata(session.texts, path))
