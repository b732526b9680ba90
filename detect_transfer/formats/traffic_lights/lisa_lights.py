"""LISA traffic lights (US): a `frameAnnotationsBOX.csv` and a `frameAnnotationsBULB.csv` a clip.

The rows are those of the LISA signs without the column of flags. Of `Filename` only the last part is used: its folder
is not that of the published archives. A clip is the folder of its annotation file; its frames are in ``<clip>/frames``.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import ImageLookup, ImageRef, find_images
from detect_transfer.formats.parsing.row_table import finish_rows
from detect_transfer.formats.parsing.rows import named_in, number_classes
from detect_transfer.formats.traffic_signs.lisa_rows import read_rows

_FILES = {"box": "frameAnnotationsBOX.csv", "bulb": "frameAnnotationsBULB.csv"}
_FRAMES = "frames"
_FOLDER_OF_NAME = r"^((?:[^/]+/)?frames/).*/"
_SAMPLE = "sample-"  # such a clip repeats frames of the clip without the prefix


def read(
    root: Path, *, target: str = "box", inclusive: bool = False, missing_images: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:  # fmt: skip
    """Read LISA traffic lights: a class a tag (``go``, ``stopLeft``, ...) in sorted order, a group a clip.

    Clips named ``...Clip...`` are `train`, those named ``...Sequence...`` are `test`. Frames of a clip that no row
    names show no light.

    Args:
        root: The folder that holds the annotation files and the frames, wherever below it.
        target: What the boxes hold: ``box``, the whole light; or ``bulb``, what is lit of it.
        inclusive: Whether the lower right corner is the last pixel that belongs to the light.
        missing_images: ``error``; ``keep`` goes on without sizes; ``skip`` leaves rows of absent images out.
        on_error: As for `ErrorCollector`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: Jensen et al., Vision for Looking at Traffic Lights: Issues, Survey, and Perspectives, IEEE T-ITS 2016.
    """
    native.check_choice("target", target, tuple(_FILES))
    media, problems = ImageLookup(by="tail", missing_images=missing_images), ErrorCollector(on_error)
    names = _annotations(root, _FILES[target])
    rows = read_rows(root, names, problems, flags=False, inclusive=inclusive)
    rows = rows.with_columns(image=pl.col("image").str.replace(_FOLDER_OF_NAME, "$1"))
    problems.skipped_images = {
        re.sub(_FOLDER_OF_NAME, r"\1", name): error for name, error in problems.skipped_images.items()
    }
    named = {**_frames(root, set(names.values())), **named_in(rows, root)}
    images = find_images(root, named, media, problems)
    rows, classes = number_classes(rows, "tag")
    clips = [name.rpartition(f"{_FRAMES}/")[0].rstrip("/").removeprefix(_SAMPLE) or None for name in images]
    return finish_rows(
        problems,
        rows=rows.select("image", "file", "line", "category_id", "x1", "y1", "x2", "y2", "attributes"),
        found=images,
        categories=classes,
        image_root=root,
        facts=pl.DataFrame(
            {"image": list(images), "group": clips, "split": [_split_of(clip) for clip in clips]},
            schema={"image": pl.String, "group": pl.String, "split": pl.String},
        ),
    )


def _annotations(root: Path, file: str) -> dict[str, str | None]:
    """Return the annotation files with the folder of their frames."""
    io.require_dir(root, what=f"a folder with clips that hold {file}")
    paths = [PurePosixPath(name) for name in io.list_files(root, (".csv",))]
    found = {path.as_posix(): f"{path.parent.name}/{_FRAMES}".strip("/") for path in paths if path.name == file}
    if not found:
        raise InputError("FILE_MISSING", f"there is no {file}", where=root, remedy="give the folder of all clips")
    if len(set(found.values())) < len(found):
        what = f"two {file} are of clips of one name"
        raise InputError("ID_DUPLICATE", what, where=root, remedy="remove the copy, or give the folder of one of them")
    return dict(found)


def _frames(root: Path, folders: set[str | None]) -> dict[str, ImageRef]:
    """Return the images of the annotated clips by `<clip>/frames/<name>`."""
    found: dict[str, ImageRef] = {}
    for name in io.list_files(root, IMAGE_SUFFIXES):
        frame = "/".join(PurePosixPath(name).parts[-3:])
        if frame.rpartition("/")[0] in folders:
            found[frame] = ImageRef(str(root / name))
    return found


def _split_of(clip: str | None) -> str | None:
    if clip is None:
        return None
    return "test" if "sequence" in clip.casefold() else "train" if "clip" in clip.casefold() else None
