"""Hugging Face's imagefolder: `metadata.jsonl` or `metadata.csv` beside the images.

A row names an image and holds its `objects` as lists of one length: ``{"bbox": [[x, y, w, h]], "category": ["a"]}``.
The files do not state the form of the boxes; that of COCO is usual, and others have to be named.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing.box_format import PIXEL_SIZES, BoxFormat, Form, Units
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.parsing.rows import Rows
from detect_transfer.formats.parsing.source import Source, numbered
from detect_transfer.formats.tools.hf_rows import class_names, read_metadata
from detect_transfer.formats.tools.shared import report_unannotated

_FILES = ("metadata.jsonl", "metadata.csv")
_REMEDY = "fix the object or remove it"


def read(
    root: Path,
    *,
    box_format: Form | None = None,
    units: Units | None = None,
    names: Sequence[str] | None = None,
    missing_images: str = "error",
    allow_missing: bool = False,
    on_error: str = "fail",
) -> AnnotationTable:
    """Read an imagefolder; the split is the name of the folder, further keys of objects go to `attributes`.

    Categories are names, then classes are sorted, or indices, whose names the option gives, or else a ``class_label``
    in the head of ``README.md``, or else they are ``class_0`` and so on; the category id is the index + 1. Keys of rows
    that no column holds go to the images column `metadata` as JSON.

    Args:
        root: The folder with ``metadata.jsonl`` or ``metadata.csv`` in it or in its sub-folders, or one such file.
        box_format: What the four numbers are, ``xywh`` here; boxes that fit another form alone are an error.
        units: What they are counted in: ``pixels``, or ``shares`` of the image.
        names: The class names in the order of their indices.
        missing_images: See `Source`.
        allow_missing: Whether an image that no row names shows no object; otherwise it is an error.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its place.

    Source: https://huggingface.co/docs/datasets/image_dataset
    """
    form = _form(box_format, units)
    if names is not None and (isinstance(names, str) or not all(isinstance(name, str) for name in names)):
        raise InputError(
            "OPTION_VALUE", "expected a list of names", field="names", value=names, remedy="write names=[car, dog]"
        )
    what = "a folder with metadata.jsonl or metadata.csv"
    source = Source(root, what, missing_images=missing_images, on_error=on_error, or_file=True)
    files = _metadata_files(source)
    rows = read_metadata(source, files)
    folders = tuple("" if "/" not in name else name.rpartition("/")[0] + "/" for name in files)
    there = {image.file_name for image in source.find_images().values()}
    in_rows = there | source.images.keys() | source.errors.skipped_images.keys()
    unnamed = [name for name in source.image_files() if name not in in_rows and name.startswith(folders)]
    remedy = "add or remove it, or read with --option allow_missing=true if it shows no object"
    report_unannotated(source, () if allow_missing else unnamed, "no row names this image", remedy)
    source.add_images(unnamed)
    rows, classes = _with_classes(_boxes(rows, form), names)
    return source.table(rows, classes, split=split_of_path)


def _metadata_files(source: Source) -> list[str]:
    if source.file is not None:
        return [source.file]
    names = [n for n in io.list_files(source.root, (".jsonl", ".csv")) if PurePosixPath(n).name in _FILES]
    if not names:
        what = f"there is neither {_FILES[0]} nor {_FILES[1]}"
        remedy = "give the folder that holds it; images inside tables come out with detect-transfer unpack"
        raise InputError("HF_METADATA", what, where=source.root, remedy=remedy)
    return names


def _form(box_format: str | None, units: str | None) -> BoxFormat:
    if box_format is not None and box_format.endswith("_norm"):
        remedy = f"write box_format={box_format.removesuffix('_norm')} and units=shares"
        raise InputError("OPTION_VALUE", "shares have an option", field="box_format", value=box_format, remedy=remedy)
    return PIXEL_SIZES.with_options(box_format, units)


def _boxes(rows: Rows, form: BoxFormat) -> Rows:
    """Return the rows with corners."""
    rows = rows.box(*XYXY, box_format=form)
    return rows.check(pl.all_horizontal(pl.col(*XYXY).is_finite()), "BOX_INVALID", "it must be finite", "x2", _REMEDY)


def _with_classes(rows: Rows, names: Sequence[str] | None) -> tuple[Rows, dict[str, pl.Series] | None]:
    """Number the classes, which are all words or all indices (marked by ``#``), and return them with the rows."""
    is_index = pl.col("category").str.starts_with("#")
    text = pl.col("category").str.slice(1)
    if not rows.data.height or rows.data.select((~is_index).any()).item():
        rows = rows.check(~is_index, "CLASS_MIXED", "other objects have names", "category", _REMEDY)
        return rows.with_columns(label=text), None
    index = text.cast(pl.Int64)
    classes = list(names) if names is not None else class_names(rows.root)
    if classes is None:
        classes = [f"class_{i}" for i in range(int(rows.data.select(index.max()).item()) + 1)]
    what = f"expected an index from 0 to {len(classes) - 1}"
    rows = rows.check(index < len(classes), "CLASS_INDEX", what, "category", _REMEDY)
    return rows.with_columns(category_id=index + 1), numbered(classes)
