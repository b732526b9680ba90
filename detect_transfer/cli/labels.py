"""The commands on labels that people correct: pre-annotate, rank-images."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from detect_transfer.cli.console import print_lines, progress_bar
from detect_transfer.cli.options import DeviceOption, ImgszOption, Out
from detect_transfer.core.counted import counted
from detect_transfer.core.io import require_new

_MOST_LINES = 10


def pre_annotate(
    predicted: Annotated[Path, typer.Argument(help="The folder that predict made, or a run folder.")],
    images: Annotated[Path, typer.Option("--images", help="The folder of the images that were predicted.")],
    out: Out,
    to: Annotated[
        str, typer.Option(help="The labelling tools, divided by commas, of {tools}.")
    ] = "cvat,label_studio,labelme",
    score: Annotated[
        float | None,
        typer.Option(
            help="Write detections from this score on; without it those that predict drew, or would of a run."
        ),
    ] = None,
) -> None:
    """Write detections for labelling tools, where a person accepts or corrects them."""
    from detect_transfer.workflows.pre_annotate import pre_annotate as write

    tools = [word.strip() for word in to.split(",")]
    made = write(predicted, images, out, tools=tools, score_threshold=score)
    boxes, of_images = counted(len(made.table.boxes), "box", "boxes"), counted(len(made.table.images), "image")
    lines = [f"{boxes} in {of_images} for {', '.join(tools)}: {out}"]
    if made.n_frames:
        lines.append(f"frames of videos are written as images, which the tools open: {out / 'images'}")
    if made.n_left_out:
        others = counted(made.n_left_out, "other") + (" is" if made.n_left_out == 1 else " are")
        lines.append(f"{others} left out" + ("" if score else "; --score 0.1 writes all from that score on"))
    print_lines([*lines, *([made.note] if made.note else [])])


def rank_images(
    weights: Annotated[str, typer.Argument(help="A run folder, a weights file, or a known name such as yolo11n.")],
    images: Annotated[Path, typer.Argument(help="A folder of images without labels.")],
    out: Out,
    most: Annotated[int, typer.Option(min=1, help="How many images are listed at most.")] = 100,
    imgsz: ImgszOption = None,
    device: DeviceOption = "auto",
) -> None:
    """List the unlabelled images most worth labelling: the detector is unsure of them, and they differ."""
    from detect_transfer.workflows.rank_images import rank_folder

    require_new(out)
    with progress_bar("images") as advance:
        words = {"most": most, "device": device, "imgsz": imgsz}
        ranked, n_skipped = rank_folder(weights, images, out, **words, progress=partial(advance, "predicting"))  # type: ignore[arg-type]
    rows = ranked.head(_MOST_LINES).select("file_name", "uncertainty", "novelty", "n_detections").rows()
    lines = [
        f"{n}. {name}: uncertainty {u:.1f}, novelty {v:.2f}, {counted(d, 'detection')}"
        for n, (name, u, v, d) in enumerate(rows, 1)
    ]
    lines.append(f"{counted(len(ranked), 'image')} in order: {out / 'images.txt'}, {out / 'ranking.csv'}")
    if n_skipped:
        lines.append(f"{counted(n_skipped, 'image')} could not be read, see {out / 'skipped.json'}")
    print_lines(lines)
    if n_skipped:
        raise typer.Exit(2)
