"""What a run reads: scenes are drawn, native data read and, where training cannot take them as they are, converted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from detect_transfer.config import RunConfig
from detect_transfer.data.image_checks import Progress
from detect_transfer.data.native import NativeData, convert_native, is_trainable, read_native
from detect_transfer.data.run_data import draw_data
from detect_transfer.workflows.convert import conversion_lines

_CONVERTED = "data_folder"  # its conversion said what it left out


def make_run_data(
    config: RunConfig, folder: Path, *, on_stage: Callable[[str], None], progress: Progress | None = None
) -> NativeData | None:
    """Make the data folder of a run where it needs one of its own and has none yet.

    Args:
        config: The config.
        folder: The data folder to make.
        on_stage: Called with what begins now and with what was left out, in words.
        progress: As for `convert`.

    Returns:
        What was read at `data.path`, where training takes it as it is; else None.

    Raises:
        InputError: The data are missing or wrong; nothing was written.
        ResourceError: The machine failed; nothing is left under `folder`.
    """
    data = config.data
    if folder.exists() or data.train_json is not None:
        return None
    if data.synthetic is not None:
        on_stage("drawing street scenes")
        draw_data(data.synthetic, folder, seed=config.train.seed)
        return None
    on_stage("reading the data")
    native = read_native(data)
    how = "" if native.shown else f", the one format that can be read there; data.format={native.format} is quicker"
    on_stage(f"data: {native.format}{how}")
    has_split = data.split_file is not None or (native.shown and is_trainable(data, native.table))
    if native.format == _CONVERTED or has_split:
        return native
    on_stage("converting the data into the run folder, with links to the images")
    for line in conversion_lines(
        convert_native(native, data.path or Path(), folder, bad_boxes=data.bad_boxes, progress=progress)
    ):
        on_stage(line.strip())
    return None


def ledger_lines(native: NativeData | None, ledger: Mapping[str, Any]) -> list[str]:
    """Return what left native data, or changed, in being cleaned for training; nothing where a conversion said it."""
    if native is None or native.format == _CONVERTED:
        return []
    return [
        f"{line['count']} {line['kind']} rows {line['action']}: {line['reason']}"
        for step in ledger["steps"]
        for line in step["lines"]
    ]
