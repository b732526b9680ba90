"""The commands on scores: evaluate, compare, visualize."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detect_transfer.cli.options import DETECTIONS, DETECTIONS_FORMAT, Out
from detect_transfer.errors import InputError
from detect_transfer.files import require_new
from detect_transfer.terminal import (
    make_console,
    print_comparison,
    print_explanation,
    print_metrics,
    print_scores,
)


def evaluate(
    out: Out,
    run: Annotated[Path | None, typer.Argument(help="A run folder.")] = None,
    truth: Annotated[Path | None, typer.Option(help="COCO instances JSON.")] = None,
    detections: Annotated[Path | None, typer.Option(help=DETECTIONS)] = None,
    images: Annotated[Path | None, typer.Option(help="The folder that file_name is relative to.")] = None,
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


def compare(
    out: Out,
    runs: Annotated[
        list[str] | None, typer.Argument(help="Run folders; A1 A2 -- B1 B2 puts seeds of one plan on one side.")
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="COCO instances JSON, instead of runs.")] = None,
    detections: Annotated[list[Path] | None, typer.Option(help=f"With --truth, twice or more: {DETECTIONS}")] = None,
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


def visualize(
    truth: Annotated[Path, typer.Option(help="COCO instances JSON.")],
    out: Out,
    detections: Annotated[Path | None, typer.Option(help=DETECTIONS)] = None,
    images: Annotated[Path | None, typer.Option(help="The folder that file_name is relative to.")] = None,
    score: Annotated[float, typer.Option(min=0, max=1, help="Draw detections from this score on.")] = 0.25,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many pictures.")] = None,
    sheet: Annotated[int | None, typer.Option(min=1, max=64, help="Contact sheets of so many pictures each.")] = None,
    video: Annotated[bool, typer.Option("--video", help="A video for each sequence or folder instead.")] = False,
    fps: Annotated[float, typer.Option(min=0.1, max=240, help="Frames a second of the videos.")] = 10.0,
    detections_format: Annotated[str | None, typer.Option(help=DETECTIONS_FORMAT)] = None,
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


def _words(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(word for part in text.split(",") if (word := part.strip()))
