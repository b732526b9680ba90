"""LISA traffic lights (US): a `frameAnnotationsBOX.csv` and a `frameAnnotationsBULB.csv` a clip.

The rows are those of the LISA signs without the column of flags. Of `Filename` only the last part is used: its folder
is not that of the published archives. A clip is the folder of its annotation file; its frames are in ``<clip>/frames``.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.image_lookup import ImageRef
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.traffic_signs.lisa_rows import read_rows

_FILES = {"box": "frameAnnotationsBOX.csv", "bulb": "frameAnnotationsBULB.csv"}
_FRAMES = "frames"
_FOLDER_OF_NAME = r"^((?:[^/]+/)?frames/).*/"


def read(
    root: Path,
    *,
    target: str = "box",
    inclusive: bool = False,
    missing_images: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read LISA traffic lights: a class a tag (``go``, ``stopLeft``, ...) in sorted order, a group a clip.

    Clips named ``...Clip...`` are `train`, those named ``...Sequence...`` are `test`. Frames of a clip that no row
    names show no light.

    Args:
        root: The folder that holds the annotation files and the frames, wherever below it.
        target: What the boxes hold: ``box``, the whole light; or ``bulb``, what is lit of it.
        inclusive: Whether the lower right corner is the last pixel that belongs to the light.
        missing_images: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: Jensen et al., Vision for Looking at Traffic Lights: Issues, Survey, and Perspectives, IEEE T-ITS 2016.
    """
    native.check_choice("target", target, tuple(_FILES))
    what = f"a folder with clips that hold {_FILES[target]}"
    source = Source(root, what, by="tail", missing_images=missing_images, on_error=on_error)
    folders = _folders(source, _FILES[target])
    rows = read_rows(source, folders, flags=False, inclusive=inclusive)
    rows = rows.with_columns(image=pl.col("image").str.replace(_FOLDER_OF_NAME, "$1"))
    source.errors.rename_skipped(lambda name: [re.sub(_FOLDER_OF_NAME, r"\1", name)])
    source.name_images(rows)
    for name in source.image_files():
        frame = "/".join(PurePosixPath(name).parts[-3:])
        if frame.rpartition("/")[0] in folders.values():
            source.images.setdefault(frame, ImageRef(str(root / name)))
    clips = {name: _clip_of(name) for name in source.images}
    return source.table(rows, group=clips, split={name: _split_of(clip) for name, clip in clips.items()})


def _folders(source: Source, file: str) -> dict[str, str | None]:
    """Return the annotation files with the folder of their frames, `<clip>/frames`."""
    names = source.files(file, missing=f"there is no {file}", remedy="give the folder of all clips")
    folders = {name: f"{PurePosixPath(name).parent.name}/{_FRAMES}".strip("/") for name in names}
    if len(set(folders.values())) < len(folders):
        what, remedy = f"two {file} are of clips of one name", "remove the copy, or give the folder of one of them"
        raise InputError("ID_DUPLICATE", what, where=source.root, remedy=remedy)
    return dict(folders)


def _clip_of(name: str) -> str | None:
    """Return the clip of a frame; ``sample-`` clips repeat frames of the clip without the prefix."""
    return name.rpartition(f"{_FRAMES}/")[0].rstrip("/").removeprefix("sample-") or None


def _split_of(clip: str | None) -> str | None:
    if clip is None:
        return None
    return "test" if "sequence" in clip.casefold() else "train" if "clip" in clip.casefold() else None
