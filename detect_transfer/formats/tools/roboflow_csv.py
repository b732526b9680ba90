"""Roboflow's CSV export (also that of TensorFlow tutorials): `_annotations.csv` beside the images of each split.

A row is ``filename,width,height,class,xmin,ymin,xmax,ymax``; the corners count from 0 and the right and bottom edges
are exclusive.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.formats.parsing.checks import check_rows, to_numbers
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import FoundImage, ImageLookup, ImageRef, find_images
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.parsing.row_table import check_corners, finish_rows
from detect_transfer.formats.parsing.rows import named_in, number_classes

_NAME = "_annotations.csv"
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_FIELDS = ("filename", "width", "height", "class", *_CORNERS)
_DIALECT = Dialect(",", header=True, quoted=True, image_field="filename")
_COPY = ".rf."


def read(
    root: Path,
    *,
    inclusive: bool = False,
    missing_images: str = "error",
    size_mismatch: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read `_annotations.csv` files; the split is the name of their folder, classes are sorted by name.

    Images beside such a file that it does not name show no object. Copies that were made of one image
    (``a_jpg.rf.<hash>.jpg``) form a group.

    Args:
        root: A folder with ``_annotations.csv`` in it or in its sub-folders, or a CSV file of that form.
        inclusive: Whether xmax and ymax are the last pixel of the box rather than its edge.
        missing_images: ``error``; ``keep`` goes on with the size that rows state; ``skip`` leaves the rows out.
        size_mismatch: ``error``, or ``keep`` to trust the image where rows state another size.
        on_error: What becomes of a row or an image at fault: ``fail``, ``skip-row`` or ``skip-image``.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: https://roboflow.com/formats/tensorflow-object-detection-csv
    """
    media, problems = ImageLookup(missing_images=missing_images, size_mismatch=size_mismatch), ErrorCollector(on_error)
    root, folders = _csv_files(root)
    given = read_delimited(root, folders, _FIELDS, _DIALECT, problems)
    told = ("ROW_FIELD", "expected the name of an image", "filename")
    given = check_rows(given, pl.col("filename") != "", root, problems, told=told)
    rows = _rows(given, root, problems)
    images = find_images(root, _named(root, folders, given, rows), media, problems)
    boxes, classes = number_classes(rows, "class")
    past = 1 if inclusive else 0
    boxes = boxes.select(
        *("image", "file", "line", "category_id"),
        *(pl.col(old).alias(new) for old, new in (("xmin", "x1"), ("ymin", "y1"))),
        *((pl.col(old) + past).alias(new) for old, new in (("xmax", "x2"), ("ymax", "y2"))),
    )
    facts = _facts(images)
    return finish_rows(problems, rows=boxes, found=images, categories=classes, image_root=root, facts=facts)


def _csv_files(root: Path) -> tuple[Path, dict[str, str | None]]:
    """Return the folder of the data set, and the folder of the images of each file (None: the same)."""
    if root.is_file():
        return root.parent, {root.name: None}
    io.require_dir(root, what=f"a folder with {_NAME}")
    names = [name for name in io.list_files(root, (".csv",)) if PurePosixPath(name).name == _NAME]
    if not names:
        raise InputError(
            *("CSV_MISSING", f"there is no {_NAME}"), where=root, remedy="give the folder that holds it, or the file"
        )
    folders = {name: PurePosixPath(name).parent.as_posix() for name in names}
    return root, {name: None if folder == "." else folder for name, folder in folders.items()}


def _rows(given: pl.DataFrame, root: Path, problems: ErrorCollector) -> pl.DataFrame:
    data = to_numbers(given, ("width", "height"), root, problems, whole=True)
    for side in ("width", "height"):
        told = ("IMAGE_SIZE", "expected a size of at least 1", side)
        data = check_rows(data, pl.col(side).is_between(1, 2**31 - 1), root, problems, told=told)
        told = ("IMAGE_SIZE", "an earlier row of this image states another size", side)
        data = check_rows(data, pl.col(side) == pl.col(side).first().over("image"), root, problems, told=told)
    told = ("ROW_FIELD", "expected the name of a class", "class")
    data = check_rows(data, pl.col("class") != "", root, problems, told=told)
    data = to_numbers(data, _CORNERS, root, problems)
    return check_corners(data, root, problems, _CORNERS)


def _named(root: Path, folders: dict[str, str | None], given: pl.DataFrame, rows: pl.DataFrame) -> dict[str, ImageRef]:
    """Return the images that rows name with their sizes, and those beside the files that none names."""
    stated = rows.unique("image", keep="first").select("image", "width", "height").rows()
    sizes = {image: (width, height) for image, width, height in stated}
    named = {image: ImageRef(told.where, sizes.get(image)) for image, told in named_in(given, root).items()}
    beside = {folder or "." for folder in folders.values()}
    for name in io.list_files(root, IMAGE_SUFFIXES):
        if PurePosixPath(name).parent.as_posix() in beside:
            named.setdefault(name, ImageRef(str(root / name)))
    return named


def _facts(images: dict[str, FoundImage]) -> pl.DataFrame:
    """Return the split of each image, and the image that it was copied from as its group."""
    names = {name: PurePosixPath(one.file_name).name for name, one in images.items()}
    return pl.DataFrame(
        {
            "image": list(names),
            "split": [split_of_path(one.file_name) for one in images.values()],
            "group": [name.partition(_COPY)[0] if _COPY in name else None for name in names.values()],
        },
        schema={"image": pl.String, "split": pl.String, "group": pl.String},
    )
