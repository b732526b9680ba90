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
    print_json,
    print_lines,
    print_plan,
    print_result,
    progress_bar,
    training_watch,
)
from detect_transfer.cli.options import (
    AgnosticOption,
    DeviceOption,
    ImgszOption,
    MaxDetectionsOption,
    MultiLabelOption,
    NmsIouOption,
    Out,
    OverlapOption,
    ScoreOption,
    SourcesArgument,
    TileOption,
    complete_key,
    tiling_of,
    words_of,
)
from detect_transfer.core.counted import counted
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
    from detect_transfer.workflows.run_folder import RunFolder
    from detect_transfer.workflows.train import train as run_train

    with training_watch(make_console()) as watch:
        result = run_train(config, name=name, command=_command(), watch=watch, resume=resume is not None)
    print_result(result)
    folder = RunFolder(result.folder)
    print_json(
        {
            "run": result.folder,
            "weights": folder.best,
            "report": folder.report,
            "best": result.progress.best_weights,
            "metrics": result.metrics,
            "test": result.scores.test,
            "selection": result.scores.selection,
        }
    )


def predict(
    weights: Annotated[str, typer.Argument(help="A run folder, a weights file, or a known name such as yolo11n.")],
    images: SourcesArgument,
    out: Out,
    score: ScoreOption = None,
    iou: NmsIouOption = None,
    max_detections: MaxDetectionsOption = None,
    classes: Annotated[str | None, typer.Option(help="Look for these alone, divided by commas.")] = None,
    multi_label: MultiLabelOption = False,
    agnostic: AgnosticOption = False,
    tile: TileOption = None,
    overlap: OverlapOption = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Images a step.")] = None,
    half: Annotated[bool, typer.Option("--half", help="Half precision, where the device has it.")] = False,
    to: Annotated[str, typer.Option(help="What to write, divided by commas, of {detections}.")] = "jsonl,coco",
    no_draw: Annotated[bool, typer.Option("--no-draw", help="Write no annotated images.")] = False,
    crops: Annotated[bool, typer.Option("--crops", help="Write each drawn object by itself.")] = False,
    save_video: Annotated[bool, typer.Option("--save-video", help="Write annotated videos.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many images.")] = None,
    allow_network: Annotated[bool, typer.Option("--allow-network", help="Open addresses.")] = False,
    imgsz: ImgszOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Run a trained detector on images, videos or a camera: detections as they come, and drawn images.

    It ends with 2 where images could not be read; they are listed in skipped.json, and the others are done.
    """
    from detect_transfer.workflows.predict import PredictOptions, predict_sources
    from detect_transfer.workflows.trained_detector import load_trained

    options = PredictOptions(
        _threshold(score),
        multi_label=multi_label,
        agnostic=agnostic,
        nms_iou=iou,
        max_detections=max_detections,
        classes=words_of(classes) or (),
        batch=batch,
        half=half,
        targets=words_of(to) or (),
        draw=not no_draw,
        crops=crops,
        save_video=save_video,
        tiling=tiling_of(tile, overlap),
        allow_network=allow_network,
        limit=limit,
    )
    require_new(out)
    trained = load_trained(weights, device=device, imgsz=imgsz)
    make_console().print(f"input: {trained.input_facts}", markup=False)
    with progress_bar("images") as advance:
        done = predict_sources(trained, images, out, options, partial(advance, "predicting"))
    drawn, read = counted(done.n_drawn, "detection"), counted(done.n_images, "image")
    print_lines([f"{drawn} from {done.bound} on, in {read}: {out}", *done.notes])
    counts = {"images": done.n_images, "drawn": done.n_drawn, "skipped": done.n_skipped}
    print_json({"out": out, **counts, "from": done.bound, "notes": done.notes})
    if done.n_skipped:
        raise typer.Exit(2)


def _threshold(score: str | None) -> float | str | None:
    """Return a number where one is given; other words stay as they are."""
    with contextlib.suppress(TypeError, ValueError):
        return float(score)  # type: ignore[arg-type]
    return score


def _command() -> str:
    program = Path(sys.argv[0])
    return shlex.join(["detect-transfer" if program.stem == "__main__" else program.name, *sys.argv[1:]])


def _dry_run(config: Any) -> None:
    from detect_transfer.core.temporary import scratch_folder
    from detect_transfer.training.plan import parts_note
    from detect_transfer.workflows.train import dry_run

    console = make_console()

    def on_stage(text: str) -> None:
        console.print(f"... {text}", markup=False)

    with scratch_folder() as scratch:
        plan, rows, report = dry_run(config, scratch=scratch, on_stage=on_stage)
    print_plan(console, plan, rows)
    print_lines(parts_note(plan, config.train.accumulate))
    for row in report.rows:
        console.print(f"  class {row.target}: {row.how} {', '.join(row.sources)}", markup=False)
    console.print(f"{counted(report.tensors, 'tensor')} taken over, {len(report.new_tensors)} new")
