"""What exporting costs: AP of a run and of its exported models on its validation images, each in its own runtime.

A line is a run and a target. Then three faults are planted into the input of each exported model: blue in the place of
red, half the scale, and no padding; the gate must refuse all of them.

    detect-transfer train configs/road_signs_yolo11n.yaml data.path=DATA out=RUN
    python tools/benchmarks/export_gate.py RUN ... [--to onnx openvino] [--precision fp32] [--fixed-size] [--no-faults]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

Fault = Callable[[Any], Any]


def without_padding(images: Any) -> Any:
    """Stretch what is not grey padding over the whole input (B, 3, H, W)."""
    import cv2
    import numpy as np

    stretched = []
    for image in np.moveaxis(images, 1, 3):
        own = (image != 114).any(axis=2)
        rows, columns = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
        inner = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        stretched.append(cv2.resize(inner, (image.shape[1], image.shape[0])))
    return np.moveaxis(np.stack(stretched), 3, 1)


FAULTS: dict[str, Fault] = {
    "BGR for RGB": lambda images: images[:, ::-1],
    "half the scale": lambda images: images // 2,
    "no padding": without_padding,
}


def main() -> None:
    """Export each run and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--to", nargs="+", default=["onnx", "openvino"])
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--fixed-size", action="store_true", help="which pads images more")
    parser.add_argument("--no-faults", action="store_true")
    options = parser.parse_args()

    import detect_transfer
    from detect_transfer.core.errors import ResourceError
    from detect_transfer.models.device import machine_name

    print("| run | to | AP | exported | difference, 95 % | differ | moves, px | ms | ms weights | faults caught |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    choices = {"precision": options.precision, "fixed_size": options.fixed_size}
    for run in options.runs:
        for target in options.to:
            with tempfile.TemporaryDirectory() as scratch:
                try:
                    made = detect_transfer.export(run, Path(scratch) / "out", to=target, **choices)[0]
                except ResourceError as error:
                    print(f"| {run.name} | {target} | {error} | | | | | | |", flush=True)
                    continue
            result, seconds = made.result, made.seconds
            assert result is not None
            assert seconds is not None
            caught = [] if options.no_faults else [name for name in FAULTS if is_caught(run, target, choices, name)]
            ap, span = result.ap, result.ap.interval
            interval = "" if span is None else f" [{span[0]:+.4f}, {span[1]:+.4f}]"
            cells = [
                *(run.name, target, f"{ap.first:.4f}", f"{ap.second:.4f}", f"{ap.difference:+.4f}{interval}"),
                f"{result.vanished + result.appeared} of {result.compared}",
                *(f"{result.largest_move:.3g}", f"{1000 * seconds[0]:.0f}", f"{1000 * seconds[1]:.0f}"),
                "-" if options.no_faults else f"{len(caught)} of {len(FAULTS)}",
            ]
            print(f"| {' | '.join(cells)} |", flush=True)
    print(f"\n{machine_name()}")


def is_caught(run: Path, target: str, choices: dict[str, Any], fault: str) -> bool:
    """Tell whether the gate refuses a model whose input has a fault."""
    import numpy as np

    import detect_transfer
    from detect_transfer.core.errors import ResourceError
    from detect_transfer.models.export.to_onnx import OnnxSession
    from detect_transfer.models.export.to_openvino import OpenvinoSession
    from detect_transfer.models.export.to_torchscript import TorchscriptSession

    session = {"onnx": OnnxSession, "openvino": OpenvinoSession, "torchscript": TorchscriptSession}[target]
    call = session.__call__

    def faulty(self: Any, images: Any) -> Any:
        return call(self, np.ascontiguousarray(FAULTS[fault](images)))

    with mock.patch.object(session, "__call__", faulty), tempfile.TemporaryDirectory() as scratch:
        try:
            detect_transfer.export(run, Path(scratch) / "out", to=target, **choices)
        except ResourceError as error:
            return error.code == "EXPORT_GATE"
    return False


if __name__ == "__main__":
    main()
