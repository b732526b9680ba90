"""The commands on scores: evaluate, compare, visualize."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detect_transfer.cli.console import (
    make_console,
    print_comparison,
    print_explanation,
    print_metrics,
    print_reading,
    print_scores,
)
from detect_transfer.cli.options import (
    DETECTIONS,
    DETECTIONS_FORMAT,
    TRUTH,
    Out,
    ReaderOption,
    TruthFormat,
    TruthImages,
    TruthSplit,
)
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import require_new

if TYPE_CHECKING:
    from detect_transfer.data.load import GroundTruth


def evaluate(
    out: Out,
    run: Annotated[Path | None, typer.Argument(help="A run folder.")] = None,
    truth: Annotated[Path | None, typer.Option(help=TRUTH)] = None,
    detections: Annotated[Path | None, typer.Option(help=DETECTIONS)] = None,
    truth_format: TruthFormat = None,
    split: TruthSplit = None,
    images: TruthImages = None,
    option: ReaderOption = None,
    ignore_policy: Annotated[str, typer.Option(help="region or strict.")] = "region",
    metrics: Annotated[
        str | None, typer.Option(help="Such as coco,voc,kitti; without it those of the data set, else coco.")
    ] = None,
    slices: Annotated[str | None, typer.Option(help="Such as height,visibility; without it all that are told.")] = None,
    detections_format: Annotated[str | None, typer.Option(help=DETECTIONS_FORMAT)] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Tell why the mAP of ultralytics differs.")] = False,
    labels: Annotated[Path | None, typer.Option(help="With --explain: the YOLO labels it validated with.")] = None,
) -> None:
    """Score a run, or any detections against any truth: metrics.json and report.html."""
    from detect_transfer.core.io import write_json
    from detect_transfer.workflows.evaluate import EvaluateOptions, evaluate_files
    from detect_transfer.workflows.explain import explain_files, explain_run
    from detect_transfer.workflows.run_folder import RunFolder

    if (run is None) == (truth is None) or (truth is None) != (detections is None):
        raise InputError(
            "USAGE",
            "a run folder, or --truth with --detections was expected",
            field="arguments",
            remedy="python tools/evaluate.py RUN_DIR --out DIR",
        )
    asked = EvaluateOptions(_words(metrics), _words(slices), detections_format)
    require_new(out)
    given = _truth_or_runs(truth, truth_format, split, images, option)
    if given is None:
        assert run is not None
        from detect_transfer.workflows.predict import evaluate_run

        scores = evaluate_run(run, out, ignore_policy=ignore_policy, asked=asked)
        told = explain_run(run, RunFolder(out).detections, labels=labels) if explain else None
    else:
        assert detections is not None
        # first, as it also tells of class ids that an evaluation refuses
        told = explain_files(given, detections, kind=detections_format, labels=labels) if explain else None
        if told is not None:
            print_explanation(told)
        scores = evaluate_files(given, detections, out, ignore_policy=ignore_policy, asked=asked)
    if told is not None:
        write_json(out / "explain.json", told.as_dict())
    print_scores(scores)
    print_metrics(RunFolder(out).metrics)
    if told is not None and run is not None:
        print_explanation(told)
    make_console().print(f"report: {RunFolder(out).report}", markup=False)


def compare(
    out: Out,
    runs: Annotated[
        list[str] | None, typer.Argument(help="Run folders; A1 A2 -- B1 B2 puts seeds of one plan on one side.")
    ] = None,
    truth: Annotated[Path | None, typer.Option(help=f"Instead of runs: {TRUTH}")] = None,
    detections: Annotated[list[Path] | None, typer.Option(help=f"With --truth, twice or more: {DETECTIONS}")] = None,
    truth_format: TruthFormat = None,
    split: TruthSplit = None,
    images: TruthImages = None,
    option: ReaderOption = None,
    detections_format: Annotated[str | None, typer.Option(help=DETECTIONS_FORMAT)] = None,
    margin: Annotated[float, typer.Option(min=0, max=1, help="Differences up to this are the same.")] = 0.01,
    draws: Annotated[int, typer.Option(min=100, help="Of the bootstrap.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    ignore_policy: Annotated[str, typer.Option(help="region or strict.")] = "region",
) -> None:
    """Compare runs, or detections of one truth: differences with intervals and a verdict, compare.html."""
    from detect_transfer.evaluation.comparison import Plan
    from detect_transfer.workflows.compare import compare_and_write
    from detect_transfer.workflows.comparison_inputs import groups_of_files, groups_of_runs

    if (truth is None) != (not detections) or (truth is None) == (not runs):
        raise InputError(
            "USAGE",
            "run folders, or --truth with several --detections were expected",
            field="arguments",
            remedy="python tools/compare.py RUN_A RUN_B --out DIR",
        )
    require_new(out)
    given = _truth_or_runs(truth, truth_format, split, images, option)
    if given is None:
        sides = groups_of_runs(runs or [])
    else:
        sides = groups_of_files(given, detections or [], kind=detections_format)
    plan = Plan(margin=margin, n_draws=draws, seed=seed)
    print_comparison(compare_and_write(sides, out, plan=plan, ignore_policy=ignore_policy))
    make_console().print(f"page: {out / 'compare.html'}", markup=False)


def visualize(
    truth: Annotated[Path, typer.Option(help=TRUTH)],
    out: Out,
    detections: Annotated[Path | None, typer.Option(help=DETECTIONS)] = None,
    truth_format: TruthFormat = None,
    split: TruthSplit = None,
    images: TruthImages = None,
    option: ReaderOption = None,
    score: Annotated[float, typer.Option(min=0, max=1, help="Draw detections from this score on.")] = 0.25,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many images.")] = None,
    sheet: Annotated[int | None, typer.Option(min=1, max=64, help="Contact sheets of so many images each.")] = None,
    video: Annotated[bool, typer.Option("--video", help="A video for each sequence or folder instead.")] = False,
    fps: Annotated[float, typer.Option(min=0.1, max=240, help="Frames a second of the videos.")] = 10.0,
    detections_format: Annotated[str | None, typer.Option(help=DETECTIONS_FORMAT)] = None,
) -> None:
    """Draw truth and detections on images: hits, misses, false alarms and ignored regions told apart."""
    from detect_transfer.report.render import DrawPlan
    from detect_transfer.workflows.visualize import visualize_files

    if video and sheet is not None:
        raise InputError(
            *("USAGE", "--sheet and --video do not go together"), field="arguments", remedy="leave one of them out"
        )
    plan = DrawPlan(score, limit, sheet, fps if video else None)
    require_new(out)
    given = _read_truth(truth, truth_format, split, images, option)
    written = visualize_files(given, detections, out, detections_format=detections_format, plan=plan)
    what = "videos" if video else "images" if sheet is None else "contact sheets"
    make_console().print(f"{len(written)} {what}: {out}", markup=False)


def _truth_or_runs(
    path: Path | None, format: str | None, split: str | None, images: Path | None, words: list[str] | None
) -> GroundTruth | None:
    """Read the truth that is given, if any; runs have their own, of which nothing can be told."""
    if path is not None:
        return _read_truth(path, format, split, images, words)
    told = {"--truth-format": format, "--split": split, "--images": images, "--option": words}
    needless = [name for name, value in told.items() if value]
    if needless:
        raise InputError(
            *("USAGE", "it is of a truth, and none is given"), field=needless[0], remedy="give --truth, or leave it out"
        )
    return None


def _read_truth(
    path: Path, format: str | None, split: str | None, images: Path | None, words: list[str] | None
) -> GroundTruth:
    """Read the truth and tell what was taken."""
    from detect_transfer.data.load import read_ground_truth

    truth = read_ground_truth(path, format=format, split=split, images=images, options=words or [])
    print_reading(truth.table.reading)
    make_console().print(f"truth: {truth.facts}", markup=False)
    return truth


def _words(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(word for part in text.split(",") if (word := part.strip()))
