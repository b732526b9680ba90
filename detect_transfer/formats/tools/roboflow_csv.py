"""Roboflow's CSV export, `_annotations.csv` beside the images, and the lists of TensorFlow tutorials, `*_labels.csv`.

A row is ``filename,width,height,class,xmin,ymin,xmax,ymax``; the corners count from 0 and the right and bottom edges
are exclusive.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.formats.parsing.box_format import PIXEL_CORNERS, Form, Units
from detect_transfer.formats.parsing.delimited import Dialect
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.parsing.rows import Rows
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.tools.shared import folder_of, splits_by_file, with_nearest_images

_ANNOTATIONS = "_annotations.csv"
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_FIELDS = ("filename", "width", "height", "class", *_CORNERS)
_DIALECT = Dialect(",", header=True, quoted=True, image_field="filename")


def read(
    root: Path,
    *,
    inclusive: bool = False,
    box_format: Form | None = None,
    units: Units | None = None,
    missing_images: str = "error",
    size_mismatch: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read `_annotations.csv` files; the split is the name of their folder, classes are sorted by name.

    Images beside such a file that it does not name show no object, unless another CSV file lies there too. Files of
    other names, such as ``train_labels.csv``, name all images that they are of, wherever these lie below the folder;
    the name of the file states the split. Copies that were made of one image (``a_jpg.rf.<hash>.jpg``) form a group.

    Args:
        root: A folder with ``_annotations.csv`` or ``*_labels.csv`` in it or in its sub-folders, or a CSV file of that
            form.
        inclusive: Whether xmax and ymax are the last pixel of the box rather than its edge.
        box_format: What the four numbers are, ``xyxy`` here; boxes that fit another form alone are an error.
        units: What they are counted in: ``pixels``, or ``shares`` of the image.
        missing_images: See `Source`.
        size_mismatch: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: https://roboflow.com/formats/tensorflow-object-detection-csv
    """
    source = Source(
        root,
        "a folder with _annotations.csv",
        missing_images=missing_images,
        size_mismatch=size_mismatch,
        on_error=on_error,
        or_file=True,
    )
    remedy = "give the folder that holds it, or the file"
    files = source.files(
        _ANNOTATIONS, "*_labels.csv", code="CSV_MISSING", missing=f"there is no {_ANNOTATIONS}", remedy=remedy
    )
    n_lists = Counter(folder_of(name) for name in io.list_files(source.root, (".csv",)))
    beside = [name for name in files if PurePosixPath(name).name == _ANNOTATIONS]  # lie beside all their images
    owned = [folder_of(name) for name in beside if n_lists[folder_of(name)] == 1]
    names = beside or files
    folders = {name: folder_of(name) for name in names}
    given = source.rows(names, _FIELDS, _DIALECT, of=folders)
    given = given.filled("filename", what="expected the name of an image", code="ROW_FIELD")
    given = given if beside else with_nearest_images(given)
    rows = _sized(given).filled("class", what="expected the name of a class", code="ROW_FIELD").numbers(*_CORNERS)
    rows = rows.box(*_CORNERS, box_format=PIXEL_CORNERS.with_options(box_format, units), inclusive=inclusive)
    source.name_images(given)
    source.name_images(rows, size=("width", "height"))
    if beside:
        source.add_images(name for name in source.image_files() if folder_of(name) in owned)
    split = split_of_path if beside else splits_by_file(given, "filename")
    return source.table(rows.with_columns(label="class"), split=split, group=_original)


def _sized(rows: Rows) -> Rows:
    """Check the sizes of images, which all rows of one state alike."""
    rows = rows.numbers("width", "height", whole=True)
    for side in ("width", "height"):
        rows = rows.between(side, 1, 2**31 - 1, "expected a size of at least 1", "IMAGE_SIZE")
        is_same = pl.col(side) == pl.col(side).first().over("image")
        rows = rows.check(is_same, "IMAGE_SIZE", "an earlier row of this image states another size", side)
    return rows


def _original(file_name: str) -> str | None:
    """Return the image that a copy was made of."""
    original, copy, _ = PurePosixPath(file_name).name.partition(".rf.")
    return original if copy else None
