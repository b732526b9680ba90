"""The command that scores: evaluate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detect_transfer.cli.console import (
    make_console,
    print_explanation,
    print_json,
    print_lines,
    print_metrics,
    print_scores,
    progress_bar,
)
from detect_transfer.cli.options import (
    DETECTIONS,
    TRUTH,
    BoxFormOption,
    ClassMapOption,
    ClassNumbersOption,
    DetectionsFormat,
    DeviceOption,
    IgnorePolicy,
    ImgszOption,
    MetricsOption,
    Out,
    OverlapOption,
    ReaderOption,
    ScoredArgument,
    SlicesOption,
    TileOption,
    TruthFormat,
    TruthImages,
    TruthSplit,
    UnseenImagesOption,
    tiling_of,
    words_of,
)
from detect_transfer.cli.truth import detection_options, truth_or_runs
from detect_transfer.core.choices import MetricPolicy, UnseenImages
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import require_new
from detect_transfer.core.tiles import Tiling

if TYPE_CHECKING:
    from detect_transfer.data.load import GroundTruth
    from detect_transfer.evaluation.explain import Explanation
    from detect_transfer.workflows.evaluate import EvaluateOptions

DATA = "With weights: score them on this data, of any format that --truth takes."


def evaluate(
    out: Out,
    weights: ScoredArgument = None,
    data: Annotated[Path | None, typer.Option(help=DATA)] = None,
    truth: Annotated[Path | None, typer.Option(help=TRUTH)] = None,
    detections: Annotated[Path | None, typer.Option(help=DETECTIONS)] = None,
    truth_format: TruthFormat = None,
    split: TruthSplit = None,
    images: TruthImages = None,
    option: ReaderOption = None,
    class_map: ClassMapOption = None,
    ignore_policy: IgnorePolicy = MetricPolicy.REGION,
    metrics: MetricsOption = None,
    slices: SlicesOption = None,
    detections_format: DetectionsFormat = None,
    box_form: BoxFormOption = None,
    class_numbers: ClassNumbersOption = None,
    unseen_images: UnseenImagesOption = UnseenImages.ERROR,
    explain: Annotated[bool, typer.Option("--explain", help="Tell why the mAP of ultralytics differs.")] = False,
    labels: Annotated[Path | None, typer.Option(help="With --explain: the YOLO labels it validated with.")] = None,
    tile: TileOption = None,
    overlap: OverlapOption = None,
    imgsz: ImgszOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Score a run, any weights on any data, or any detections against any truth: metrics.json and report.html."""
    from detect_transfer.core.io import read_json, write_json
    from detect_transfer.workflows.evaluate import EvaluateOptions

    _check_usage(weights, data, truth, detections)
    _check_for_data(data, {"--class-map": class_map, "--imgsz": imgsz})
    tiling = tiling_of(tile, overlap)
    if tiling is not None:
        _check_for_weights(truth, tiling)
    reading = detection_options(detections_format, box_form, class_numbers, unseen_images)
    options = EvaluateOptions(words_of(metrics), words_of(slices), reading, ignore_policy.value)
    require_new(out)
    given = truth_or_runs(
        data or truth, truth_format, split, images, option, flag="--truth" if data is None else "--data"
    )
    if truth is not None:
        assert given is not None
        assert detections is not None
        explanation = _score_files(given, detections, out, options, labels=labels, explained=explain)
    else:
        assert weights is not None
        loading = {"device": device, "imgsz": imgsz}
        _score_weights(weights, given, out, options, class_map=class_map, tiling=tiling, loading=loading)
        explanation = _explain_scored(weights, given, out, labels) if explain else None
    if explanation is not None:
        write_json(out / "explain.json", explanation.as_dict())
    stored = read_json(out / "metrics.json")
    print_lines(stored.get("reading", ()))
    before = () if given is None else (given.warning,)  # printed when the truth was read
    print_lines([f"warning: {text}" for text in stored.get("warnings", ()) if text not in before])
    print_metrics(out / "metrics.json")
    if explanation is not None and truth is None:
        print_explanation(explanation)
    make_console().print(f"report: {out / 'report.html'}", markup=False)
    print_json({"out": out, "report": out / "report.html", **stored})


def _check_usage(weights: str | None, data: Path | None, truth: Path | None, detections: Path | None) -> None:
    """Refuse arguments that do not go together."""
    if (weights is None) == (truth is None) or (truth is None) != (detections is None) or (truth and data):
        raise InputError(
            "USAGE",
            "a run folder, weights with --data, or --truth with --detections was expected",
            field="arguments",
            remedy="detect-transfer evaluate RUN --out DIR",
        )
    if weights is not None and data is None and not Path(weights).is_dir():
        what = "no run folder, and other weights are scored on data that you name"
        raise InputError(
            "USAGE", what, field="arguments", value=weights, remedy="add --data MY_DATA, or give a run folder"
        )


def _check_for_data(data: Path | None, given: Mapping[str, object]) -> None:
    """Refuse flags that are for weights on data where no data is given."""
    flag = next((flag for flag, value in given.items() if value is not None), None)
    if flag is not None and data is None:
        raise InputError("USAGE", "it is for weights on other data", field=flag, remedy="give --data, or leave it out")


def _check_for_weights(truth: Path | None, tiling: Tiling) -> None:
    """Refuse tiles where detections are given."""
    if truth is not None:
        what, remedy = "detections of a file are scored as they are", "leave it out, or give weights and --data"
        raise InputError("USAGE", what, field="--tile", value=tiling.size, remedy=remedy)


def _score_weights(
    weights: str,
    data: GroundTruth | None,
    out: Path,
    options: EvaluateOptions,
    *,
    class_map: str | None,
    tiling: Tiling | None,
    loading: dict[str, Any],
) -> None:
    """Score a run on its own validation split, or weights on data, and show the scores."""
    from detect_transfer.data.class_map import load_class_map
    from detect_transfer.workflows.evaluate_weights import evaluate_run, evaluate_weights
    from detect_transfer.workflows.trained_detector import load_trained

    if data is None:
        print_scores(evaluate_run(Path(weights), out, options, tiling=tiling))
        return
    meeting = None if class_map is None else load_class_map(class_map)
    trained = replace(load_trained(weights, **loading), tiling=tiling)
    make_console().print(f"input: {trained.input_facts}", markup=False)
    with progress_bar("images") as advance:
        scored = evaluate_weights(
            trained,
            data,
            out,
            options,
            class_map=meeting,
            progress=lambda done, total: advance("predicting", done, total),
        )
    print_scores(scored.scores)
    for name, row in (scored.at_thresholds or {}).items():
        shown = ", ".join(
            f"{key} {'null' if row[key] is None else f'{row[key]:.3f}'}" for key in ("precision", "recall")
        )
        score = row["score_threshold"]
        bound = "the stored scores of its classes" if score is None else f"its stored score {score:.3f}"
        make_console().print(f"{name} from {bound} on: {shown}", markup=False)
    if scored.without_threshold:
        make_console().print(scored.without_threshold, markup=False)


def _score_files(
    truth: GroundTruth,
    detections: Path,
    out: Path,
    options: EvaluateOptions,
    *,
    labels: Path | None,
    explained: bool,
) -> Explanation | None:
    """Score a file of detections and show the scores; first the explanation, as it also tells of refused class ids."""
    from detect_transfer.workflows.evaluate import evaluate_files
    from detect_transfer.workflows.explain import explain_files

    explanation = explain_files(truth, detections, options.detections, labels=labels) if explained else None
    if explanation is not None:
        print_explanation(explanation)
    print_scores(evaluate_files(truth, detections, out, options))
    return explanation


def _explain_scored(weights: str, data: GroundTruth | None, out: Path, labels: Path | None) -> Explanation:
    """Explain the scores of weights from the detections that were written."""
    from detect_transfer.workflows.explain import explain_files, explain_run

    written = out / "detections.json"
    if data is None:
        return explain_run(Path(weights), written, labels=labels)
    return explain_files(data, written, labels=labels)
