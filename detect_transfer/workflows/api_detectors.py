"""The commands on detectors and scores as functions that take paths: the second part of `import detect_transfer`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detect_transfer.core.annotations import Detections
from detect_transfer.core.input_size import Sides
from detect_transfer.core.temporary import private_folder
from detect_transfer.core.threads import wait_passively
from detect_transfer.workflows.api_choices import require_fields, several

if TYPE_CHECKING:
    from detect_transfer.evaluation import Scores
    from detect_transfer.workflows.compare import Compared
    from detect_transfer.workflows.export_check import Exported
    from detect_transfer.workflows.loaded_detector import LoadedDetector


def load_detector(weights: str | Path, *, device: str = "auto", imgsz: Sides | None = None) -> LoadedDetector:
    """Load a detector with the classes of its weights, to be called with images.

    Args:
        weights: A run folder, a `.safetensors`, `.pt` or `.pth` file, or a known name such as `yolo11n`.
        device: `auto`, `cpu`, `cuda` or `mps`.
        imgsz: Pixels of the longer side, or height and width, such as `(416, 704)`; None takes those of training where
            the weights name them, else 640.

    Returns:
        The detector on that device. Called with an image, or with a batch, it gives boxes, scores, labels and names.

    Raises:
        InputError: The weights are missing, damaged or of a family that is not known.

    Examples:
        >>> import numpy as np
        >>> from detect_transfer import load_detector
        >>> detector = load_detector("embedded", device="cpu")
        >>> detector.class_names[:2]
        ('no_entry', 'no_parking')
        >>> detected = detector(np.zeros((240, 320, 3), np.uint8))
        >>> detected.xyxy.shape, detected.names, detected.to_coco()
        ((0, 4), (), [])
    """
    private_folder()  # before torch is imported, which makes a folder of its own otherwise
    wait_passively()
    from detect_transfer.workflows.loaded_detector import LoadedDetector
    from detect_transfer.workflows.trained_detector import load_trained

    return LoadedDetector(load_trained(weights, device=device, imgsz=imgsz))


def predict(
    weights: str | Path,
    images: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    score: float | str | None = None,
    imgsz: Sides | None = None,
    device: str = "auto",
    **choices: Any,
) -> Detections:
    """Run a detector on images; write `detections.json` and drawn images.

    Args:
        weights: A run folder, a weights file, or a known name such as `yolo11n`.
        images: An image, a folder, a pattern with `*`, a list (`.txt`), a video, the number of a camera, or several.
        out: The folder to make; it must be absent or empty.
        score: Detections from this score in [0, 1] on are drawn. `auto` takes the threshold of each class that the run
            stored; None does so too, and takes 0.25 where none is stored.
        imgsz: Pixels of the longer side, or height and width, such as `(416, 704)`; None takes those of training where
            the weights name them, else 640.
        device: `auto`, `cpu`, `cuda` or `mps`.
        choices: Further fields of `PredictOptions`, such as `classes` and `draw`.

    Returns:
        All detections, whatever their score. Images that cannot be read have none; `skipped.json` lists them.

    Raises:
        InputError: Weights or images are missing, no image can be read, a choice is none, or `out` holds something.

    Examples:
        >>> from detect_transfer import predict
        >>> detections = predict("run", "run/data/images/val", "predicted", device="cpu")
        >>> detections.rows.columns
        ['image_id', 'category_id', 'x1', 'y1', 'x2', 'y2', 'score']
    """
    private_folder()  # before torch is imported, which makes a folder of its own otherwise
    wait_passively()
    from detect_transfer.workflows.predict import PredictOptions, predict_sources
    from detect_transfer.workflows.run_folder import RunFolder

    require_fields(choices, PredictOptions)
    for name in ("classes", "targets"):
        if name in choices:
            choices[name] = several(choices[name])
    if "coco" not in choices.get("targets", ("coco",)):
        choices["targets"] = ("coco", *choices["targets"])  # which is read below
    predict_sources(weights, images, Path(out), PredictOptions(score, device=device, imgsz=imgsz, **choices))
    return RunFolder(Path(out)).read_detections()


def evaluate(
    truth: str | Path,
    detections: str | Path,
    out: str | Path,
    *,
    format: str | None = None,
    split: str | None = None,
    metrics: str | Sequence[str] | None = None,
) -> Scores:
    """Score detections against the truth; write `metrics.json` and `report.html`.

    Args:
        truth: A data set in any format.
        detections: COCO results, CSV, Parquet or a folder of texts.
        out: The folder to make; it must be absent or empty.
        format: The format of the truth; None recognises what shows its format.
        split: The split of the truth, or `all`; None takes the only one, else `val`, else `test`.
        metrics: Names such as `coco` and `kitti`; None takes those of the data set.

    Returns:
        COCO's twelve numbers, with intervals, and the scores of each class.

    Raises:
        InputError: A file is missing or wrong, or `out` holds something.

    Examples:
        >>> from detect_transfer import evaluate
        >>> scores = evaluate("run/data", "run/detections.json", "scored")
        >>> 0 <= scores.metrics["AP"] <= 1
        True
    """
    from detect_transfer.data.native import read_scored_data
    from detect_transfer.workflows.evaluate import EvaluateOptions, evaluate_files

    ground_truth = read_scored_data(Path(truth), format=format, split=split)
    return evaluate_files(
        ground_truth, Path(detections), Path(out), EvaluateOptions(None if metrics is None else several(metrics))
    )


def export(
    weights: str | Path,
    out: str | Path,
    *,
    to: str | Sequence[str] = ("onnx",),
    bundle: bool = False,
    data: str | Path | None = None,
    split: str | None = None,
    gate: bool = True,
    **choices: Any,
) -> list[Exported]:
    """Write a detector for other runtimes, and check in each that it detects what the weights detect.

    Args:
        weights: A run folder, a weights file, or a known name such as `yolo11n`.
        out: The folder to make; it must be absent or empty.
        to: One or more of `onnx`, `openvino`, `torchscript` and `ultralytics-pt`.
        bundle: Write `model.onnx` with an `infer.py` that runs without this package and a model card, whatever `to` is.
        data: A data set to check on, in any format that is recognised; None takes the validation images of the run.
        split: Its split, as for `evaluate`.
        gate: Check it; False writes it as it is.
        choices: Further fields of `ExportOptions`, such as `precision="int8"` and `fixed_size`.

    Returns:
        Each model that was written, with what the gate measured.

    Raises:
        InputError: Weights or data are missing, a choice is none, or `out` holds something.
        ResourceError: An exported model does not do what the weights do; what passed is kept at `out`.

    Examples:
        >>> from detect_transfer import export
        >>> written = export("run", "exported", to="torchscript")
        >>> written[0].result.failures
        ()
    """
    private_folder()  # before torch is imported, which makes a folder of its own otherwise
    wait_passively()
    from detect_transfer.data.native import read_scored_data
    from detect_transfer.workflows.export import check_export, export_detector
    from detect_transfer.workflows.export_bundle import write_bundle
    from detect_transfer.workflows.export_data import data_of_run, data_of_weights
    from detect_transfer.workflows.export_options import ExportOptions
    from detect_transfer.workflows.trained_detector import load_trained

    require_fields(choices, ExportOptions)
    options = ExportOptions(to=several(to), **choices)  # type: ignore[arg-type]
    trained = load_trained(weights, device="cpu", imgsz=options.imgsz)
    check_export(trained, options)
    checked = None
    if data is not None:
        truth = read_scored_data(Path(data), split=split)
        train = read_scored_data(Path(data), split="train") if options.is_int8 else None
        checked = data_of_weights(trained, truth, train, None)
    elif gate or options.is_int8:
        checked = data_of_run(trained, int8=options.is_int8)
    if bundle:
        return [write_bundle(trained, Path(out), options, checked, gated=gate)]
    return export_detector(trained, Path(out), options, checked, gated=gate)


def compare(runs: Sequence[str | Path], out: str | Path, *, margin: float = 0.01, seed: int = 0) -> Compared:
    """Compare trainings that were scored on the same images; write `compare.json` and `compare.html`.

    Args:
        runs: Run folders, with the word `vs` between the groups; without it runs that differ in their seed alone are
            a group.
        out: The folder to make; it must be absent or empty.
        margin: Differences of AP up to this are the same.
        seed: Of the bootstrap.

    Returns:
        Every further group against the first: differences with intervals, and a verdict.

    Raises:
        InputError: A folder is no finished run, the runs were scored on other images, or `out` holds something.

    Examples:
        >>> from detect_transfer import compare
        >>> compared = compare(["run", "run"], "compared")
        >>> compared.comparisons[0].metrics[0].difference
        0.0
    """
    from detect_transfer.evaluation.comparison import Plan
    from detect_transfer.workflows.compare import compare_and_write
    from detect_transfer.workflows.comparison_inputs import groups_of_runs

    groups = groups_of_runs([str(run) for run in runs])
    return compare_and_write(groups, Path(out), plan=Plan(margin=margin, seed=seed))
