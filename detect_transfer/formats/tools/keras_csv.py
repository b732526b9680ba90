"""The CSV of keras-retinanet: ``path,x1,y1,x2,y2,class`` without a header, and `classes.csv`.

The corners count from 0 and the right and bottom edges are exclusive. A row with a path alone (``a.jpg,,,,,``) tells of
an image without objects.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing.checks import check_rows, to_numbers
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import ImageLookup, find_images
from detect_transfer.formats.parsing.locations import NearbyImages, path_of_address, split_named
from detect_transfer.formats.parsing.row_table import check_classes, check_corners, finish_rows
from detect_transfer.formats.parsing.rows import named_in, number_classes

_CORNERS = ("x1", "y1", "x2", "y2")
_FIELDS = ("path", *_CORNERS, "class")
_CLASSES = re.compile(r"(.*[_-])?class(es)?([_-].*)?\.csv", re.IGNORECASE)


def read(
    root: Path, *, inclusive: bool = False, missing_images: str = "error", on_error: str = "fail"
) -> AnnotationTable:
    """Read the CSV of keras-retinanet: category ids are those of `classes.csv` + 1, or of the sorted names without it.

    The split is told by the name of a file (``train_annotations.csv``). Paths of another machine are taken for the
    image below `root` that shares most of their last parts.

    Args:
        root: A folder with CSV files of rows and of classes, or one file of rows.
        inclusive: Whether x2 and y2 are the last pixel of the box rather than its edge.
        missing_images: ``error``; ``keep`` goes on without the size of the image; ``skip`` leaves its rows out.
        on_error: What becomes of a row or an image at fault: ``fail``, ``skip-row`` or ``skip-image``.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: https://github.com/fizyr/keras-retinanet#csv-datasets
    """
    media, problems = ImageLookup(missing_images=missing_images), ErrorCollector(on_error)
    root, names, lists = _csv_files(root)
    given = _given(root, names, problems)
    images = find_images(root, named_in(given, root), media, problems)
    empty = pl.all_horizontal(pl.col(*_FIELDS[1:]).fill_null("") == "")
    rows = to_numbers(given.filter(~empty), _CORNERS, root, problems)
    told = ("ROW_FIELD", "expected the name of a class", "class")
    rows = check_rows(rows, pl.col("class").fill_null("") != "", root, problems, told=told)
    rows = check_corners(rows, root, problems, _CORNERS)
    if lists:
        classes = _classes(root, lists, problems)
        ids = dict(classes.select("name", "category_id").rows())
        rows = check_classes(rows, "class", ids, root, problems)
    else:
        rows, classes = number_classes(rows, "class")
    past = 1 if inclusive else 0
    boxes = rows.select(*("image", "file", "line", "category_id", "x1", "y1"), pl.col("x2") + past, pl.col("y2") + past)
    facts = _splits(given, problems)
    return finish_rows(problems, rows=boxes, found=images, categories=classes, image_root=root, facts=facts)


def _csv_files(root: Path) -> tuple[Path, list[str], list[str]]:
    """Return the folder of the data set, its files of rows and those of classes."""
    folder = root.parent if root.is_file() else io.require_dir(root, what="a folder with CSV files")
    held = io.list_files(folder, (".csv",))
    lists = [name for name in held if _CLASSES.fullmatch(PurePosixPath(name).name)]
    names = [root.name] if root.is_file() else [name for name in held if name not in lists]
    if not names:
        remedy = "give the folder that holds the rows, or the file of rows"
        raise InputError("CSV_MISSING", "there is no CSV file of rows", where=root, remedy=remedy)
    return folder, names, lists


def _given(root: Path, names: list[str], problems: ErrorCollector) -> pl.DataFrame:
    """Return the rows as strings, each with the image below `root` that it means."""
    dialect = Dialect(",", quoted=True, image_field="path")
    given = read_delimited(root, dict.fromkeys(names), _FIELDS, dialect, problems)
    told = ("ROW_FIELD", "expected the path of an image", "path")
    given = check_rows(given, pl.col("path") != "", root, problems, told=told)
    nearby = NearbyImages(root)
    found = {path: nearby.nearest(path_of_address(path)) for path in given["image"].unique()}
    for path in found.keys() & problems.skipped_images.keys():
        problems.skipped_images.setdefault(found[path], problems.skipped_images.pop(path))
    return given.with_columns(pl.col("image").replace_strict(found, return_dtype=pl.String))


def _classes(root: Path, lists: list[str], problems: ErrorCollector) -> pl.DataFrame:
    """Return the categories that the rows ``name,id`` of the lists tell."""
    faults = ErrorCollector()  # a class at fault is no box that could be left out
    rows = read_delimited(root, dict.fromkeys(lists), ("name", "id"), Dialect(",", quoted=True), faults)
    rows = to_numbers(rows, ("id",), root, faults, whole=True)
    for field in ("name", "id"):
        told = ("CLASS_NAME", f"an earlier class has the same {field}, or there is none", field)
        rows = check_rows(rows, pl.col(field).is_first_distinct() & (pl.col("name") != ""), root, faults, told=told)
    told = ("CLASS_INDEX", "expected an index from 0", "id")
    rows = check_rows(rows, pl.col("id").is_between(0, 2**31), root, faults, told=told)
    problems.absorb(faults)
    return rows.sort("id").select("name", category_id=pl.col("id") + 1)


def _splits(given: pl.DataFrame, problems: ErrorCollector) -> pl.DataFrame:
    """Return the split of each image by the name of its file, which may name it in one split alone."""
    found: dict[str, str | None] = {}
    for image, file in given.select("image", "file").unique(maintain_order=True).rows():
        split = split_named(*re.split(r"[-_./]", file))
        if found.setdefault(image, split) != split:
            what = f"the image is in '{found[image]}' as well"
            problems.add("SPLIT_TWICE", what, where=file, field="path", value=image, remedy="keep it in one of them")
    return pl.DataFrame(
        {"image": list(found), "split": list(found.values())}, schema={"image": pl.String, "split": pl.String}
    )
