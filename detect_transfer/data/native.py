"""Native data of a run: read as what they show to be, and turned into a data folder where training needs one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detect_transfer.config import Data
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.choices import BadBoxes, ImageMode
from detect_transfer.core.errors import InputError
from detect_transfer.core.opening import real_path
from detect_transfer.core.video import parse_frame_name
from detect_transfer.data.convert import ConvertResult, convert
from detect_transfer.data.convert_options import ConvertOptions
from detect_transfer.data.image_checks import Progress
from detect_transfer.data.load import GroundTruth, read_ground_truth
from detect_transfer.data.reader_options import parse_options
from detect_transfer.data.reading import read_dataset, recognise
from detect_transfer.formats import get_format
from detect_transfer.formats.recognition import VAGUE, best_guess, readable_as, recognised

SPLIT_SEED = 0  # not that of the training: runs of several seeds are scored on the same images
_VAL_SHARE = 0.2
FIX_BAD_BOXES = "data.bad_boxes=fix"  # as a user writes it in a config
_OPTION = re.compile(r"--option (\w+)=")


@dataclass(frozen=True)
class NativeData:
    """What was read of native data.

    Args:
        format: A key of `READERS`.
        table: What the reader gave.
        shown: Whether the format shows without reading; else it is the one whose reader can read what is there.
    """

    format: str
    table: AnnotationTable
    shown: bool = True


def require_path(data: Data) -> None:
    """Refuse a `data.path` that is not there; it is looked at before weights are looked for, or even fetched.

    Raises:
        InputError: It is missing.
    """
    if data.path is not None and not data.path.exists():
        what = "there is no such path"
        raise InputError("DATA_MISSING", what, where=data.path, field="data.path", remedy="check the path")


def read_native(data: Data) -> NativeData:
    """Read the data at `data.path` in the format that is given, that shows, or whose reader alone can read them.

    Raises:
        InputError: The path is missing, no format or several fit, or as the reader says.
    """
    require_path(data)
    path = data.path or Path()
    kind = recognised(path) if data.format == "auto" else data.format
    if kind is not None:
        return NativeData(kind, _read(data, path, kind))
    candidates = readable_as(path)
    readable: list[NativeData] = []
    faults: list[InputError] = []
    for name in candidates:
        try:
            table = _read(data, path, name)
        except InputError as error:
            faults.append(error)
        else:
            readable += [] if table.boxes.is_empty() else [NativeData(name, table, shown=False)]
    if len(readable) == 1 and readable[0].format not in VAGUE:
        return readable[0]
    if len(candidates) == 1 and faults:
        raise faults[0]
    recognise(path, code="DATA_UNKNOWN", field="data.path", flag="data.format=NAME")  # says what it may be
    raise InputError("DATA_UNKNOWN", "no format fits", where=path, field="data.path", remedy="give data.format")


def format_of(path: Path) -> str:
    """Return the format of native data that shows, or whose reader alone can read what is there.

    Raises:
        InputError: The path is missing, or no format or several fit.
    """
    try:
        return recognised(path) or read_native(Data(path=path)).format
    except InputError as error:
        guess = best_guess(path) if path.exists() else None
        if guess is not None:
            return guess.format  # its reader says what is wrong
        error.field, error.remedy = None, error.remedy.replace("data.format=NAME", "--format NAME")
        raise


def read_scored_data(
    path: Path, *, format: str | None = None, images: Path | None = None, **wanted: Any
) -> GroundTruth:
    """Read what is scored as `read_ground_truth` does, and in the format whose reader alone can read it if none shows.

    Args:
        path: The file or folder that holds it.
        format: A key of `READERS`.
        images: The folder that `file_name` is relative to.
        wanted: Further arguments of `read_ground_truth`.

    Raises:
        InputError: As for `read_ground_truth`.
    """
    if format is None and path.exists() and recognised(path) is None:
        try:
            format = read_native(Data(path=path, images=images)).format
        except InputError:
            guess = best_guess(path)
            format = None if guess is None else guess.format  # its reader says what is wrong
    return read_ground_truth(path, format=format, images=images, **wanted)


def _read(data: Data, path: Path, kind: str) -> AnnotationTable:
    form = get_format(kind)
    wanted: dict[str, Any] = {"images": data.images, "allow_missing": data.allow_missing or None}
    given = {key: value for key, value in wanted.items() if value is not None and key in form.options}
    words = [f"{key}={value}" for key, value in data.options.items()]
    try:
        return read_dataset(path, format=kind, options={**given, **parse_options(form, words)})
    except InputError as error:
        for each in error.problems:
            each.remedy = _OPTION.sub(r"data.options.\1=", each.remedy)
        raise


def is_trainable(data: Data, table: AnnotationTable) -> bool:
    """Return whether a table has the splits of the config and no frames of videos, so that it is taken as it is."""
    has_splits = {data.train_split, data.val_split} <= set(table.splits)
    return has_splits and not any(parse_frame_name(name) for name in table.images["file_name"])


def convert_native(
    native: NativeData,
    source: Path,
    out: Path,
    *,
    bad_boxes: str = BadBoxes.AUTO,
    progress: Progress | None = None,
) -> ConvertResult:
    """Turn native data into a data folder with links to their images, so that training can read them.

    The split is that of the source where it has one with validation images; where it has training images alone, a share
    of 0.2 of them is taken; else 0.8 and 0.2 of all images. It depends on the data alone.

    Args:
        native: What was read.
        source: Where it was read from.
        out: The folder to make.
        bad_boxes: One of `BadBoxes`.
        progress: As for `convert`.

    Raises:
        InputError: An image or a class is wrong; nothing was written.
        ResourceError: The machine failed; nothing is left under `out`.
    """
    splits = native.table.splits
    without_val = "train" in splits and "val" not in splits and len(splits) > 1
    options = ConvertOptions(
        format=native.format,
        source=real_path(source).name,
        split="source" if without_val else "auto",
        val_from_train=_VAL_SHARE if without_val else 0.0,
        image_mode=ImageMode.LINK,
        seed=SPLIT_SEED,
        bad_boxes=bad_boxes,
        bad_boxes_option=FIX_BAD_BOXES,
        targets=("coco",),  # which alone is read again
    )
    return convert(native.table, out, options=options, progress=progress)
