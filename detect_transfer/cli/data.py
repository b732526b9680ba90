"""The commands on data: convert, check."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from detect_transfer.cli.console import make_console, print_json, print_lines, progress_bar
from detect_transfer.cli.options import (
    AllowRootOption,
    AlsoOption,
    AugmentOption,
    BadBoxesOption,
    CheckedArgument,
    CheckedFormatOption,
    CheckedImgszOption,
    CheckedOut,
    ClassesOption,
    DeviceOption,
    IgnoredRegionsOption,
    ImageModeOption,
    OnErrorOption,
    Out,
    OverlapOption,
    ReaderOption,
    SplitFileOption,
    SplitFromSourceOption,
    SplitRatioOption,
    TargetsOption,
    TileOption,
    TileShareOption,
    ValFromTrainOption,
    tiling_of,
)
from detect_transfer.core.choices import AugmentPreset, BadBoxes, IgnoredRegions, ImageMode, OnError
from detect_transfer.core.counted import counted
from detect_transfer.core.errors import InputError
from detect_transfer.core.input_size import InputSize
from detect_transfer.core.io import require_new
from detect_transfer.core.opening import real_path

_IMGSZ = InputSize(640, 640)


def _list_formats(wanted: bool) -> None:
    if wanted:
        from detect_transfer.workflows.convert import format_lines

        print_lines(format_lines())
        raise typer.Exit


_ListOption = Annotated[
    bool, typer.Option("--list", is_eager=True, callback=_list_formats, help="List formats and reader options.")
]


def _allowed(roots: list[Path] | None) -> list[str]:
    """Return the option of the reader that names further folders."""
    return ["allow_root=" + ",".join(str(root.absolute()) for root in roots)] if roots else []


def convert(
    format: Annotated[str, typer.Argument(help="The native format, or auto to recognise it; of {formats}.")],
    source: Annotated[Path, typer.Argument(help="The folder or file that holds it.")],
    out: Out,
    split_ratio: SplitRatioOption = None,
    split_file: SplitFileOption = None,
    split_from_source: SplitFromSourceOption = False,
    val_from_train: ValFromTrainOption = 0.0,
    classes: ClassesOption = None,
    ignored_regions: IgnoredRegionsOption = IgnoredRegions.DROP,
    image_mode: ImageModeOption = ImageMode.COPY,
    seed: Annotated[int, typer.Option(help="Of the split.")] = 0,
    to: TargetsOption = None,
    tile: TileOption = None,
    overlap: OverlapOption = None,
    tile_share: TileShareOption = None,
    check: Annotated[bool, typer.Option("--check", help="Prove that what is written can be read back.")] = False,
    on_error: OnErrorOption = OnError.FAIL,
    bad_boxes: BadBoxesOption = BadBoxes.AUTO,
    option: ReaderOption = None,
    list_formats: _ListOption = False,
    allow_root: AllowRootOption = None,
) -> None:
    """Turn native annotations into a data folder: COCO, YOLO, images, ledger."""
    from detect_transfer.workflows.convert import ConvertRequest, conversion_lines, convert_source, next_lines

    request = ConvertRequest(
        format,
        source,
        out,
        split_ratio=split_ratio,
        split_file=split_file,
        split_from_source=split_from_source,
        val_from_train=val_from_train,
        classes=classes,
        ignored_regions=ignored_regions,
        image_mode=image_mode,
        seed=seed,
        to=to,
        tiling=tiling_of(tile, overlap, tile_share),
        **({} if tile_share is None else {"tile_share": tile_share}),
        check=check,
        on_error=on_error,
        bad_boxes=bad_boxes,
        reader_options=[*(option or []), *_allowed(allow_root)],
    )
    with progress_bar("images") as advance:
        result = convert_source(request, progress=advance)
    print_lines([*conversion_lines(result), *next_lines(result)])
    print_json(
        {
            "out": result.out,
            "format": result.format,
            "split": result.split,
            "splits": result.counts,
            "warnings": result.warnings,
            **result.ledger.as_dict(),
        }
    )


def unpack(
    source: Annotated[Path, typer.Argument(help="A folder or file with images inside tables, records or JSON.")],
    out: Out,
) -> None:
    """Bring out images that lie inside Hugging Face tables, TFRecord files or LabelMe JSON, for convert to read."""
    from detect_transfer.workflows.unpack import unpack as unpack_source

    done = unpack_source(source, out)
    command = shlex.join(["detect-transfer", "convert", done.format, str(out)])
    left = [f"not labelled, left inside: {counted(done.n_unlabelled, 'image')}"] if done.n_unlabelled else []
    print_lines(
        [
            f"{done.kind}: {counted(done.n_images, 'image')}, {counted(done.n_objects, 'object')}: {out}",
            *left,
            f"next: {command} --out DATA --check",
        ]
    )


def check(
    folder: CheckedArgument,
    format: CheckedFormatOption = None,
    out: CheckedOut = None,
    imgsz: CheckedImgszOption = None,
    augment: AugmentOption = AugmentPreset.DEFAULT,
    round_trip: Annotated[bool, typer.Option("--round-trip", help="Send annotations to COCO, YOLO and back.")] = False,
    on_error: OnErrorOption = OnError.FAIL,
    bad_boxes: BadBoxesOption = BadBoxes.AUTO,
    option: ReaderOption = None,
    allow_root: AllowRootOption = None,
    also: AlsoOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Look for what is wrong with a data set: images, boxes, classes, leaks between splits; with a run also labels."""
    from detect_transfer.data.bad_boxes import refuses_bad_boxes
    from detect_transfer.data.native import format_of
    from detect_transfer.workflows.check import CheckOptions, check_lines, check_source
    from detect_transfer.workflows.label_errors import is_run

    if is_run(folder):
        _refuse_with_run(
            {"--format": format, "--round-trip": round_trip, "--option": option, "--allow-root": allow_root}
        )
        _check_labels([folder, *(also or [])], out, imgsz, device)
        return
    if also:
        what = f"{folder} is no run folder"
        raise InputError("USAGE", what, field="--also", value=also[0], remedy="leave --also out, or give a run folder")
    kind = format or format_of(folder)
    refuse_bad = refuses_bad_boxes(bad_boxes, kind)
    options = CheckOptions(
        real_path(folder).name,
        imgsz=imgsz or _IMGSZ,
        round_trip=round_trip,
        out=out,
        augment=augment.value,
        refuse_bad_boxes=refuse_bad,
    )
    with progress_bar("images") as advance:
        words = [*(option or []), *_allowed(allow_root)]
        report, trip = check_source(
            folder, kind, options=options, reader_options=words, on_error=on_error, progress=advance
        )
    print_lines(check_lines(report, trip))
    if out is not None:
        make_console().print(f"page: {out / 'check.html'}", markup=False)
    if not report.ok or (trip is not None and not trip.ok):
        raise typer.Exit(2)


def _refuse_with_run(given: Mapping[str, object]) -> None:
    """Refuse options on the reading of data, which a run has in its config."""
    for flag, value in given.items():
        if value:
            what, remedy = "the config of the run says how its data are read", f"leave {flag} out"
            raise InputError("USAGE", what, field=flag, value=value, remedy=remedy)


def _check_labels(runs: list[Path], out: Path | None, imgsz: InputSize | None, device: str) -> None:
    """Show and write the labels of a run's data that are most likely wrong."""
    from detect_transfer.workflows.label_errors import find_label_errors, label_error_lines, write_label_errors

    if out is not None:
        require_new(out)
    with progress_bar("images") as advance:
        label_errors = find_label_errors(runs, device=device, imgsz=imgsz, progress=partial(advance, "detecting"))
    print_lines(label_error_lines(label_errors))
    if out is not None:
        write_label_errors(label_errors, out)
        make_console().print(f"page: {out / 'label_errors.html'}", markup=False)
