"""The German Traffic Sign Detection Benchmark: road scenes beside one `gt.txt`.

A row is ``file;left;top;right;bottom;class``. The corners count from 0 and the right and bottom edges are exclusive:
the published sign sizes of 16 to 128 pixels are `right - left`. Scenes without a row show no sign and are negatives, so
the images are listed from the folder; rows say `.ppm` whatever the copy at hand holds, so files are found by stem.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.checks import check_rows, to_numbers
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import FoundImage, ImageLookup, ImageRef, find_images
from detect_transfer.formats.parsing.numbers import parse_integer
from detect_transfer.formats.parsing.row_table import check_corners, finish_rows
from detect_transfer.formats.parsing.rows import named_in

_ANNOTATIONS = "gt.txt"
_FIELDS = ("file_name", "left", "top", "right", "bottom", "class")
_FIRST_TEST_SCENE = 600
_NAMES = (
    *("speed limit 20", "speed limit 30", "speed limit 50", "speed limit 60", "speed limit 70", "speed limit 80"),
    *("restriction ends 80", "speed limit 100", "speed limit 120", "no overtaking", "no overtaking (trucks)"),
    *("priority at next intersection", "priority road", "give way", "stop", "no traffic both ways", "no trucks"),
    *("no entry", "danger", "bend left", "bend right", "bend", "uneven road", "slippery road", "road narrows"),
    *("construction", "traffic signal", "pedestrian crossing", "school crossing", "cycles crossing", "snow", "animals"),
    *("restriction ends", "go right", "go left", "go straight", "go right or straight", "go left or straight"),
    *("keep right", "keep left", "roundabout", "restriction ends (overtaking)"),
    "restriction ends (overtaking (trucks))",
)
_GROUPS = {
    "prohibitory": {0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 15, 16},
    "mandatory": set(range(33, 41)),
    "danger": {11, *range(18, 32)},
}


def read(root: Path, *, missing_images: str = "error", on_error: str = "fail") -> AnnotationTable:
    """Read GTSDB: 43 classes, id = native class + 1, with the super-classes of the benchmark as `supercategory`.

    Scenes 00000 to 00599 are `train`, the others `test`. The sub-folders ``00`` to ``42`` hold crops and are not read.

    Args:
        root: The folder with ``gt.txt`` and the images (ppm, jpg, png, ...).
        missing_images: What to do about rows whose image is not in the folder: ``error``; ``keep`` to go on without
            its size; ``skip`` to leave them out and count them.
        on_error: What becomes of rows and images at fault, as for `ErrorCollector`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: Houben et al., Detection of Traffic Signs in Real-World Images, IJCNN 2013; ReadMe.txt of the data.
    """
    problems = ErrorCollector(on_error)
    media = ImageLookup(missing_images=missing_images)
    io.require_dir(root, what=f"a folder with {_ANNOTATIONS} and the scenes")
    scenes = _scenes(root, problems)
    rows, named = _rows(root, scenes, problems)
    named = {name: ImageRef(str(root / name)) for name in scenes.values()} | named
    problems.rename_skipped(lambda name: [scenes.get(native.stem_of(name), name)])
    images = find_images(root, named, media, problems)
    return finish_rows(
        problems,
        rows=rows,
        found=images,
        categories={
            "category_id": range(1, len(_NAMES) + 1),
            "name": _NAMES,
            "supercategory": [_supercategory(i) for i in range(len(_NAMES))],
        },
        image_root=root,
        facts=pl.DataFrame(
            {"image": list(images), "split": [_split(image) for image in images.values()]},
            schema={"image": pl.String, "split": pl.String},
        ),
    )


def _scenes(root: Path, problems: ErrorCollector) -> dict[str, str]:
    """Map the stem of every scene in the folder to its file name."""
    images = native.images_by_stem(root, problems, recursive=False)
    for stem, name in images.items():
        if parse_integer(stem) is None:
            problems.add(
                *("GTSDB_NAME", "scenes are named by number, 00000 to 00899"),
                where=root / name,
                image=name,
                remedy="rename the image or move it away",
            )
    return images


def _split(image: FoundImage) -> str | None:
    number = parse_integer(native.stem_of(image.file_name))
    return None if number is None else "train" if number < _FIRST_TEST_SCENE else "test"


def _supercategory(native_class: int) -> str:
    return next((name for name, members in _GROUPS.items() if native_class in members), "other")


def _rows(root: Path, scenes: Mapping[str, str], problems: ErrorCollector) -> tuple[pl.DataFrame, dict[str, ImageRef]]:
    """Return the rows of gt.txt with the columns of the table, and the images that rows name.

    `image` is the file of the folder where there is one.
    """
    data = read_delimited(root, {_ANNOTATIONS: None}, _FIELDS, Dialect(";", image_field="file_name"), problems)
    told = ("PATH_OUTSIDE", "expected the name of an image in this folder", "file_name")
    data = check_rows(data, ~pl.col("file_name").str.contains(r"[/\\]|^$"), root, problems, told=told)
    stem = pl.col("image").str.replace(r"(.)\.[^.]+$", "${1}")
    found = stem.replace_strict(list(scenes), list(scenes.values()), default=pl.col("image"), return_dtype=pl.String)
    data = data.with_columns(image=found)
    named = named_in(data, root)
    data = to_numbers(data, _FIELDS[1:], root, problems, whole=True)
    last = len(_NAMES) - 1
    told = ("ROW_NUMBER", f"expected an integer from 0 to {last}", "class")
    data = check_rows(data, pl.col("class").is_between(0, last), root, problems, told=told)
    data = check_corners(data, root, problems)
    rows = data.select(
        *("file", "line", "image"),
        category_id=pl.col("class") + 1,
        **{new: pl.col(old) for new, old in zip(("x1", "y1", "x2", "y2"), _FIELDS[1:5], strict=True)},
    )
    return rows, named
