"""The commands as functions that take paths: what `import detect_transfer` offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detect_transfer.config import make_config
from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.core.temporary import private_folder
from detect_transfer.core.threads import wait_passively
from detect_transfer.workflows.run_config import config_of_words

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from detect_transfer.data.convert import ConvertResult
    from detect_transfer.evaluation import Scores
    from detect_transfer.workflows.compare import Compared
    from detect_transfer.workflows.export import Exported
    from detect_transfer.workflows.loaded_detector import LoadedDetector
    from detect_transfer.workflows.study.report import StudyReport
    from detect_transfer.workflows.train import RunResult


def read_dataset(
    path: str | Path, *, format: str | None = None, split: str | None = None, **options: Any
) -> AnnotationTable:
    """Read the native annotations of a data set.

    Args:
        path: The folder or file that holds them.
        format: A name that `detect-transfer convert` knows; None recognises what shows its format.
        split: The split to take; None takes all images.
        options: Options of the reader.

    Returns:
        Images, boxes and classes. Boxes are pixels from the top-left corner of the image, x2 and y2 exclusive.

    Raises:
        InputError: The format is not known, or the files are wrong; all faults that were found, with their places.

    Examples:
        >>> from detect_transfer import read_dataset
        >>> table = read_dataset("datasets/roboflow_csv/sample", format="roboflow_csv")
        >>> table.images.height, table.boxes.height
        (4, 4)
        >>> table.boxes.select("image_id", "x1", "y1", "x2", "y2").row(0)
        (4, 30.0, 5.0, 40.0, 10.5)
    """
    from detect_transfer.data.load import read_dataset as read

    table = read(Path(path), format=format, options=options)
    return table if split is None else table.split_of(split)


def convert(
    source: str | Path | AnnotationTable, out: str | Path, *, format: str | None = None, **choices: Any
) -> ConvertResult:
    """Turn a data set into a data folder: images, COCO and YOLO annotations, ledger and manifest.

    Args:
        source: The folder or file that holds it, or what `read_dataset` gave.
        out: The folder to make; it must be absent or empty.
        format: As for `read_dataset`.
        choices: Further fields of `ConvertOptions`, such as `targets` and `seed`. `targets` may be one word, and
            `class_map` a mapping from a target class to the source classes that become it.

    Returns:
        The table of the data folder, the counts of each split, and the ledger.

    Raises:
        InputError: The source or a choice is wrong, or `out` holds something.

    Examples:
        >>> from detect_transfer import convert
        >>> made = convert("datasets/roboflow_csv/sample", "mine", format="roboflow_csv", bad_boxes="fix")
        >>> {name: counts["images"] for name, counts in made.counts.items()}
        {'train': 3, 'val': 1}
    """
    from detect_transfer.data.class_map import class_map_from_dict
    from detect_transfer.data.convert import convert as write_data_folder
    from detect_transfer.data.convert_options import ConvertOptions
    from detect_transfer.data.load import recognise

    name = ""
    if not isinstance(source, AnnotationTable):
        name = Path(source).resolve().name
        format = recognise(Path(source)) if format is None else format
        source = read_dataset(source, format=format)
    _require_fields(choices, ConvertOptions)
    if isinstance(choices.get("class_map"), Mapping):
        choices["class_map"] = class_map_from_dict(choices["class_map"], name="class_map")
    if choices.get("targets") is not None:
        choices["targets"] = _several(choices["targets"])
    options = ConvertOptions(**{"format": format or "table", "source": name, **choices})
    return write_data_folder(source, Path(out), options=options)


def _several(words: str | Sequence[str]) -> tuple[str, ...]:
    """Return words of which one may be given by itself."""
    return (words,) if isinstance(words, str) else tuple(map(str, words))


def _require_fields(choices: Mapping[str, Any], options: type[DataclassInstance]) -> None:
    """Refuse a choice that the options do not have."""
    names = [each.name for each in fields(options)]
    unknown = next((key for key in choices if key not in names), None)
    if unknown is not None:
        remedy = did_you_mean(unknown, names)
        raise InputError(
            "OPTION_UNKNOWN", "there is no such choice", field=unknown, value=choices[unknown], remedy=remedy
        )


def train(
    config: str | Path | Mapping[str, Any] | None = None,
    overrides: str | Sequence[str] = (),
    *,
    out: str | Path | None = None,
) -> RunResult:
    """Fine-tune a detector by a config, score it and write a run folder.

    Args:
        config: A YAML file, or its content as a mapping; None takes the defaults with `data.path=...` among the
            overrides, else it runs the quick start.
        overrides: Words such as `train.epochs=5`, as on the command line, or one word.
        out: The run folder to make; None takes `runs/` and the name of the config, numbered.

    Returns:
        The run folder, its metrics and its history.

    Raises:
        InputError: Config, data or weights are wrong.
        ResourceError: Weights, memory or disk are missing.

    Examples:
        >>> from detect_transfer import train
        >>> small = ["data.synthetic={train_images: 8, val_images: 8, size: 96}", "train.imgsz=96", "train.epochs=1"]
        >>> run = train(overrides=small, out="run")
        >>> sorted(path.name for path in run.folder.glob("[dmo]*.json"))
        ['detections.json', 'manifest.json', 'metrics.json', 'operating_points.json']
    """
    private_folder()  # before torch is imported, which makes a folder of its own otherwise
    wait_passively()
    from detect_transfer.workflows.train import train as run_training

    words = _several(overrides)
    if isinstance(config, Mapping):
        name, loaded = "run", make_config(config, words)
    else:
        loaded, name = config_of_words(None if config is None else Path(config), words)
    if out is not None:
        loaded = loaded.model_copy(update={"out": Path(out)})
    return run_training(loaded, name=name, command=f"detect_transfer.train({name})")


def study(
    config: str | Path | Mapping[str, Any],
    overrides: str | Sequence[str] = (),
    *,
    out: str | Path | None = None,
    on_event: Callable[[str], None] = lambda _: None,
) -> StudyReport:
    """Run what is left of a study, and report it; stop it when you like, the same call goes on.

    Args:
        config: The YAML file of a study, its folder, or the content of the file as a mapping.
        overrides: Words such as `study.seeds=[0,1,2,3,4]`, as on the command line, or one word.
        out: The folder of the study; None takes that of the config, else `studies/` and the name of the file.
        on_event: Called with what happens, in words.

    Returns:
        The answers, the runs, the paragraph for a paper, and the page.

    Raises:
        InputError: Config or data are wrong, arms cannot be compared, or no run finished.
        ResourceError: Weights, memory, disk or a package that the study needs are missing.

    Examples:
        >>> from detect_transfer import study
        >>> report = study(
        ...     {
        ...         "data": {"synthetic": {"train_images": 16, "val_images": 8, "size": 96}},
        ...         "model": {"weights": "embedded"},
        ...         "train": {"imgsz": 64, "epochs": 1},
        ...         "study": {"arms": ["epoch0"], "sizes": [100], "seeds": [0], "held_out": 0.5},
        ...     },
        ...     out="a_study",
        ... )
        >>> [row.n_runs for row in report.answers.at_sizes]
        [1]
    """
    private_folder()  # before torch is imported, which makes a folder of its own otherwise
    from detect_transfer.config import StudyConfig, make_config_of
    from detect_transfer.workflows.study.folder import StudyFolder, load_study
    from detect_transfer.workflows.study.plan import make_study_plan
    from detect_transfer.workflows.study.report import report_study
    from detect_transfer.workflows.study.run import Launcher

    words = _several(overrides)
    if isinstance(config, Mapping):
        loaded = make_config_of(StudyConfig, config, words)
        folder = StudyFolder(loaded.out or Path("studies") / "study")
    else:
        loaded, folder = load_study(Path(config), words)
    if out is not None:
        folder = StudyFolder(Path(out))
    launcher = Launcher(make_study_plan(loaded, folder), on_event)
    launcher.run()
    return report_study(launcher.plan, on_stage=on_event)


def load_detector(weights: str | Path, *, device: str = "auto", imgsz: int | None = None) -> LoadedDetector:
    """Load a detector with the classes of its weights, to be called with images.

    Args:
        weights: A run folder, a `.safetensors`, `.pt` or `.pth` file, or a known name such as `yolo11n`.
        device: `auto`, `cpu`, `cuda` or `mps`.
        imgsz: Pixels of the longer side; None takes those of training where the weights name them, else 640.

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
    imgsz: int | None = None,
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
        imgsz: Pixels of the longer side; None takes those of training where the weights name them, else 640.
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

    _require_fields(choices, PredictOptions)
    for name in ("classes", "targets"):
        if name in choices:
            choices[name] = _several(choices[name])
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
        ground_truth, Path(detections), Path(out), EvaluateOptions(None if metrics is None else _several(metrics))
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
        ResourceError: An exported model does not do what the weights do; nothing is left at `out`.

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

    _require_fields(choices, ExportOptions)
    options = ExportOptions(to=_several(to), **choices)  # type: ignore[arg-type]
    trained = load_trained(weights, device="cpu", imgsz=options.imgsz)
    check_export(trained, options)
    checked = None
    if data is not None:
        truth = read_scored_data(Path(data), split=split)
        train = read_scored_data(Path(data), split="train") if options.is_int8 else None
        checked = data_of_weights(trained, truth, train, None)
    elif gate or options.is_int8:
        checked = data_of_run(trained)
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
