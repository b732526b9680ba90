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
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.parsing.rows import Rows
from detect_transfer.formats.parsing.source import Source, numbered
from detect_transfer.formats.tools.hf_rows import class_names, read_metadata
from detect_transfer.formats.tools.shared import report_unannotated, require_image_sizes, with_image_sizes

_FILES = ("metadata.jsonl", "metadata.csv")
_FORMS = ("xywh", "xyxy", "cxcywh", "xywh_norm", "xyxy_norm", "cxcywh_norm")
_REMEDY = "fix the object or remove it"


def read(
    root: Path,
    *,
    box_format: str = "xywh",
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
        box_format: What the four numbers are: ``xywh`` (from the top-left corner), ``xyxy`` or ``cxcywh`` in pixels
            from 0, or the same as shares of the image (``xywh_norm`` ...). Boxes that fit another form are an error.
        names: The class names in the order of their indices.
        missing_images: See `Source`.
        allow_missing: Whether an image that no row names shows no object; otherwise it is an error.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its place.

    Source: https://huggingface.co/docs/datasets/image_dataset
    """
    native.check_choice("box_format", box_format, _FORMS)
    if names is not None and (isinstance(names, str) or not all(isinstance(name, str) for name in names)):
        raise InputError(
            "OPTION_VALUE", "expected a list of names", field="names", value=names, remedy="write names=[car, dog]"
        )
    what = "a folder with metadata.jsonl or metadata.csv"
    source = Source(root, what, missing_images=missing_images, on_error=on_error, or_file=True)
    files = _metadata_files(source)
    rows = read_metadata(source, files)
    folders = tuple("" if "/" not in name else name.rpartition("/")[0] + "/" for name in files)
    in_rows = source.images.keys() | source.errors.skipped_images.keys()
    unnamed = [name for name in source.image_files() if name not in in_rows and name.startswith(folders)]
    remedy = "add or remove it, or read with allow_missing=true if it shows no object"
    report_unannotated(source, () if allow_missing else unnamed, "no row names this image", remedy)
    source.add_images(unnamed)
    form, _, share = box_format.partition("_")
    rows = _shares(source, rows) if share else _pixels(with_image_sizes(source, rows), form)
    rows, classes = _with_classes(_boxes(rows, form, is_share=bool(share)), names)
    return source.table(rows, classes, split=split_of_path)


def _metadata_files(source: Source) -> list[str]:
    if source.file is not None:
        return [source.file]
    names = [n for n in io.list_files(source.root, (".jsonl", ".csv")) if PurePosixPath(n).name in _FILES]
    if not names:
        what = f"there is neither {_FILES[0]} nor {_FILES[1]}"
        remedy = "give the folder that holds it; write metadata.parquet as metadata.jsonl first"
        raise InputError("HF_METADATA", what, where=source.root, remedy=remedy)
    return names


def _shares(source: Source, rows: Rows) -> Rows:
    """Return the rows whose numbers are shares of images of a known size."""
    require_image_sizes(source)
    is_share = pl.all_horizontal(pl.col(*XYXY).abs() <= 2)
    what = "expected four shares of the image from 0 to 1"
    return with_image_sizes(source, rows).check(is_share, "BOX_SHARES", what, "x1")


def _pixels(rows: Rows, form: str) -> Rows:
    """Return the rows, unless their numbers are beyond doubt of another form than the one in pixels that is named.

    Raises:
        InputError: They are.
    """
    data = rows.data
    if not data.height:
        return rows
    if data.select(pl.max_horizontal(pl.col(*XYXY).max()) <= 1).item():
        _refuse(rows, f"all numbers are at most 1, so they look like shares; name box_format={form}_norm")
    is_ordered = data.select(((pl.col("x2") >= pl.col("x1")) & (pl.col("y2") >= pl.col("y1"))).all()).item()
    leaving = _count_leaving(data, "xywh") if form == "xywh" and is_ordered else 0
    if leaving > data.height / 2 and _count_leaving(data, "xyxy") == 0:
        _refuse(rows, "most boxes leave their images, and none would as corners; name box_format=xyxy")
    return rows


def _count_leaving(data: pl.DataFrame, form: str) -> int:
    """Return how many boxes end more than a pixel past their image."""
    _, _, x2, y2 = _corners(form)
    return int(data.select(((x2 > pl.col("image_width") + 1) | (y2 > pl.col("image_height") + 1)).sum()).item())


def _refuse(rows: Rows, what: str) -> None:
    where = f"{rows.root}/{rows.data['source'][0]}"
    raise InputError("BOX_FORMAT", what, where=where, field="bbox", remedy="see box_format; the first box is here")


def _corners(form: str) -> tuple[pl.Expr, ...]:
    """Return the corners that four numbers of a form, which stand in the columns of corners, mean."""
    a, b, c, d = (pl.col(name) for name in XYXY)
    if form == "xyxy":
        return a, b, c, d
    return (a, b, a + c, b + d) if form == "xywh" else (a - c / 2, b - d / 2, a + c / 2, b + d / 2)


def _boxes(rows: Rows, form: str, *, is_share: bool) -> Rows:
    """Return the rows with corners in pixels."""
    if form != "xyxy":
        is_sized = (pl.col("x2") >= 0) & (pl.col("y2") >= 0)
        rows = rows.check(is_sized, "BOX_INVALID", "width and height must not be negative", "x2", _REMEDY)
    width, height = (pl.col("image_width"), pl.col("image_height")) if is_share else (pl.lit(1.0), pl.lit(1.0))
    x1, y1, x2, y2 = _corners(form)
    rows = rows.with_columns(x1=x1 * width, y1=y1 * height, x2=x2 * width, y2=y2 * height)
    is_ordered = pl.all_horizontal(
        pl.col(*XYXY).is_finite(), pl.col("x2") >= pl.col("x1"), pl.col("y2") >= pl.col("y1")
    )
    rows = rows.check(is_ordered, "BOX_INVALID", "the second corner must not be before the first", "x2", _REMEDY)
    return rows.with_columns(ignore="iscrowd", ignore_reason=pl.when("iscrowd").then(pl.lit("crowd")))


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
