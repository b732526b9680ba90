"""The conversion of a native data set: from the words of a command to the data folder, and what is said of it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from detect_transfer import formats
from detect_transfer.core.choices import BadBoxes, IgnoredRegions, ImageMode, OnError
from detect_transfer.core.counted import counted
from detect_transfer.core.disk import resource_errors
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import require_new
from detect_transfer.core.ledger import LedgerLine
from detect_transfer.core.opening import real_path
from detect_transfer.core.temporary import scratch_folder
from detect_transfer.core.tiles import Tiling
from detect_transfer.data.class_map import load_class_map
from detect_transfer.data.convert import ConvertResult, convert
from detect_transfer.data.convert_options import ConvertOptions
from detect_transfer.data.image_checks import Progress
from detect_transfer.data.reader_options import parse_options
from detect_transfer.data.reading import recognise, scan_dataset
from detect_transfer.data.split_choice import Split, parse_ratios
from detect_transfer.data.split_file import load_split_file
from detect_transfer.data.tiles import LEAST_SHARE
from detect_transfer.formats.file_content import Recognition
from detect_transfer.formats.recognition import best_guess, recognised

_AUTO = "auto"
_MOST_CLASSES = 12


@dataclass(frozen=True)
class ConvertRequest:
    """A conversion as a user gives it.

    Args:
        format: A key of `READERS`, or ``auto`` to recognise it.
        source: The folder or file that holds the native data set.
        out: The data folder to make.
        split_ratio: Shares such as `train=0.8,val=0.2`.
        split_file: The `splits.json` of an earlier conversion.
        split_from_source: Take the official split of the source.
        val_from_train: The share of the official training images that becomes `val`.
        classes: A class map, as for `load_class_map`.
        ignored_regions: As for `ConvertOptions`.
        image_mode: As for `ConvertOptions`.
        seed: Of the split.
        to: The formats to write, separated by commas.
        tiling: How images are cut into tiles; None takes them whole.
        tile_share: As for `ConvertOptions`.
        check: Prove that what is written can be read back.
        on_error: What becomes of rows and images at fault.
        bad_boxes: What becomes of objects that reach past their image or have no pixel, one of `BadBoxes`.
        reader_options: Options of the reader as `KEY=VALUE`.
    """

    format: str
    source: Path
    out: Path
    split_ratio: str | None = None
    split_file: Path | None = None
    split_from_source: bool = False
    val_from_train: float = 0.0
    classes: str | None = None
    ignored_regions: str = IgnoredRegions.DROP
    image_mode: str = ImageMode.COPY
    seed: int = 0
    to: str | None = None
    tiling: Tiling | None = None
    tile_share: float = LEAST_SHARE
    check: bool = False
    on_error: str = OnError.FAIL
    bad_boxes: str = BadBoxes.AUTO
    reader_options: Sequence[str] = ()

    @property
    def split(self) -> Split:
        """The split that is wanted.

        Raises:
            InputError: More than one is given, the shares are wrong, or the file is damaged.
        """
        given = {
            "--split-ratio": self.split_ratio is not None,
            "--split-file": self.split_file is not None,
            "--split-from-source": self.split_from_source,
        }
        flags = [flag for flag, is_given in given.items() if is_given]
        if len(flags) > 1:
            raise InputError(
                "USAGE", f"{' and '.join(flags)} do not go together", field=flags[1], remedy=f"leave {flags[1]} out"
            )
        if self.split_ratio is not None:
            return parse_ratios(self.split_ratio)
        if self.split_file is not None:
            return load_split_file(self.split_file)
        return "source" if self.split_from_source else "auto"


def convert_source(
    request: ConvertRequest,
    *,
    on_reading: Callable[[Sequence[LedgerLine]], None] | None = None,
    progress: Progress | None = None,
) -> ConvertResult:
    """Read a native data set and write a data folder; all words are checked before anything is read.

    Args:
        request: What is wanted.
        on_reading: Called with what the reader left out or changed.
        progress: As for `convert`.

    Returns:
        What was made; boxes that were not in memory are not there any more.

    Raises:
        InputError: A word, the data set or an image is wrong, or `out` is not empty; nothing was written.
        ResourceError: The machine failed; nothing is left under `out`.
    """
    require_new(request.out)
    shown = _recognised(request.source) if request.format == _AUTO else Recognition(request.format, "")
    request = replace(request, format=shown.format)
    reader_options = parse_options(formats.get_format(request.format), request.reader_options)
    on_error = reader_options.pop("on_error", request.on_error)
    if request.on_error not in (OnError.FAIL, on_error):
        what, remedy = f"--on-error says {request.on_error}", "give it once"
        raise InputError("OPTION_VALUE", what, field="--option", value=f"on_error={on_error}", remedy=remedy)
    options = ConvertOptions(
        format=request.format,
        source=real_path(request.source).name,
        reader_options=reader_options,
        on_error=on_error,
        bad_boxes=request.bad_boxes,
        split=request.split,
        val_from_train=request.val_from_train,
        class_map=load_class_map(request.classes) if request.classes else None,
        ignored_regions=request.ignored_regions,
        image_mode=request.image_mode,
        seed=request.seed,
        targets=None if request.to is None else tuple(dict.fromkeys(word.strip() for word in request.to.split(","))),
        tiling=request.tiling,
        tile_share=request.tile_share,
        check=request.check,
    )
    with _spill(request) as spill:
        table = scan_dataset(
            request.source,
            format=request.format,
            options=reader_options,
            on_error=on_error,
            need=(not options.without_images, options.split in ("source", "auto")),
            spill=spill,
        )
        if on_reading is not None:
            on_reading(table.reading)
        result = convert(table, request.out, options=options, progress=progress)
    return replace(result, format=f"{shown.format}: {shown.evidence}" if shown.evidence else shown.format)


@contextmanager
def _spill(request: ConvertRequest) -> Iterator[Path]:
    """Give a folder for boxes that need not be in memory, on the disk of what is written, where the reader has some."""
    if formats.get_format(request.format).scanner is None:
        yield request.out
        return
    parent = next(folder for folder in real_path(request.out).parents if folder.is_dir())
    with resource_errors(parent), scratch_folder(parent, name=".read.") as folder:
        yield folder


def _recognised(source: Path) -> Recognition:
    """Return the format of what shows it, or the only one, or only published set, that what lies there may be of.

    Raises:
        InputError: None or several fit.
    """
    shown = best_guess(source) if source.exists() else None
    return shown or Recognition(recognise(source, flag="convert NAME"), f"{source.name} is a JSON file")


def conversion_lines(result: ConvertResult) -> list[str]:
    """Return what a conversion made, then what it left out and changed, in lines for the console."""
    counts = result.counts
    classes: dict[str, int] = {}
    for of_split in counts.values():
        for name, n in of_split["classes"].items():
            classes[name] = classes.get(name, 0) + n
    totals = {key: sum(of_split[key] for of_split in counts.values()) for key in ("images", "boxes", "ignored")}
    ignored = f", of these {totals['ignored']:,} ignored" if totals["ignored"] else ""
    lines = [
        f"data folder: {result.out} (from {result.format})",
        f"images: {totals['images']:,}; boxes: {totals['boxes']:,}{ignored}",
        f"classes: {_named(classes)}",
        f"split: {result.split}",
    ]
    for split, of_split in counts.items():
        n_ignored = f", of these {of_split['ignored']:,} ignored" if of_split["ignored"] else ""
        images, boxes = counted(of_split["images"], "image"), counted(of_split["boxes"], "box", "boxes")
        lines.append(f"  {split}: {images}, {boxes}{n_ignored}")
    steps = result.ledger.steps
    dropped = [(step.step, line) for step in steps for line in step.lines if line.action == "dropped"]
    lines += [f"left out: {_counted(name, line)}" for name, line in dropped] or ["left out: nothing"]
    lines += [f"warning: {warning}" for warning in result.warnings]
    other = [(step.step, line) for step in steps for line in step.lines if line.action != "dropped"]
    lines += [f"note: {_counted(name, line)}" for name, line in other]
    legs = () if result.round_trip is None else result.round_trip.legs
    return lines + [f"checked: {leg.target} as written, {len(leg.fields)} fields equal in all rows" for leg in legs]


def next_lines(result: ConvertResult) -> list[str]:
    """Return the command that comes next, where there is one."""
    can_train = result.annotations.image_root is not None and {"train", "val"} <= result.counts.keys()
    if not can_train or recognised(result.out) is None:  # what was written for a tool alone is not trained on
        return []
    return [f"next: detect-transfer train data.path={shlex.quote(str(result.out))}"]


def _named(classes: Mapping[str, int]) -> str:
    """Return the classes with most boxes and their counts."""
    ranked = sorted(classes.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{name} {n:,}" for name, n in ranked[:_MOST_CLASSES])
    more = f" and {len(ranked) - _MOST_CLASSES} more" if len(ranked) > _MOST_CLASSES else ""
    return f"{len(ranked)}: {shown}{more}" if ranked else "none"


def _counted(step: str, line: LedgerLine) -> str:
    thing = {"image": ("image", "images"), "box": ("box", "boxes")}[line.kind][line.count != 1]
    action = "" if line.action in ("dropped", "noted") else f" {line.action}"
    example = f"  e.g. {line.examples[0]}" if line.examples and line.action == "dropped" else ""
    return f"{line.count:,} {thing}{action} ({step}): {line.reason}{example}"


def format_lines() -> list[str]:
    """Return every format with what it is, what shows it on the disk, and the options of its reader."""
    lines = []
    for name, form in sorted(formats.READERS.items()):
        lines.append(f"{name}: {form.summary}")
        if patterns := " ".join(filter(None, (form.proof, form.hints))):
            lines.append(f"  looks like: {patterns}")
        defaults = {key: option.default for key, option in form.options.items() if key != "on_error"}
        if defaults:
            lines.append(f"  options: {' '.join(f'{key}={_word(value)}' for key, value in defaults.items())}")
    return lines


def _word(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{','.join(map(str, value))}]"
    return "" if value is None else str(value)
