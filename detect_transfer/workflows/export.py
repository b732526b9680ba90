"""Exporting a detector: written in the forms that are asked for, and checked against its weights in each runtime."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import detect_transfer
from detect_transfer.core.choices import ExportTarget, NmsPlace
from detect_transfer.core.errors import InputError, ResourceError, raise_problems
from detect_transfer.core.input_size import InputSize
from detect_transfer.core.io import new_folder, require_new, write_json
from detect_transfer.models import load_weights
from detect_transfer.models.base import Detector
from detect_transfer.models.device import machine_name
from detect_transfer.models.export.graph import GraphOptions
from detect_transfer.models.export.metadata import ExportMetadata
from detect_transfer.models.export.targets import ExportJob, check_target
from detect_transfer.models.letterbox import PAD_MULTIPLE
from detect_transfer.models.licences import UNKNOWN, weights_ledger
from detect_transfer.models.predict import FittedImage, postprocess_of, read_images
from detect_transfer.workflows.export_check import (
    Exported,
    Progress,
    Refused,
    record_of,
    reference_of,
    write_and_check,
)
from detect_transfer.workflows.export_data import ExportData, calibration_files
from detect_transfer.workflows.export_licence import licence_ledger
from detect_transfer.workflows.export_options import ExportOptions
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.trained_detector import TrainedDetector

REPORT = "export.json"

Finish = Callable[[Path, ExportMetadata, list[Exported]], None]


@dataclass(frozen=True)
class Exports:
    """What came of an export: the models that are kept, and the targets of which nothing is."""

    written: list[Exported]
    refused: list[Refused]

    def raise_refused(self) -> None:
        """Raise the errors of the targets that were refused, where there are any."""
        raise_problems([each.error for each in self.refused])


def export_detector(
    trained: TrainedDetector,
    out: Path,
    options: ExportOptions,
    data: ExportData | None,
    progress: Progress | None = None,
    *,
    gated: bool = True,
    finish: Finish | None = None,
) -> list[Exported]:
    """Do what `export_targets` does, and raise where a target was refused; the others are kept.

    Raises:
        InputError: As for `export_targets`, or a target cannot be written.
        ResourceError: An exported model does not do what the weights do.
    """
    exports = export_targets(trained, out, options, data, progress, gated=gated, finish=finish)
    exports.raise_refused()
    return exports.written


def export_targets(
    trained: TrainedDetector,
    out: Path,
    options: ExportOptions,
    data: ExportData | None,
    progress: Progress | None = None,
    *,
    gated: bool = True,
    finish: Finish | None = None,
) -> Exports:
    """Export a detector and check each model against it; of a target that differs nothing is kept.

    Args:
        trained: The detector, as of `load_trained`.
        out: The folder to make; it is not made where all targets are refused.
        options: To what and how.
        data: The images that it is checked on and calibrated on.
        progress: Called with a target, the number of images done and of all.
        gated: Check the exported model, which takes `data`.
        finish: Writes further files into the folder before it has its name.

    Raises:
        InputError: The options are not for this detector, a package is missing, or `out` is not empty.
        ProblemsError: All targets are refused.
    """
    require_new(out)
    check_export(trained, options)
    job = make_job(trained, options, data)
    written: list[Exported] = []
    refused: list[Refused] = []
    with new_folder(out) as building:
        gate_data = data if gated else None
        reference = None if gate_data is None else reference_of(job, gate_data, progress)
        for target in options.to:
            try:
                with TemporaryDirectory(dir=building, prefix=".target.") as alone:
                    model = write_and_check(job, target, Path(alone), gate_data, reference, progress)
                    written.append(replace(model, path=model.path.replace(building / model.path.name)))
            except (InputError, ResourceError) as error:
                refused.append(Refused(target, error))
        if not written:
            raise_problems([each.error for each in refused])
        write_json(building / REPORT, record_of(job, written, refused, building))
        if finish is not None:
            finish(building, job.metadata, written)
    kept = ", ".join(each.path.name for each in written)
    for each in refused:
        each.error.remedy = f"{each.error.remedy}; {kept} in {out} is kept"
    return Exports([replace(each, path=out / each.path.name) for each in written], refused)


def check_export(trained: TrainedDetector, options: ExportOptions) -> None:
    """Check what can be checked before images are read.

    Raises:
        InputError: It is an exported model itself, a package is missing, or a target is not for it.
    """
    if ExportTarget.ULTRALYTICS_PT in options.to:
        _check_carried_by_ultralytics(trained, options)
    for target in options.to:
        check_target(target, trained.network.family, options.precision)


def _check_carried_by_ultralytics(trained: TrainedDetector, options: ExportOptions) -> None:
    field, value = "--to", ExportTarget.ULTRALYTICS_PT.value
    if trained.intake is not None:
        what = "a file of ultralytics cannot carry the window of values of more than 8 bits that this was trained with"
        raise InputError(
            "EXPORT_INTAKE", what, field=field, value=value, remedy="give --to onnx, whose file carries it"
        )
    if chosen := options.form:
        what = (
            "a file of ultralytics holds the network alone, for any number and size of images and without suppression"
        )
        remedy = f"leave {' and '.join(chosen)} out, or give --to onnx alone"
        raise InputError("EXPORT_FORM", what, field=field, value=value, remedy=remedy)


def make_job(trained: TrainedDetector, options: ExportOptions, data: ExportData | None) -> ExportJob:
    """Return what is to be written.

    Raises:
        InputError: No training images are there to calibrate INT8 on.
    """
    detector = trained.network
    graph = _graph_options(detector, options, trained.imgsz)
    chosen = calibration_files(data, options.calibration_images) if options.is_int8 else []
    own = trained.settings
    metadata = ExportMetadata(
        family=detector.family,
        arch=detector.arch,
        names=trained.class_names,
        category_ids=trained.category_ids,
        imgsz=trained.imgsz.sides,
        nms=options.nms,
        nms_iou=detector.nms_iou,
        suppresses=detector.suppresses,
        settings=own,
        batch=graph.batch,
        side=None if graph.size is None else graph.size.sides,
        precision=options.precision,
        thresholds=trained.stored_thresholds(),
        intake=None if trained.intake is None else trained.intake.as_json(),
        **_origin(trained),
    )

    def calibration() -> list[FittedImage]:
        return list(read_images(chosen, trained.imgsz, trained.intake))

    return ExportJob(detector, graph, postprocess_of(own), metadata, calibration, len(chosen))


def _graph_options(detector: Detector, options: ExportOptions, imgsz: InputSize) -> GraphOptions:
    """Return the form of the graph: free where the network allows it and nothing else is asked for."""
    batch = options.batch
    if batch is None and ("batch" not in detector.dynamic_axes or options.nms is NmsPlace.INSIDE):
        batch = 1
    rounded = imgsz.rounded_up(PAD_MULTIPLE)
    fixed = options.fixed_size or "size" not in detector.dynamic_axes
    return GraphOptions(options.nms, batch, rounded if fixed else None, traced=rounded)


def _origin(trained: TrainedDetector) -> dict[str, Any]:
    """Return where a detector comes from: its licence ledger and the hashes of weights and data."""
    loaded = load_weights(trained.path)
    folder = RunFolder.holding(trained.path)
    run = folder if folder is not None and folder.manifest.is_file() else None
    own, *before = weights_ledger(loaded)
    weights = [own, *before] if run is None else before
    if run is not None and not before and (source := run.read_transfer()["source"]) is not None:  # of an older version
        weights = [{"file": source["file"], "sha256": source["sha256"], "licence": UNKNOWN}]
    data_sha256 = None if run is None else run.read_manifest().get("data_sha256")
    provenance = {
        "weights_sha256": loaded.sha256,
        "weights_before": weights,
        "data_sha256": data_sha256,
        "detect_transfer": detect_transfer.__version__,
        "machine": machine_name(),
    }
    ledger = licence_ledger(trained.detector.family, weights, data_sha256)
    return {"licence": ledger, "provenance": provenance}
