"""The commands on data: convert, check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detect_transfer.cli.console import make_console, print_conversion, print_findings, print_reading, progress_bar
from detect_transfer.cli.options import Out


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
    """Turn native annotations into a data folder: COCO, YOLO, images, ledger."""
    from detect_transfer.core.io import require_new
    from detect_transfer.data.class_map import load_class_map
    from detect_transfer.data.convert import ConvertOptions
    from detect_transfer.data.convert import convert as run_convert
    from detect_transfer.data.read_source import read_source
    from detect_transfer.data.split_choice import parse_split

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
        skip_images=on_error == "skip-image",
    )
    with_images = images != "none"
    table = read_source(format, source, words=option or [], on_error=on_error, need_images=with_images)
    print_reading(table.reading)
    with progress_bar("images") as advance:
        result = run_convert(table, out, plan=plan, progress=advance)
    print_conversion(result)


def check(
    folder: Annotated[Path, typer.Argument(help="A data folder, or a source with --format.")],
    format: Annotated[str, typer.Option(help="The format of the folder.")] = "data_folder",
    out: Annotated[Path | None, typer.Option(help="A folder to make, with check.json and check.html.")] = None,
    imgsz: Annotated[int, typer.Option(min=32, help="The longer side of images in training, in pixels.")] = 640,
    round_trip: Annotated[bool, typer.Option("--round-trip", help="Send annotations to COCO, YOLO and back.")] = False,
    on_error: Annotated[str, typer.Option(help="At a fault: fail, skip-row or skip-image.")] = "fail",
    option: Annotated[list[str] | None, typer.Option(help="KEY=VALUE for the reader; may be repeated.")] = None,
) -> None:
    """Look for what is wrong with a data set: images, boxes, classes, leaks between splits."""
    from detect_transfer.data.read_source import read_source
    from detect_transfer.workflows.check import CheckOptions, check_table

    ours = format == "data_folder"
    table = read_source(format, folder, words=option or [], on_error=on_error, verify=ours)
    plan = CheckOptions(folder.resolve().name, imgsz=imgsz, round_trip=round_trip, out=out, follow_links=ours)
    with progress_bar("images") as advance:
        report, trip = check_table(table, plan=plan, progress=advance)
    print_findings(report, trip)
    if out is not None:
        make_console().print(f"page: {out / 'check.html'}", markup=False)
    if not report.ok or (trip is not None and not trip.ok):
        raise typer.Exit(2)
