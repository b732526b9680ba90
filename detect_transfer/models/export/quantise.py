"""INT8: an ONNX file whose layers compute with eight bits, but for the last ones.

What is quantised is weights and inputs of convolutions and matrix products. The last two of these on the way to each
output stay in single precision: they give distances and scores, and a network that has them in eight bits finds nothing
and says nothing of it.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from detect_transfer.core.disk import full_disk_errors
from detect_transfer.core.quiet_imports import import_onnxruntime
from detect_transfer.models.export.detector import pad_to
from detect_transfer.models.export.graph import INPUT, GraphOptions
from detect_transfer.models.export.to_onnx import HEAVY
from detect_transfer.models.predict import FittedImage

FLOAT_LAYERS = 2  # before each output


def quantise_onnx(
    source: Path,
    target: Path,
    images: Iterable[FittedImage],
    options: GraphOptions,
    *,
    float_layers: int = FLOAT_LAYERS,
) -> None:
    """Write an INT8 model with the metadata of its source.

    Args:
        source: The ONNX file in single precision.
        target: The file to write.
        images: Calibration images; they must be of the training split alone.
        options: The form of the graph.
        float_layers: Layers before each output that stay in single precision.
    """
    import_onnxruntime()
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc] # onnxruntime has no types
        def __init__(self) -> None:
            self._inputs = _inputs(images, options)

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            return next(self._inputs, None)

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # onnxruntime advises on the root logger what is done here
    try:
        with (
            TemporaryDirectory(dir=target.parent) as scratch,
            full_disk_errors(target.parent),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            prepared = Path(scratch) / "prepared.onnx"
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            quantize_static(
                prepared,
                target,
                Reader(),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,  # onnxruntime leaves signed ones in single precision on x86
                op_types_to_quantize=list(HEAVY),
                nodes_to_exclude=last_layers(prepared, float_layers),
                per_channel=True,
                # the mean of the images' ranges: that of all images is set by a few, and costs AP of all
                extra_options={"CalibMovingAverage": True},
            )
    finally:
        root.setLevel(level)


def _inputs(images: Iterable[FittedImage], options: GraphOptions) -> Iterator[dict[str, NDArray[np.uint8]]]:
    for image in images:
        pixels = torch.from_numpy(image.pixels).permute(2, 0, 1)[None]
        if options.size is not None:
            pixels, _, _ = pad_to(pixels, options.size)
        yield {INPUT: np.ascontiguousarray(pixels.expand(options.batch or 1, -1, -1, -1).numpy())}


def last_layers(path: Path, count: int) -> list[str]:
    """Return the names of the layers of which at most `count`, itself one, lie between it and an output."""
    import onnx

    graph: Any = onnx.load(path, load_external_data=False).graph
    producer = {name: node for node in graph.node for name in node.output}
    fewest: dict[str, int] = {}  # layers from a tensor to an output, by the name of the tensor
    waiting = [(each.name, 0) for each in graph.output]
    chosen = set()
    while waiting:
        name, layers = waiting.pop()
        if name not in producer or fewest.get(name, count + 1) <= layers:
            continue
        fewest[name] = layers
        node = producer[name]
        if node.op_type in HEAVY:
            layers += 1
            if layers > count:
                continue
            chosen.add(node.name)
        waiting += [(each, layers) for each in _tensors_of(node)]
    return sorted(chosen)


def _tensors_of(node: Any) -> Iterator[str]:
    """Give the tensors that a node takes, those that its branches take from outside among them."""
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from _tensors_of(inner)
