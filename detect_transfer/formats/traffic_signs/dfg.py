"""DFG traffic signs (Slovenia): COCO files for `train` and `test` whose `ignore` means something.

The boxes are `x, y, width, height` from the top-left corner of the first pixel: our own convention. Signs flagged
``ignore`` are too small or unclear to be asked for; pycocotools would overlook the flag.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.coco.file import CocoFile, read_file
from detect_transfer.formats.coco.image_files import ImageOptions
from detect_transfer.formats.coco.reader import table_of_files
from detect_transfer.formats.parsing import native

_FOLDER = "DFG-tsd-annot-json"
_IMAGES = "JPEGImages"
_SPLITS = ("train", "test")


def read(
    root: Path, *, missing_images: str = "error", size_mismatch: str = "error", on_error: str = "fail"
) -> AnnotationTable:
    """Read DFG: classes such as ``II-30-50`` in the order of their native ids, numbered from 1.

    Signs flagged ``ignore`` are neither target nor background (reason ``ignore flag``). Of polygons the box and the
    area are kept.

    Args:
        root: The folder with ``DFG-tsd-annot-json/{train,test}.json`` (or these files themselves) and ``JPEGImages``.
        missing_images: See `Source`.
        size_mismatch: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems of a file at once.

    Source: Tabernik, Skocaj, Deep Learning for Large-Scale Traffic-Sign Detection and Recognition, IEEE T-ITS 2020.
    """
    io.require_dir(root, what=f"a folder with {_FOLDER} and {_IMAGES}")
    native.check_choice("size_mismatch", size_mismatch, ("error", "keep"))
    options = ImageOptions(native.folder_named(root, _IMAGES), missing_images, size_mismatch)
    return table_of_files([_numbered(_read_split(root, name, on_error)) for name in _names(root)], options)


def _names(root: Path) -> list[str]:
    """Return the files of the splits, relative to the root."""
    folder = native.folder_named(root, _FOLDER)
    base = "" if folder is None else f"{folder.name}/"
    names = [f"{base}{split}.json" for split in _SPLITS if (root / f"{base}{split}.json").exists()]
    if not names:
        what, remedy = f"there is neither train.json nor test.json in {folder or root}", f"give the folder of {_FOLDER}"
        raise InputError("FILE_MISSING", what, where=root, remedy=remedy)
    return names


def _read_split(root: Path, name: str, on_error: str) -> CocoFile:
    native.require_regular(root, root / name)
    part = read_file(root / name, source=name, on_error=on_error, images=native.folder_named(root, _IMAGES))
    return replace(part, images=part.images.with_columns(split=pl.lit(part.path.stem)))


def _numbered(part: CocoFile) -> CocoFile:
    """Number the classes from 1; those of the data set begin at 0."""
    classes = part.categories.sort("category_id").with_columns(
        native=pl.col("category_id"), category_id=pl.int_range(1, pl.len() + 1, dtype=pl.Int64)
    )
    number = pl.col("category_id").replace_strict(classes["native"], classes["category_id"], return_dtype=pl.Int64)
    boxes = part.boxes.with_columns(number) if len(part.boxes) else part.boxes
    return replace(part, boxes=boxes, categories=classes.drop("native"))
