"""The commands on detectors: train, predict."""

from __future__ import annotations

import contextlib
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from detect_transfer.cli.console import (
    make_console,
    print_lines,
    print_plan,
    print_result,
    progress_bar,
    training_watch,
)
from detect_transfer.cli.options import DeviceOption, ImgszOption, Out, complete_key
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import require_new


def train(
    words: Annotated[
        list[str] | None, typer.Argument(help="[CONFIG.yaml] [key.subkey=value ...]", autocompletion=complete_key)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would train, when and at which rate.")] = False,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder.")] = None,
) -> None:
    """Fine-tune a detector on the data of a config, or on data.path=MY_DATA; without both, the embedded quick start."""
    from detect_transfer.workflows.run_config import config_of_words

    overrides = [word for word in words or [] if "=" in word]
    files = [word for word in words or [] if "=" not in word]
    if len(files) > 1 or (resume and files):
        raise InputError(
            "USAGE",
            "one config and key=value words were expected; --resume takes no config",
            field="arguments",
            value=" ".join(words or []),
            remedy="detect-transfer train [CONFIG.yaml] [key=value ...]",
        )
    if resume:
        from detect_transfer.workflows.resume import resume_config

        config, name = resume_config(resume, overrides), resume.name
    else:
        config, name = config_of_words(Path(files[0]) if files else None, overrides)
    if dry_run:
        _dry_run(config)
        return
    from detect_transfer.workflows.train import train as run_train

    with training_watch(make_console()) as watch:
        result = run_train(config, name=name, command=_command(), watch=watch, resume=resume is not None)
    print_result(result)


def predict(
    weights: Annotated[str, typer.Argument(help="A run folder, a weights file, or a known name such as yolo11n.")],
    images: Annotated[Path, typer.Argument(help="A folder of images, or one image.")],
    out: Out,
    score: Annotated[
        str | None,
        typer.Option(
            help="Draw detections from this score on; auto takes the threshold of each class by F1. "
            "Without it auto, or 0.25 where the run stored none."
        ),
    ] = None,
    multi_label: Annotated[
        bool, typer.Option("--multi-label", help="Draw every label of a box, not the best alone.")
    ] = False,
    agnostic: Annotated[
        bool, typer.Option("--agnostic", help="Boxes of different classes suppress each other.")
    ] = False,
    imgsz: ImgszOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Run a trained detector on images: detections.json and drawn images."""
    from detect_transfer.workflows.predict import PredictOptions, predict_folder
    from detect_transfer.workflows.trained_detector import load_trained

    threshold: float | str | None = score
    with contextlib.suppress(TypeError, ValueError):
        threshold = float(score)  # type: ignore[arg-type]  # None and words stay as they are
    options = PredictOptions(threshold, multi_label=multi_label, agnostic=agnostic)
    require_new(out)
    trained = load_trained(weights, device=device, imgsz=imgsz)
    make_console().print(f"input: {trained.input_facts}", markup=False)
    with progress_bar("images") as advance:
        done = predict_folder(trained, images, out, options, partial(advance, "predicting"))
    drawn = f"{done.n_drawn} detections from {done.bound} on, in {done.n_images} images: {out}"
    print_lines([drawn, *([done.note] if done.note else [])])


def _command() -> str:
    program = Path(sys.argv[0])
    return shlex.join(["detect-transfer" if program.stem == "__main__" else program.name, *sys.argv[1:]])


def _dry_run(config: Any) -> None:
    import tempfile

    from detect_transfer.training.plan import parts_note
    from detect_transfer.workflows.train import dry_run

    console = make_console()

    def on_stage(text: str) -> None:
        console.print(f"... {text}", markup=False)

    with tempfile.TemporaryDirectory() as scratch:
        plan, rows, report = dry_run(config, scratch=Path(scratch), on_stage=on_stage)
    print_plan(console, plan, rows)
    print_lines(parts_note(plan, config.train.accumulate))
    for row in report.rows:
        console.print(f"  class {row.target}: {row.how} {', '.join(row.sources)}", markup=False)
    console.print(f"{report.tensors} tensors taken over, {len(report.new_tensors)} new")
