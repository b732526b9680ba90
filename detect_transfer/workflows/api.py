"""The commands on data and training as functions that take paths: the first part of `import detect_transfer`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detect_transfer.config import make_config
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.opening import real_path
from detect_transfer.core.temporary import private_folder
from detect_transfer.core.threads import wait_passively
from detect_transfer.workflows.api_choices import require_fields, several
from detect_transfer.workflows.run_config import config_of_words

if TYPE_CHECKING:
    from detect_transfer.data.convert import ConvertResult
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
    from detect_transfer.data.reading import read_dataset as read

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
    from detect_transfer.data.reading import recognise

    name = ""
    if not isinstance(source, AnnotationTable):
        name = real_path(Path(source)).name
        format = recognise(Path(source)) if format is None else format
        source = read_dataset(source, format=format)
    require_fields(choices, ConvertOptions)
    if isinstance(choices.get("class_map"), Mapping):
        choices["class_map"] = class_map_from_dict(choices["class_map"], name="class_map")
    if choices.get("targets") is not None:
        choices["targets"] = several(choices["targets"])
    options = ConvertOptions(**{"format": format or "table", "source": name, **choices})
    return write_data_folder(source, Path(out), options=options)


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

    words = several(overrides)
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

    words = several(overrides)
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
