"""OpenVINO's folders, and running them. On CPUs with bfloat16 OpenVINO uses it unless single precision is asked for."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from detect_transfer.core.disk import full_disk_errors
from detect_transfer.core.errors import InputError, ResourceError
from detect_transfer.core.io import read_json, write_json
from detect_transfer.core.quiet_imports import import_openvino
from detect_transfer.models.export.detector import Opened
from detect_transfer.models.export.metadata import ExportMetadata, read_metadata
from detect_transfer.models.export.seal import NO_SEAL, SEAL, check_seal, seal

MODEL, WEIGHTS, METADATA = "model.xml", "model.bin", "metadata.json"
_HEAVY = ("Convolution", "GroupConvolution", "Deconvolution", "FullyConnected", "MatMul")
_PRECISIONS = {"f32": "fp32", "u8": "int8", "i8": "int8"}


def write_openvino(onnx_file: Path, folder: Path, metadata: ExportMetadata) -> None:
    """Convert an ONNX file into a folder with the graph, its weights in single precision, metadata and a hash.

    Raises:
        ResourceError: The disk is full or does not let us write.
    """
    openvino = import_openvino()
    folder.mkdir()
    model = openvino.convert_model(onnx_file)
    with full_disk_errors(folder):
        try:
            openvino.save_model(model, folder / MODEL, compress_to_fp16=False)
            openvino.Core().read_model(folder / MODEL)
        except RuntimeError as error:
            what = f"OpenVINO cannot write it: {str(error).strip().splitlines()[-1]}"
            remedy = "check disk and permissions, and run it again"
            raise ResourceError("WRITE_FAILED", what, where=folder, remedy=remedy) from error
    write_json(folder / METADATA, {**metadata.as_dict(), SEAL: NO_SEAL})
    seal(folder / METADATA, _beside(folder))


def _beside(folder: Path) -> tuple[Path, Path]:
    """Return the graph and the weights, whose hash the metadata hold."""
    return folder / MODEL, folder / WEIGHTS


class OpenvinoSession:
    """A folder of OpenVINO on the CPU, in single precision where the model is, with as many threads as torch has.

    Args:
        folder: The folder.

    Raises:
        InputError: Its files are damaged.
    """

    def __init__(self, folder: Path) -> None:
        openvino = import_openvino()
        config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
        try:
            self._model = openvino.Core().compile_model(folder / MODEL, "CPU", config)
        except RuntimeError as error:
            raise InputError(
                "EXPORT_DAMAGED",
                f"OpenVINO cannot load it: {str(error).strip().splitlines()[-1]}",
                where=folder / MODEL,
                remedy="copy the folder again, or export the weights again",
            ) from error
        self.runtime = f"openvino {openvino.__version__.partition('-')[0]}"

    def __call__(self, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Run the model on (B, 3, H, W) RGB; give its outputs in order."""
        results = self._model([images])
        return [results[i].copy() for i in range(len(self._model.outputs))]

    def layers(self) -> dict[str, int]:
        """Count the layers with weights by the numbers that they really compute with."""
        counts: Counter[str] = Counter()
        for node in self._model.get_runtime_model().get_ordered_ops():
            facts = node.get_rt_info()
            if "layerType" in facts and facts["layerType"].astype(str) in _HEAVY:
                precision = facts["runtimePrecision"].astype(str)
                counts[_PRECISIONS.get(precision, precision)] += 1
        return dict(counts)


def open_openvino(folder: Path) -> Opened:
    """Open a folder of ours.

    Raises:
        InputError: It is damaged or of others.
        ResourceError: The machine does not let us read it.
    """
    stored = read_json(folder / METADATA) if (folder / METADATA).is_file() else {}
    if stored:
        check_seal(folder / METADATA, _beside(folder))
    texts = {key: json.dumps(value) for key, value in stored.items()} if isinstance(stored, dict) else {}
    metadata = read_metadata(texts, folder)
    return Opened(OpenvinoSession(folder), metadata)
