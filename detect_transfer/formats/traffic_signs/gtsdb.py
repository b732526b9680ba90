"""The German Traffic Sign Detection Benchmark: road scenes beside one `gt.txt`.

A row is ``file;left;top;right;bottom;class``. The corners count from 0 and the right and bottom edges are exclusive:
the published sign sizes of 16 to 128 pixels are `right - left`. Scenes without a row show no sign and are negatives, so
the images are listed from the folder; rows say `.ppm` whatever the copy at hand holds, so files are found by stem.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.delimited import Dialect
from detect_transfer.formats.parsing.numbers import parse_integer
from detect_transfer.formats.parsing.source import Source, listed, numbered

_CORNERS = ("left", "top", "right", "bottom")
_FIELDS = ("file_name", *_CORNERS, "class")
_NAMES = listed(
    """speed limit 20, speed limit 30, speed limit 50, speed limit 60, speed limit 70, speed limit 80,
    restriction ends 80, speed limit 100, speed limit 120, no overtaking, no overtaking (trucks),
    priority at next intersection, priority road, give way, stop, no traffic both ways, no trucks, no entry, danger,
    bend left, bend right, bend, uneven road, slippery road, road narrows, construction, traffic signal,
    pedestrian crossing, school crossing, cycles crossing, snow, animals, restriction ends, go right, go left,
    go straight, go right or straight, go left or straight, keep right, keep left, roundabout,
    restriction ends (overtaking), restriction ends (overtaking (trucks))"""
)
_GROUPS = {
    "prohibitory": {0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 15, 16},
    "mandatory": set(range(33, 41)),
    "danger": {11, *range(18, 32)},
}
_FIRST_TEST_SCENE = 600


def read(root: Path, *, missing_images: str = "error", on_error: str = "fail") -> AnnotationTable:
    """Read GTSDB: 43 classes, id = native class + 1, with the super-classes of the benchmark as `supercategory`.

    Scenes 00000 to 00599 are `train`, the others `test`. The sub-folders ``00`` to ``42`` hold crops and are not read.

    Args:
        root: The folder with ``gt.txt`` and the images (ppm, jpg, png, ...).
        missing_images: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: Houben et al., Detection of Traffic Signs in Real-World Images, IJCNN 2013; ReadMe.txt of the data.
    """
    source = Source(root, "a folder with gt.txt and the scenes", missing_images=missing_images, on_error=on_error)
    scenes = native.images_by_stem(root, source.errors, recursive=False)
    for name in (name for stem, name in scenes.items() if parse_integer(stem) is None):
        what, remedy = "scenes are named by number, 00000 to 00899", "rename the image or move it away"
        source.errors.add("GTSDB_NAME", what, where=root / name, image=name, remedy=remedy)
    rows = source.rows(["gt.txt"], _FIELDS, Dialect(";", image_field="file_name"))
    source.errors.rename_skipped(lambda name: [scenes.get(native.stem_of(name), name)])
    is_here = ~pl.col("file_name").str.contains(r"[/\\]|^$")
    rows = rows.check(is_here, "PATH_OUTSIDE", "expected the name of an image in this folder", "file_name")
    stem = pl.col("image").str.replace(r"(.)\.[^.]+$", "${1}")
    rows = rows.with_columns(image=stem.replace_strict(scenes, default=pl.col("image"), return_dtype=pl.String))
    source.name_images(rows)
    source.add_images(scenes.values())
    last = len(_NAMES) - 1
    rows = rows.numbers(*_CORNERS, "class", whole=True)
    rows = rows.between("class", 0, last, f"expected an integer from 0 to {last}").box(*_CORNERS)
    groups = [next((name for name, members in _GROUPS.items() if i in members), "other") for i in range(len(_NAMES))]
    return source.table(rows.with_columns(category_id=pl.col("class") + 1), numbered(_NAMES, groups), split=_split)


def _split(name: str) -> str | None:
    scene = parse_integer(native.stem_of(name))
    return None if scene is None else "train" if scene < _FIRST_TEST_SCENE else "test"
