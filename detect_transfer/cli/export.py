"""The command that hands a detector on: export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detect_transfer.cli.console import make_console, print_lines, progress_bar
from detect_transfer.cli.options import (
    BundleOption,
    CalibrationImagesOption,
    ClassMapOption,
    FixedBatchOption,
    FixedSizeOption,
    GateDataOption,
    ImgszOption,
    NmsOption,
    NoGateOption,
    PrecisionOption,
    ReaderOption,
    TruthFormat,
    TruthImages,
    TruthSplit,
)
from detect_transfer.cli.truth import read_truth
from detect_transfer.core.choices import ExportPrecision, ExportTarget, NmsPlace
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import require_new

if TYPE_CHECKING:
    from detect_transfer.workflows.export_check import Exported
    from detect_transfer.workflows.export_data import ExportData
    from detect_transfer.workflows.trained_detector import TrainedDetector

_TO = f"Divided by commas, of {', '.join(ExportTarget)}; ultralytics-pt is for YOLO, coreml is refused as untried."


def export(
    weights: Annotated[str, typer.Argument(help="A run folder, a weights file, or a known name such as yolo11n.")],
    out: Annotated[Path | None, typer.Option(help="The folder to make; it must be absent or empty.")] = None,
    to: Annotated[str, typer.Option(help=_TO)] = ExportTarget.ONNX.value,
    bundle: BundleOption = None,
    precision: PrecisionOption = ExportPrecision.FP32,
    nms: NmsOption = NmsPlace.BESIDE,
    fixed_size: FixedSizeOption = False,
    batch: FixedBatchOption = None,
    imgsz: ImgszOption = None,
    no_gate: NoGateOption = False,
    data: GateDataOption = None,
    truth_format: TruthFormat = None,
    split: TruthSplit = None,
    images: TruthImages = None,
    option: ReaderOption = None,
    class_map: ClassMapOption = None,
    calibration_images: CalibrationImagesOption = 128,
) -> None:
    """Write a detector for other runtimes, and check in each that it detects what the weights detect."""
    folder = _folder(out, bundle)
    require_new(folder)
    from detect_transfer.workflows.export import Exports, check_export, export_targets
    from detect_transfer.workflows.export_bundle import write_bundle
    from detect_transfer.workflows.export_data import data_of_run
    from detect_transfer.workflows.export_options import ExportOptions
    from detect_transfer.workflows.trained_detector import load_trained

    targets: tuple[Any, ...] = tuple(word for part in to.split(",") if (word := part.strip()))
    options = ExportOptions(targets, precision, nms, fixed_size, batch, imgsz, calibration_images)
    trained = load_trained(weights, device="cpu", imgsz=imgsz)
    check_export(trained, options)
    make_console().print(f"input: {trained.input_facts}", markup=False)
    checked: ExportData | None = None
    if data is not None:
        reading = (truth_format, split, images, option)
        checked = _given_data(trained, data, reading, class_map, needs_train=options.is_int8)
    elif not no_gate or options.is_int8:
        checked = data_of_run(trained, int8=options.is_int8)
    with progress_bar("images") as advance:
        if bundle is None:
            exports = export_targets(trained, folder, options, checked, advance, gated=not no_gate)
        else:
            exports = Exports([write_bundle(trained, folder, options, checked, advance, gated=not no_gate)], [])
    print_lines([line for each in exports.written for line in _lines(each)])
    exports.raise_refused()


def _folder(out: Path | None, bundle: Path | None) -> Path:
    folder = bundle or out
    if bundle and out:
        what = "a bundle has a folder of its own, and --out names another"
        remedy = f"leave --out {out} out, or --bundle {bundle}"
        raise InputError("USAGE", what, field="--bundle", value=bundle, remedy=remedy)
    if folder is None:
        what, remedy = "a folder to write to was expected", "give --out DIR, or --bundle DIR in its place"
        raise InputError("USAGE", what, field="arguments", remedy=remedy)
    return folder


def _given_data(
    trained: TrainedDetector,
    path: Path,
    reading: tuple[str | None, str | None, Path | None, list[str] | None],
    class_map: str | None,
    *,
    needs_train: bool,
) -> ExportData:
    """Return the images that are given, and with INT8 their training split."""
    from detect_transfer.data.class_map import load_class_map
    from detect_transfer.workflows.export_data import data_of_weights

    format, split, images, option = reading
    truth = read_truth(path, format, split, images, option)
    train = read_truth(path, format, "train", images, option) if needs_train else None
    return data_of_weights(trained, truth, train, None if class_map is None else load_class_map(class_map))


def _lines(exported: Exported) -> list[str]:
    name = exported.target.value
    if exported.result is None or exported.seconds is None:
        return [f"{name}: {exported.path}, not checked"]
    own, torch = (1000 * each for each in exported.seconds)
    layers = ", ".join(f"{count} layers in {kind}" for kind, count in sorted((exported.layers or {}).items()))
    return [
        f"{name}: {exported.path}",
        f"  {exported.measured}",
        *([f"  {exported.doubts}"] if exported.doubts else []),
        f"  {exported.runtime}{': ' if layers else ''}{layers}; {own:.0f} ms an image, weights {torch:.0f}",
    ]
