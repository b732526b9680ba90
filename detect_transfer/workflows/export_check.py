"""Writing an exported model and checking it: what it detects in its runtime against what the weights detect."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from detect_transfer.core.annotations import Detections
from detect_transfer.core.choices import ExportTarget
from detect_transfer.core.errors import DetectTransferError, ResourceError
from detect_transfer.core.input_size import InputSize
from detect_transfer.core.io import sha256_file
from detect_transfer.models.export.detector import ExportedDetector, GreyDetector, PaddedDetector
from detect_transfer.models.export.targets import TARGETS, ExportJob
from detect_transfer.workflows.export_data import ExportData
from detect_transfer.workflows.export_gate import GateResult, doubt_line, failure_of, gate, gate_line, require_sight
from detect_transfer.workflows.merged_classes import MergedClasses
from detect_transfer.workflows.trained_detector import TrainedDetector

Progress = Callable[[str, int, int], None]
_GREY_IMAGES = 16  # of which it is asked whether the weights see anything


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

    @property
    def doubts(self) -> str:
        """What the images do not rule out, in a line; "" where that is nothing."""
        return "" if self.result is None else doubt_line(self.result)


@dataclass(frozen=True)
class Refused:
    """A target of which nothing was kept, and why."""

    target: ExportTarget
    error: DetectTransferError


@dataclass(frozen=True)
class GateRun:
    """What a detector detected in the images of the gate: in its classes, in those of the truth, and how quickly."""

    raw: Detections
    scored: Detections
    seconds: float


def _detect(trained: TrainedDetector, data: ExportData, what: str, progress: Progress | None) -> GateRun:
    def advance(done: int, total: int) -> None:
        if progress is not None:
            progress(what, done, total)

    began = time.perf_counter()
    raw = trained.find(data.files, range(len(trained.class_names)), advance)
    seconds = (time.perf_counter() - began) / max(1, len(data.files))
    return GateRun(raw, MergedClasses.of(trained, data.truth).apply(raw), seconds)


def reference_of(job: ExportJob, data: ExportData, progress: Progress | None) -> GateRun:
    """Return what the weights detect, in images padded as the exported model takes them.

    Raises:
        InputError: They detect nothing, or the same whatever is in the image.
    """
    trained = data.trained
    if job.options.size is not None:
        trained = replace(trained, detector=PaddedDetector(trained.detector, job.options.size))
    run = _detect(trained, data, "weights", progress)
    chosen = _images_of_the_best(run.raw)
    files = [(image_id, path) for image_id, path in data.files if image_id in chosen]
    grey = replace(trained, detector=GreyDetector(trained.detector)).find(files, range(len(trained.class_names)))
    seen = Detections(run.raw.rows.filter(pl.col("image_id").is_in(list(chosen))))
    require_sight(seen, grey, len(files) or len(data.files))
    return run


def _images_of_the_best(detections: Detections) -> set[int]:
    """Return the images with the highest scores, as many as are looked at again in grey."""
    best = detections.rows.sort("score", descending=True, maintain_order=True)
    return set(best["image_id"].unique(maintain_order=True).head(_GREY_IMAGES))


def write_and_check(
    job: ExportJob,
    target: ExportTarget,
    folder: Path,
    data: ExportData | None,
    reference: GateRun | None,
    progress: Progress | None,
) -> Exported:
    """Write a model into a folder, where nothing else is, and compare it in its runtime.

    Raises:
        InputError: It cannot be written, or its runtime does not take it.
        ResourceError: It does not do what the weights do.
    """
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


def record_of(job: ExportJob, written: Sequence[Exported], refused: Sequence[Refused], folder: Path) -> dict[str, Any]:
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
    failed = [{"target": each.target.value, **each.error.as_dict()} for each in refused]
    return {"metadata": job.metadata.as_dict(), "exported": rows, "refused": failed}
