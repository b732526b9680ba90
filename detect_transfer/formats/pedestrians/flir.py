"""FLIR ADAS, people and vehicles in images of heat: COCO JSON in the folder of each split.

Version 2 has ``images_thermal_train/coco.json`` and its kin in colour, version 1 ``train/thermal_annotations.json``.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.coco.file import CocoFile, read_file
from detect_transfer.formats.coco.image_files import ImageOptions
from detect_transfer.formats.coco.reader import table_of_files
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.locations import split_named

_MODALITIES = ("thermal", "rgb")
_NAMES = ("coco.json", "thermal_annotations.json", "rgb_annotations.json")


def read(
    root: Path,
    *,
    modality: str = "thermal",
    missing_images: str = "error",
    size_mismatch: str = "unchecked",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read FLIR ADAS: the classes of the files; the word of a folder (``train``, ``val``, ``test``) is the split.

    The frames of a video, which version 2 names in `file_name`, are the `group`.

    Args:
        root: The folder with ``images_thermal_train/`` and its kin, or with ``train/`` and ``val/``.
        modality: Which images are read, ``thermal`` or ``rgb``; they show the same streets.
        missing_images: As for the reader `coco`.
        size_mismatch: As for the reader `coco`.
        on_error: As for the reader `coco`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems of a file at once.

    Source: https://www.flir.com/oem/adas/adas-dataset-form/, the read-me of versions 1.3 and 2.
    """
    native.check_choice("modality", modality, _MODALITIES)
    io.require_dir(root, what="a folder with images_thermal_train/ or train/ of FLIR ADAS")
    names = [PurePosixPath(n) for n in io.list_files(root, (".json",)) if PurePosixPath(n).name in _NAMES]
    names = [name for name in names if modality in name.as_posix()]
    if not names:
        what = f"no folder holds {modality} annotations: coco.json or {modality}_annotations.json was expected"
        raise InputError("FLIR_MISSING", what, where=root, remedy="give the folder that holds them")
    parts = []
    for name in names:
        native.require_regular(root, root / name)
        parts.append(_of_folder(read_file(root / name, source=name.as_posix(), on_error=on_error), name.parent))
    return table_of_files(parts, ImageOptions(root, missing_images, size_mismatch))


def _of_folder(part: CocoFile, folder: PurePosixPath) -> CocoFile:
    """Name images from the root on, and fill in what their names and folders tell."""
    part.errors.rename_skipped(lambda image: [f"{folder}/{image}"])
    images = part.images.with_columns(
        file_name=pl.lit(f"{folder}/") + pl.col("file_name"),
        split=pl.col("split").fill_null(split_named(*reversed(re.split("[_/]", str(folder))))),
        group=pl.coalesce("group", pl.col("file_name").str.extract(r"(video-[A-Za-z0-9]+)-frame")),
    )
    return replace(part, images=images)
