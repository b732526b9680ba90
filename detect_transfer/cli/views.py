"""The commands that set detections beside each other or draw them: compare, visualize."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detect_transfer.cli.console import make_console, print_comparison, print_json, print_lines
from detect_transfer.cli.options import (
    DETECTIONS,
    TRUTH,
    BoxFormOption,
    ClassNumbersOption,
    DetectionsFormat,
    IgnorePolicy,
    Out,
    ReaderOption,
    TruthFormat,
    TruthImages,
    TruthSplit,
    UnseenImagesOption,
)
from detect_transfer.cli.truth import detection_options, read_truth, truth_or_runs
from detect_transfer.core.choices import MetricPolicy, UnseenImages
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import require_new


def compare(
    out: Out,
    runs: Annotated[
        list[str] | None, typer.Argument(help="Run folders; A1 A2 vs B1 B2 puts seeds of one plan on one side.")
    ] = None,
    truth: Annotated[Path | None, typer.Option(help=f"Instead of runs: {TRUTH}")] = None,
    detections: Annotated[list[Path] | None, typer.Option(help=f"With --truth, twice or more: {DETECTIONS}")] = None,
    truth_format: TruthFormat = None,
    split: TruthSplit = None,
    images: TruthImages = None,
    option: ReaderOption = None,
    detections_format: DetectionsFormat = None,
    box_form: BoxFormOption = None,
    class_numbers: ClassNumbersOption = None,
    unseen_images: UnseenImagesOption = UnseenImages.ERROR,
    margin: Annotated[float, typer.Option(min=0, max=1, help="Differences up to this are the same.")] = 0.01,
    draws: Annotated[int, typer.Option(min=100, help="Of the bootstrap.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    ignore_policy: IgnorePolicy = MetricPolicy.REGION,
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
            remedy="detect-transfer compare RUN_A RUN_B --out DIR",
        )
    require_new(out)
    given = truth_or_runs(truth, truth_format, split, images, option)
    if given is None:
        groups = groups_of_runs(runs or [])
    else:
        options = detection_options(detections_format, box_form, class_numbers, unseen_images)
        groups = groups_of_files(given, detections or [], options)
        for run in (run for group in groups for run in group.runs):
            print_lines([f"{run.name}: {sentence}" for sentence in run.detections.reading])
    plan = Plan(margin=margin, n_draws=draws, seed=seed)
    compared = compare_and_write(groups, out, plan=plan, ignore_policy=ignore_policy.value)
    print_comparison(compared)
    make_console().print(f"page: {out / 'compare.html'}", markup=False)
    print_json({"out": out, "page": out / "compare.html", **compared.as_dict()})


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
    detections_format: DetectionsFormat = None,
    box_form: BoxFormOption = None,
    class_numbers: ClassNumbersOption = None,
    unseen_images: UnseenImagesOption = UnseenImages.ERROR,
) -> None:
    """Draw truth and detections on images; true and false positives, false negatives and ignored regions differ."""
    from detect_transfer.report.render import DrawPlan
    from detect_transfer.workflows.visualize import visualize_files

    if video and sheet is not None:
        raise InputError(
            *("USAGE", "--sheet and --video do not go together"), field="arguments", remedy="leave one of them out"
        )
    plan = DrawPlan(score, limit, sheet, fps if video else None)
    require_new(out)
    given = read_truth(truth, truth_format, split, images, option)
    options = detection_options(detections_format, box_form, class_numbers, unseen_images)
    written = visualize_files(given, detections, out, options=options, plan=plan)
    what = "videos" if video else "images" if sheet is None else "contact sheets"
    make_console().print(f"{len(written)} {what}: {out}", markup=False)
