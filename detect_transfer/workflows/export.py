"""Exporting a detector: written in the forms that are asked for, and checked against its weights in each runtime."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import detect_transfer
from detect_transfer.core.annotations import Detections
from detect_transfer.core.choices import ExportTarget, NmsPlace
from detect_transfer.core.errors import InputError, ResourceError
from detect_transfer.core.input_size import InputSize
from detect_transfer.core.io import new_folder, require_new, sha256_file, write_json
from detect_transfer.models import load_weights
from detect_transfer.models.base import Detector
from detect_transfer.models.device import machine_name
from detect_transfer.models.export.detector import ExportedDetector, PaddedDetector
from detect_transfer.models.export.graph import GraphOptions
from detect_transfer.models.export.metadata import ExportMetadata
from detect_transfer.models.export.targets import TARGETS, ExportJob, check_target
from detect_transfer.models.letterbox import PAD_MULTIPLE
from detect_transfer.models.licences import UNKNOWN, weights_ledger
from detect_transfer.models.predict import FittedImage, postprocess_of, read_images
from detect_transfer.workflows.export_data import ExportData, calibration_files
from detect_transfer.workflows.export_gate import GateResult, failure_of, gate, gate_line
from detect_transfer.workflows.export_licence import licence_ledger
from detect_transfer.workflows.export_options import ExportOptions
from detect_transfer.workflows.merged_classes import MergedClasses
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.trained_detector import TrainedDetector

Progress = Callable[[str, int, int], None]
REPORT = "export.json"


@dataclass(frozen=True)
class Exported:
    """A model that was written.

    Args:
        target: What it is.
        path: The file or folder.
        runtime: What ran it; "" where it was not checked.
        layers: How many layers with weights really computed with which numbers.
        result: What the gate measured; None where it was not checked.
        seconds: Of an image in its runtime and in torch, with reading, as the gate ran them.
        padded_to: The size that images were padded to for both; None where they were padded as for the weights.
    """

    target: ExportTarget
    path: Path
    runtime: str = ""
    layers: dict[str, int] | None = None
    result: GateResult | None = None
    seconds: tuple[float, float] | None = None
    padded_to: InputSize | None = None

    @property
    def measured(self) -> str:
        """What the gate measured, in a line; "" where it was not checked."""
        if self.result is None:
            return ""
        size = self.padded_to
        padded = "" if size is None else f"; for both, images were padded to all of {size.height}x{size.width} px"
        return f"{gate_line(self.result)}{padded}"


Finish = Callable[[Path, ExportMetadata, list[Exported]], None]


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
    """Export a detector and check each file against it; nothing is left at `out` where one differs.

    Args:
        trained: The detector, as of `load_trained`.
        out: The folder to make.
        options: To what and how.
        data: The images that it is checked on and calibrated on.
        progress: Called with a target, the number of images done and of all.
        gated: Check the exported model, which takes `data`.
        finish: Writes further files into the folder before it has its name.

    Raises:
        InputError: The options are not for this detector, a package is missing, or `out` is not empty.
        ResourceError: An exported model does not do what the weights do.
    """
    require_new(out)
    check_export(trained, options)
    job = make_job(trained, options, data)
    with new_folder(out) as building:
        gate_data = data if gated else None
        reference = None if gate_data is None else _reference(job, gate_data, progress)
        written = [_write_and_check(job, target, building, gate_data, reference, progress) for target in options.to]
        write_json(building / REPORT, _record(job, written, building))
        if finish is not None:
            finish(building, job.metadata, written)
    return [replace(each, path=out / each.path.name) for each in written]


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


@dataclass(frozen=True)
class _Run:
    """What a detector detected in the images of the gate: in its classes, in those of the truth, and how quickly."""

    raw: Detections
    scored: Detections
    seconds: float


def _detect(trained: TrainedDetector, data: ExportData, what: str, progress: Progress | None) -> _Run:
    def advance(done: int, total: int) -> None:
        if progress is not None:
            progress(what, done, total)

    began = time.perf_counter()
    raw = trained.find(data.files, range(len(trained.class_names)), advance)
    seconds = (time.perf_counter() - began) / max(1, len(data.files))
    return _Run(raw, MergedClasses.of(trained, data.truth).apply(raw), seconds)


def _reference(job: ExportJob, data: ExportData, progress: Progress | None) -> _Run:
    """Return what the weights detect, in images padded as the exported model takes them."""
    trained = data.trained
    if job.options.size is not None:
        trained = replace(trained, detector=PaddedDetector(trained.detector, job.options.size))
    return _detect(trained, data, "weights", progress)


def _write_and_check(
    job: ExportJob,
    target: ExportTarget,
    folder: Path,
    data: ExportData | None,
    reference: _Run | None,
    progress: Progress | None,
) -> Exported:
    path = folder / TARGETS[target].file_name
    TARGETS[target].write(job, path)
    if data is None or reference is None:
        return Exported(target, path)
    predictor = TARGETS[target].load(path, job.metadata)
    run = _detect(replace(data.trained, detector=predictor), data, target.value, progress)
    result = gate(data.truth, (reference.scored, run.scored), (reference.raw, run.raw), job.metadata.precision)
    if result.failures:
        raise ResourceError(
            "EXPORT_GATE",
            f"the exported model does not do what the weights do, and is not kept: {failure_of(result)}",
            field="--to",
            value=target.value,
            remedy=f"{_other_way(job, data)}; --no-gate writes it unchecked",
        )
    seconds = (run.seconds, reference.seconds)
    if not isinstance(predictor, ExportedDetector):
        return Exported(target, path, "ultralytics", None, result, seconds)
    session = predictor.session
    return Exported(target, path, session.runtime, session.layers(), result, seconds, job.options.size)


def _other_way(job: ExportJob, data: ExportData) -> str:
    """Return what to export in place of a model that failed the gate, in words."""
    if job.is_int8:
        more = len(data.train) >= 2 * job.calibration_images  # a few more change nothing
        return f"{'give more --calibration-images, or ' if more else ''}leave --precision int8 out"
    return "give another --to" if job.options.size is not None else "give --fixed-size, or another --to"


def _record(job: ExportJob, written: list[Exported], folder: Path) -> dict[str, Any]:
    """Return what `export.json` holds."""
    rows = []
    for each in written:
        files = [each.path] if each.path.is_file() else sorted(p for p in each.path.rglob("*") if p.is_file())
        rows.append(
            {
                "target": each.target.value,
                "path": each.path.name,
                "files": {
                    p.relative_to(folder).as_posix(): {"bytes": p.stat().st_size, "sha256": sha256_file(p)}
                    for p in files
                },
                "runtime": each.runtime,
                "layers": each.layers,
                "gate": None if each.result is None else each.result.as_dict(),
                "seconds_per_image": None
                if each.seconds is None
                else {"exported": each.seconds[0], "weights": each.seconds[1]},
            }
        )
    return {"metadata": job.metadata.as_dict(), "exported": rows}
