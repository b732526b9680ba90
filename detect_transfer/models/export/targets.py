"""`TARGETS`: everything that a detector is exported to, and opening what was exported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from detect_transfer.core.choices import ExportPrecision, ExportTarget
from detect_transfer.core.errors import InputError
from detect_transfer.models.base import Detector, Postprocess, Predictor
from detect_transfer.models.checkpoints import EXPORTED_SUFFIXES
from detect_transfer.models.export.detector import ExportedDetector, Opened
from detect_transfer.models.export.graph import ExportGraph, GraphOptions
from detect_transfer.models.export.metadata import ExportMetadata
from detect_transfer.models.export.quantise import quantise_onnx
from detect_transfer.models.export.to_onnx import add_metadata, open_onnx, write_onnx
from detect_transfer.models.export.to_openvino import METADATA, open_openvino, write_openvino
from detect_transfer.models.export.to_torchscript import open_torchscript, write_torchscript
from detect_transfer.models.predict import FittedImage
from detect_transfer.models.yolo.checkpoint import load_with_ultralytics, save_ultralytics
from detect_transfer.models.yolo.detector import YoloDetector


@dataclass(frozen=True)
class ExportJob:
    """What is exported and how.

    Args:
        detector: The detector; it stays as it is.
        options: The form of the graph.
        settings: How detections are chosen.
        metadata: What the model is to say of itself.
        calibration: Gives training images to choose the ranges of INT8 by.
        calibration_images: How many.
    """

    detector: Detector
    options: GraphOptions
    settings: Postprocess
    metadata: ExportMetadata
    calibration: Callable[[], list[FittedImage]] = list
    calibration_images: int = 0

    @property
    def is_int8(self) -> bool:
        """Whether the layers are to compute with eight bits."""
        return self.metadata.precision is ExportPrecision.INT8

    def graph(self) -> ExportGraph:
        """Return the graph."""
        return ExportGraph(self.detector, self.options, self.settings)


@dataclass(frozen=True)
class Target:
    """A kind of file.

    Args:
        file_name: What it is called in the folder of an export.
        packages: What must be installed to write and run it.
        write: Writes it to a path.
        load: Gives it back as its own runtime has it.
        int8: Whether it can compute with eight bits.
        families: Those that it is for; empty for all.
    """

    file_name: str
    packages: tuple[str, ...]
    write: Callable[[ExportJob, Path], None]
    load: Callable[[Path, ExportMetadata], Predictor]
    int8: bool = False
    families: tuple[str, ...] = ()


def check_target(name: ExportTarget, family: str, precision: ExportPrecision) -> None:
    """Raise unless a detector of a family can be exported to a target here.

    Raises:
        InputError: A package is missing, or the target is not for the family or the precision.
    """
    field = "--to"
    if name is ExportTarget.COREML:
        raise InputError(
            "EXPORT_COREML",
            "Core ML is written and run on macOS alone, where this has not been tried",
            field=field,
            value=name.value,
            remedy="give onnx, and turn that into Core ML there",
        )
    target = TARGETS[name]
    missing = [package for package in target.packages if find_spec(package) is None]
    if missing:
        raise InputError(
            "EXPORT_PACKAGE",
            f"{' and '.join(missing)} cannot be imported, so that nothing can be written or checked",
            field=field,
            value=name.value,
            remedy=f"pip install {' '.join(missing)}, or leave {name.value} out",
        )
    if target.families and family not in target.families:
        others = ", ".join(each.value for each, it in TARGETS.items() if not it.families)
        raise InputError(
            "EXPORT_FAMILY",
            f"it is for {' and '.join(target.families)} detectors, and this one is {family}",
            field=field,
            value=name.value,
            remedy=f"give one of {others}",
        )
    if precision is ExportPrecision.INT8 and not target.int8:
        others = ", ".join(each.value for each, it in TARGETS.items() if it.int8)
        raise InputError(
            "EXPORT_PRECISION",
            f"{name.value} is written in single precision alone",
            field="--precision",
            value=precision.value,
            remedy=f"leave --precision out, or give --to {others}",
        )


def _write_onnx(job: ExportJob, path: Path) -> None:
    if not job.is_int8:
        write_onnx(job.graph(), job.options, path, job.metadata)
        return
    with TemporaryDirectory(dir=path.parent, prefix=".single.") as scratch:
        single = Path(scratch) / "model.onnx"
        write_onnx(job.graph(), job.options, single, job.metadata)
        quantise_onnx(single, path, job.calibration(), job.options)
    add_metadata(path, job.metadata.as_texts())


def _write_openvino(job: ExportJob, folder: Path) -> None:
    with TemporaryDirectory(dir=folder.parent, prefix=".onnx.") as scratch:
        onnx_file = Path(scratch) / "model.onnx"
        _write_onnx(job, onnx_file)
        write_openvino(onnx_file, folder, job.metadata)


def _write_torchscript(job: ExportJob, path: Path) -> None:
    write_torchscript(job.graph(), job.options, path, job.metadata)


def _write_ultralytics(job: ExportJob, path: Path) -> None:
    assert isinstance(job.detector, YoloDetector)
    save_ultralytics(job.detector, path, imgsz=job.metadata.imgsz)


def _load_ultralytics(path: Path, metadata: ExportMetadata) -> Predictor:
    return load_with_ultralytics(path, metadata.arch, metadata.names)


def _loaded(open_it: Callable[[Path], Opened]) -> Callable[[Path, ExportMetadata], Predictor]:
    return lambda path, _: ExportedDetector(open_it(path))


TARGETS: dict[ExportTarget, Target] = {
    ExportTarget.ONNX: Target("model.onnx", ("onnx", "onnxruntime"), _write_onnx, _loaded(open_onnx), int8=True),
    ExportTarget.OPENVINO: Target(
        "model_openvino_model",
        ("onnx", "onnxruntime", "openvino"),
        _write_openvino,
        _loaded(open_openvino),
        int8=True,
    ),
    ExportTarget.TORCHSCRIPT: Target("model.torchscript", (), _write_torchscript, _loaded(open_torchscript)),
    ExportTarget.ULTRALYTICS_PT: Target("model.pt", (), _write_ultralytics, _load_ultralytics, families=("yolo",)),
}


def exported_path(path: Path) -> Path | None:
    """Return the exported model at a path: a file, a folder of OpenVINO or a bundle; None where there is none."""
    if path.suffix in EXPORTED_SUFFIXES:
        return path
    if (path / METADATA).is_file() and next(path.glob("*.xml"), None) is not None:
        return path
    bundled = path / TARGETS[ExportTarget.ONNX].file_name
    return bundled if (path / "infer.py").is_file() and bundled.is_file() else None


def open_exported(path: Path) -> ExportedDetector:
    """Open what `exported_path` gave, in its runtime.

    Raises:
        InputError: It is missing or damaged, of others, or its runtime is not installed.
    """
    if not path.exists():
        raise InputError("FILE_MISSING", "an exported model was expected here", where=path, remedy="check the path")
    kinds = {".onnx": (open_onnx, "onnxruntime"), ".torchscript": (open_torchscript, "torch")}
    open_it, package = kinds.get(path.suffix, (open_openvino, "openvino"))
    if find_spec(package) is None:
        raise InputError(
            "EXPORT_PACKAGE",
            f"{package} cannot be imported, which runs it",
            where=path,
            remedy=f"pip install {package}",
        )
    return ExportedDetector(open_it(path))
