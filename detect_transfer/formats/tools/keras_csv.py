"""The CSV of keras-retinanet: ``path,x1,y1,x2,y2,class``, with or without that header, and `classes.csv`.

VoTT writes the same rows under the header ``image,xmin,ymin,xmax,ymax,label``. The corners count from 0 and the right
and bottom edges are exclusive. A row with a path alone (``a.jpg,,,,,``) states that the image shows no object.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.box_format import PIXEL_CORNERS, Form, Units
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.rows import Rows
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.tools.shared import note_unnamed, splits_by_file, with_nearest_images

_FIELDS = ("path", *XYXY, "class")
_VOTT_FIELDS = ("image", "xmin", "ymin", "xmax", "ymax", "label")
_CLASSES = re.compile(r"(.*[_-])?class(es)?([_-].*)?\.csv", re.IGNORECASE)


def read(
    root: Path,
    *,
    inclusive: bool = False,
    box_format: Form | None = None,
    units: Units | None = None,
    missing_images: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read the CSV of keras-retinanet: category ids are those of `classes.csv` + 1, or of the sorted names without it.

    The name of a file states the split (``train_annotations.csv``). Paths of another machine are taken for the image
    below `root` that shares most of their last parts.

    Args:
        root: A folder with CSV files of rows and of classes, or one file of rows.
        inclusive: Whether x2 and y2 are the last pixel of the box rather than its edge.
        box_format: What the four numbers are, ``xyxy`` here; boxes that fit another form alone are an error.
        units: What they are counted in: ``pixels``, or ``shares`` of the image.
        missing_images: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: https://github.com/fizyr/keras-retinanet#csv-datasets
    """
    source = Source(root, "a folder with CSV files", missing_images=missing_images, on_error=on_error, or_file=True)
    files = io.list_files(source.root, (".csv",))
    lists = [name for name in files if _CLASSES.fullmatch(PurePosixPath(name).name)]
    names = [name for name in files if name not in lists] if source.file is None else [source.file]
    if not names:
        remedy = "give the folder that holds the rows, or the file of rows"
        raise InputError("CSV_MISSING", "there is no CSV file of rows", where=root, remedy=remedy)
    given = _rows(source, names)
    given = with_nearest_images(given.filled("path", what="expected the path of an image", code="ROW_FIELD"))
    source.name_images(given)
    is_empty = pl.all_horizontal(pl.col(*_FIELDS[1:]) == "")
    rows = given.filter(~is_empty).numbers(*XYXY).filled("class", what="expected the name of a class", code="ROW_FIELD")
    rows = rows.box(*XYXY, box_format=PIXEL_CORNERS.with_options(box_format, units), inclusive=inclusive)
    classes = _classes(source, lists) if lists else None
    if classes is not None:
        rows = rows.category("class", dict(classes.select("name", "category_id").rows()))
    note_unnamed(source)
    return source.table(rows.with_columns(label="class"), classes, split=splits_by_file(given, "path"))


def _rows(source: Source, names: list[str]) -> Rows:
    """Return the rows of all files, whichever header they have."""
    headed = [name for name in names if _first_field(source, name) == _VOTT_FIELDS[0]]
    plain = [name for name in names if name not in headed]
    rows = source.rows(plain, _FIELDS, Dialect(",", header=None, quoted=True, image_field="path"))
    if headed:
        vott = source.rows(headed, _VOTT_FIELDS, Dialect(",", header=True, quoted=True, image_field="image")).data
        renamed = vott.with_columns(path="image").rename(dict(zip(_VOTT_FIELDS[1:], _FIELDS[1:], strict=True)))
        rows = replace(rows, data=pl.concat([rows.data, renamed.select(rows.data.columns)]))
    return rows


def _first_field(source: Source, name: str) -> str:
    try:
        text = native.read_text(source.root, source.root / name)
    except InputError:  # reported where the rows are read
        return ""
    return text.lstrip().partition("\n")[0].partition(",")[0].strip().strip('"').casefold()


def _classes(source: Source, lists: list[str]) -> pl.DataFrame:
    """Return the categories that the rows ``name,id`` of the lists state."""
    errors = ErrorCollector()  # a class at fault is no box that could be left out
    data = read_delimited(source.root, dict.fromkeys(lists), ("name", "id"), Dialect(",", quoted=True), errors)
    rows = Rows(data, source.root, errors).numbers("id", whole=True)
    for field in ("name", "id"):
        what = f"an earlier class has the same {field}, or there is none"
        rows = rows.check(pl.col(field).is_first_distinct() & (pl.col("name") != ""), "CLASS_NAME", what, field)
    rows = rows.between("id", 0, 2**31, "expected an index from 0", "CLASS_INDEX")
    source.errors.absorb(errors)
    return rows.data.sort("id").select("name", category_id=pl.col("id") + 1)
