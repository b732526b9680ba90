"""The command line: arguments, progress bars, exit codes. The only place that prints.

Every command imports what it needs when it runs, so that help is quick and loads neither torch nor ultralytics.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from detect_transfer.errors import DetectTransferError, InputError
from detect_transfer.files import private_folder, require_new
from detect_transfer.terminal import (
    make_console,
    print_comparison,
    print_conversion,
    print_explanation,
    print_findings,
    print_metrics,
    print_plan,
    print_reading,
    print_result,
    print_scores,
    progress_bar,
    training_watch,
)

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)

QUICK_START = Path(__file__).parent / "assets" / "quickstart.yaml"
_BUG = 4
_LOAD_TORCH = ("train", "predict", "evaluate")

Out = Annotated[Path, typer.Option("--out", help="The folder to make; it must be absent or empty.")]
_DETECTIONS = "COCO results JSON, a CSV with a header, Parquet, or a folder with a text a picture."
_DETECTIONS_FORMAT = "coco, csv, parquet, text or yolo; without it recognised by content."


@app.callback()
def _everything(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.")] = False,
) -> None:
    """Fine-tune a pretrained detector on your own pictures, and know what the transfer was worth."""


@app.command()
def convert(
    format: Annotated[str, typer.Argument(help="The native format, such as coco, yolo, voc, gtsdb, pascal_v1.")],
    source: Annotated[Path, typer.Argument(help="The folder or file that holds it.")],
    out: Out,
    split: Annotated[
        str | None,
        typer.Option(
            help="Shares such as train=0.8,val=0.2; source; or a splits.json. "
            "Without it, the split of the source if it has one, else train=0.8,val=0.2."
        ),
    ] = None,
    split_from_source: Annotated[bool, typer.Option(help="The same as --split source.")] = False,
    classes: Annotated[str | None, typer.Option(help="A class map: FILE.yaml, dataset.yaml#name, or a=b,c=d.")] = None,
    ignore_policy: Annotated[str, typer.Option(help="drop, keep, mask or drop-image.")] = "drop",
    images: Annotated[str, typer.Option(help="copy, link, or none for annotations alone.")] = "copy",
    seed: Annotated[int, typer.Option(help="Of the split.")] = 0,
    to: Annotated[
        str | None,
        typer.Option(help="The formats to write, of coco, yolo, voc, cvat, parquet. Without it, coco,yolo."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Prove that what is written can be read back.")] = False,
    on_error: Annotated[str, typer.Option(help="At a fault: fail, skip-row or skip-image.")] = "fail",
    option: Annotated[list[str] | None, typer.Option(help="KEY=VALUE for the reader; may be repeated.")] = None,
) -> None:
    """Turn native annotations into a data folder: COCO, YOLO, pictures, ledger."""
    from detect_transfer.convert import ConvertOptions
    from detect_transfer.convert import convert as run_convert
    from detect_transfer.files import require_new
    from detect_transfer.prepare.classes import load_class_map
    from detect_transfer.prepare.split_choice import parse_split
    from detect_transfer.sources import read_source

    require_new(out)
    plan = ConvertOptions(
        format=format,
        source=source.resolve().name,
        split="source" if split_from_source else parse_split(split),
        class_map=load_class_map(classes) if classes else None,
        ignore_policy=ignore_policy,
        images=images,
        seed=seed,
        targets=None if to is None else tuple(dict.fromkeys(word.strip() for word in to.split(","))),
        check=check,
    )
    with_pictures = images != "none"
    table = read_source(format, source, words=option or [], on_error=on_error, need_pictures=with_pictures)
    print_reading(table.reading)
    with progress_bar("pictures") as advance:
        result = run_convert(table, out, plan=plan, progress=advance)
    print_conversion(result)


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(help="A data folder, or a source with --format.")],
    format: Annotated[str, typer.Option(help="The format of the folder.")] = "data_folder",
    out: Annotated[Path | None, typer.Option(help="A folder to make, with check.json and check.html.")] = None,
    imgsz: Annotated[int, typer.Option(min=32, help="The longer side of pictures in training, in pixels.")] = 640,
    round_trip: Annotated[bool, typer.Option("--round-trip", help="Send annotations to COCO, YOLO and back.")] = False,
    on_error: Annotated[str, typer.Option(help="At a fault: fail, skip-row or skip-image.")] = "fail",
    option: Annotated[list[str] | None, typer.Option(help="KEY=VALUE for the reader; may be repeated.")] = None,
) -> None:
    """Look for what is wrong with a data set: pictures, boxes, classes, leaks between splits."""
    from detect_transfer.checking import CheckOptions, check_table
    from detect_transfer.sources import read_source

    ours = format == "data_folder"
    table = read_source(format, folder, words=option or [], on_error=on_error, verify=ours)
    plan = CheckOptions(folder.resolve().name, imgsz=imgsz, round_trip=round_trip, out=out, follow_links=ours)
    with progress_bar("pictures") as advance:
        report, trip = check_table(table, plan=plan, progress=advance)
    print_findings(report, trip)
    if out is not None:
        make_console().print(f"page: {out / 'check.html'}", markup=False)
    if not report.ok or (trip is not None and not trip.ok):
        raise typer.Exit(2)


@app.command()
def train(
    words: Annotated[list[str] | None, typer.Argument(help="[CONFIG.yaml] [key.subkey=value ...]")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would train, when and at which rate.")] = False,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder.")] = None,
) -> None:
    """Fine-tune a detector; without a config, the embedded quick start."""
    from detect_transfer.config import load_config

    overrides = [word for word in words or [] if "=" in word]
    files = [word for word in words or [] if "=" not in word]
    if len(files) > 1 or (resume and (files or overrides)):
        raise InputError(
            "USAGE",
            "one config and key=value words were expected; --resume takes neither",
            field="arguments",
            value=" ".join(words or []),
            remedy="python tools/train.py [CONFIG] [key=value ...]",
        )
    path = resume / "config.yaml" if resume else Path(files[0]) if files else QUICK_START
    config = load_config(path, overrides)
    if dry_run:
        _dry_run(config)
        return
    from detect_transfer.run import train as run_train

    with training_watch(make_console()) as watch:
        result = run_train(config, name=path.stem, command=_command(), watch=watch, resume=resume is not None)
    print_result(result)


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="A run folder, or a .safetensors that a run wrote.")],
    images: Annotated[Path, typer.Argument(help="A folder of pictures, or one picture.")],
    out: Out,
    score: Annotated[
        str, typer.Option(help="Draw detections from this score on; auto takes the threshold of each class by F1.")
    ] = "0.25",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Run a trained detector on pictures: detections.json and drawn pictures."""
    from detect_transfer.inference import predict_folder

    threshold = None if score == "auto" else _share(score, "--score")
    with progress_bar("pictures") as advance:
        count, found = predict_folder(run, images, out, score_threshold=threshold, device=device, progress=advance)
    told = "the threshold of its class" if threshold is None else f"score {score}"
    make_console().print(f"{found} detections from {told} on, in {count} pictures: {out}", markup=False)


@app.command()
def evaluate(
    out: Out,
    run: Annotated[Path | None, typer.Argument(help="A run folder.")] = None,
    truth: Annotated[Path | None, typer.Option(help="COCO instances JSON.")] = None,
    detections: Annotated[Path | None, typer.Option(help=_DETECTIONS)] = None,
    images: Annotated[Path | None, typer.Option(help="The folder that file_name is relative to.")] = None,
    ignore_policy: Annotated[str, typer.Option(help="region or strict.")] = "region",
    metrics: Annotated[
        str | None, typer.Option(help="Such as coco,voc,kitti; without it those of the data set, else coco.")
    ] = None,
    slices: Annotated[str | None, typer.Option(help="Such as height,visibility; without it all that are told.")] = None,
    detections_format: Annotated[str | None, typer.Option(help=_DETECTIONS_FORMAT)] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Tell why the mAP of ultralytics differs.")] = False,
    labels: Annotated[Path | None, typer.Option(help="With --explain: the YOLO labels it validated with.")] = None,
) -> None:
    """Score a run, or any detections against any truth: metrics.json and report.html."""
    from detect_transfer.explaining import explain_files, explain_run
    from detect_transfer.files import write_json
    from detect_transfer.scoring import Asked, evaluate_files

    if (run is None) == (truth is None) or (truth is None) != (detections is None):
        raise InputError(
            "USAGE",
            "a run folder, or --truth with --detections was expected",
            field="arguments",
            remedy="python tools/evaluate.py RUN_DIR --out DIR",
        )
    asked = Asked(_words(metrics), _words(slices), detections_format)
    if run is not None:
        from detect_transfer.inference import evaluate_run

        scores = evaluate_run(run, out, ignore_policy=ignore_policy, asked=asked)
        told = explain_run(run, out / "detections.json", labels=labels) if explain else None
    else:
        assert truth is not None and detections is not None  # noqa: PT018
        # first, as it also tells of class ids that an evaluation refuses
        told = explain_files(truth, detections, images=images, labels=labels) if explain else None
        if told is not None:
            print_explanation(told)
        scores = evaluate_files(truth, detections, out, images=images, ignore_policy=ignore_policy, asked=asked)
    if told is not None:
        write_json(out / "explain.json", told.as_dict())
    print_scores(scores)
    print_metrics(out / "metrics.json")
    if told is not None and run is not None:
        print_explanation(told)
    make_console().print(f"report: {out / 'report.html'}", markup=False)


@app.command()
def compare(
    out: Out,
    runs: Annotated[
        list[str] | None, typer.Argument(help="Run folders; A1 A2 -- B1 B2 puts seeds of one plan on one side.")
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="COCO instances JSON, instead of runs.")] = None,
    detections: Annotated[list[Path] | None, typer.Option(help=f"With --truth, twice or more: {_DETECTIONS}")] = None,
    images: Annotated[Path | None, typer.Option(help="The folder that file_name is relative to.")] = None,
    margin: Annotated[float, typer.Option(min=0, max=1, help="Differences up to this are the same.")] = 0.01,
    draws: Annotated[int, typer.Option(min=100, help="Of the bootstrap.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    ignore_policy: Annotated[str, typer.Option(help="region or strict.")] = "region",
) -> None:
    """Compare runs, or detections of one truth: differences with intervals and a verdict, compare.html."""
    from detect_transfer.comparing import compare_and_write
    from detect_transfer.evaluation.comparison import Plan
    from detect_transfer.sides import sides_of_files, sides_of_runs

    if (truth is None) != (not detections) or (truth is None) == (not runs):
        raise InputError(
            "USAGE",
            "run folders, or --truth with several --detections were expected",
            field="arguments",
            remedy="python tools/compare.py RUN_A RUN_B --out DIR",
        )
    require_new(out)
    sides = sides_of_runs(runs or []) if truth is None else sides_of_files(truth, detections or [], images=images)
    plan = Plan(margin=margin, n_draws=draws, seed=seed)
    print_comparison(compare_and_write(sides, out, plan=plan, ignore_policy=ignore_policy))
    make_console().print(f"page: {out / 'compare.html'}", markup=False)


@app.command()
def visualize(
    truth: Annotated[Path, typer.Option(help="COCO instances JSON.")],
    out: Out,
    detections: Annotated[Path | None, typer.Option(help=_DETECTIONS)] = None,
    images: Annotated[Path | None, typer.Option(help="The folder that file_name is relative to.")] = None,
    score: Annotated[float, typer.Option(min=0, max=1, help="Draw detections from this score on.")] = 0.25,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many pictures.")] = None,
    sheet: Annotated[int | None, typer.Option(min=1, max=64, help="Contact sheets of so many pictures each.")] = None,
    video: Annotated[bool, typer.Option("--video", help="A video for each sequence or folder instead.")] = False,
    fps: Annotated[float, typer.Option(min=0.1, max=240, help="Frames a second of the videos.")] = 10.0,
    detections_format: Annotated[str | None, typer.Option(help=_DETECTIONS_FORMAT)] = None,
) -> None:
    """Draw truth and detections on pictures: hits, misses, false alarms and ignored regions told apart."""
    from detect_transfer.report.render import DrawPlan
    from detect_transfer.scoring import visualize_files

    if video and sheet is not None:
        raise InputError(
            *("USAGE", "--sheet and --video do not go together"), field="arguments", remedy="leave one of them out"
        )
    plan = DrawPlan(score, limit, sheet, fps if video else None)
    written = visualize_files(truth, detections, out, images=images, detections_format=detections_format, plan=plan)
    what = "videos" if video else "pictures" if sheet is None else "contact sheets"
    make_console().print(f"{len(written)} {what}: {out}", markup=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 wrong input, 3 the machine failed, 4 a bug, 130 and 143 on signals."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    if words[:1] == ["compare"]:
        words = ["vs" if word == "--" else word for word in words]  # which the parser would swallow
    if words[:1] and words[0] in _LOAD_TORCH and "--help" not in words:
        private_folder()  # before torch is imported, which makes a folder of its own otherwise
    sys.exit(_run(words, debug=debug))


def _run(words: list[str], *, debug: bool) -> int:
    try:
        app(words, standalone_mode=False)
    except DetectTransferError as error:
        return _tell(str(error), error.exit_code, debug=debug)
    except typer.Exit as leave:
        return leave.exit_code
    except typer.Abort:
        return 130
    except KeyboardInterrupt:
        return _tell("INTERRUPTED - stopped by the keyboard; run it again, or --resume a training", 130, debug=debug)
    except Exception as error:  # noqa: BLE001 - the last line of defence: one line, and the code for a bug
        return _tell_other(error, debug=debug)
    return 0


def _tell_other(error: Exception, *, debug: bool) -> int:
    """Tell a usage error of the command line, an interruption, a machine that failed, or a bug."""
    number = getattr(error, "signal_number", None)
    if number is not None:
        return _tell(f"INTERRUPTED - {error}", 128 + number, debug=debug)
    if hasattr(error, "format_message"):  # click's usage errors
        return _tell(f"USAGE - {error.format_message()}; see --help", 2, debug=debug)
    if isinstance(error, MemoryError):
        return _tell("OUT_OF_MEMORY - the machine has not enough memory; use less at a time", 3, debug=debug)
    if isinstance(error, OSError):
        return _tell(
            f"OS_ERROR {error.filename or ''} - {error.strerror or error}; check disk and permissions", 3, debug=debug
        )
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    return _tell(f"BUG - {what}; please report this with the command and --debug", _BUG, debug=debug)


def _tell(line: str, code: int, *, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(line, file=sys.stderr)
    return code


def _words(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(word for part in text.split(",") if (word := part.strip()))


def _share(text: str, flag: str) -> float:
    """Return the number in [0, 1] that a flag was given."""
    with contextlib.suppress(ValueError):
        if 0 <= float(text) <= 1:
            return float(text)
    raise InputError(
        "OPTION", "a number from 0 to 1, or auto, was expected", field=flag, value=text, remedy="give 0.25, for example"
    )


def _command() -> str:
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def _dry_run(config: Any) -> None:
    import tempfile

    from detect_transfer.run import dry_run

    with tempfile.TemporaryDirectory() as scratch:
        plan, rows, taken = dry_run(config, scratch=Path(scratch))
    console = make_console()
    print_plan(console, plan, rows)
    for row in taken.rows:
        console.print(f"  class {row.target}: {row.how} {', '.join(row.sources)}", markup=False)
    console.print(f"{taken.tensors} tensors taken over, {len(taken.new_tensors)} new")
