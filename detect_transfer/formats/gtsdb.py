"""The German Traffic Sign Detection Benchmark: road scenes beside one `gt.txt`. Imports ranks 0 to 1.

A row is ``file;left;top;right;bottom;class``. The corners count from 0 and the right and bottom edges are exclusive:
the published sign sizes of 16 to 128 pixels are `right - left`. Scenes without a row show no sign and are negatives, so
the pictures are listed from the folder; rows say `.ppm` whatever the copy at hand holds, so files are found by stem.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detect_transfer import files
from detect_transfer.errors import InputError
from detect_transfer.formats import _native
from detect_transfer.formats._numbers import parse_integer
from detect_transfer.formats._problems import Problems
from detect_transfer.table import AnnotationTable

_ANNOTATIONS = "gt.txt"
_FIELDS = ("file", "left", "top", "right", "bottom", "class")
_FIRST_TEST_SCENE = 600
_MISSING_IMAGES = ("error", "skip")
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
_log = logging.getLogger(__name__)


def read(root: Path, *, missing_images: str = "error") -> AnnotationTable:
    """Read GTSDB: 43 classes, id = native class + 1, with the super-classes of the benchmark as `supercategory`.

    Scenes 00000 to 00599 are `train`, the others `test`. The sub-folders ``00`` to ``42`` hold crops and are not read.

    Args:
        root: The folder with ``gt.txt`` and the pictures (ppm, jpg, png, ...).
        missing_images: What to do about rows whose picture is not in the folder: ``error``, or ``skip`` to leave them
            out and log how many.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: Houben et al., Detection of Traffic Signs in Real-World Images, IJCNN 2013; ReadMe.txt of the data.
    """
    _native.check_choice("missing_images", missing_images, _MISSING_IMAGES)
    problems = Problems()
    pictures = _scenes(root, problems)
    rows, absent = _rows(root, {stem: i for i, stem in enumerate(pictures, start=1)}, problems)
    if absent and missing_images == "error":
        stem, line = next(iter(absent.items()))
        problems.add(
            "GTSDB_IMAGE",
            f"rows name {len(absent)} pictures that are not there, the first is '{stem}'",
            where=f"{root / _ANNOTATIONS}:{line}",
            remedy="restore them, or read with missing_images=skip to leave their rows out",
        )
    sizes = _native.read_sizes(root, pictures.values(), problems)
    problems.raise_any()
    if absent:
        _log.warning("%s: rows of %d pictures that are not there are left out", root / _ANNOTATIONS, len(absent))
    return AnnotationTable.from_columns(
        images={
            "image_id": range(1, len(pictures) + 1),
            "file_name": list(pictures.values()),
            "width": [s and s[0] for s in sizes],
            "height": [s and s[1] for s in sizes],
            "split": ["train" if int(stem) < _FIRST_TEST_SCENE else "test" for stem in pictures],
        },
        boxes=_native.box_frame(rows),
        categories={
            "category_id": range(1, len(_NAMES) + 1),
            "name": _NAMES,
            "supercategory": [_supercategory(i) for i in range(len(_NAMES))],
        },
        image_root=root,
    )


def _scenes(root: Path, problems: Problems) -> dict[str, str]:
    """Map the stem of every scene to its file name."""
    files.require_dir(root, what=f"a folder with {_ANNOTATIONS} and the scenes")
    pictures = _native.pictures_by_stem(root, problems, recursive=False)
    if not pictures:
        raise InputError("IMAGES_NONE", "there is no picture", where=root, remedy="give the folder of the scenes")
    for stem, name in pictures.items():
        if parse_integer(stem) is None:
            problems.add(
                *("GTSDB_NAME", "scenes are named by number, 00000 to 00899"),
                where=root / name,
                remedy="rename the picture or move it away",
            )
    return pictures


def _supercategory(native_class: int) -> str:
    return next((name for name, members in _GROUPS.items() if native_class in members), "other")


def _rows(root: Path, image_ids: Mapping[str, int], problems: Problems) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Return the rows of gt.txt, and the stems of pictures that are absent with the first line that names them."""
    path = root / _ANNOTATIONS
    rows: list[dict[str, Any]] = []
    absent: dict[str, int] = {}
    for line, text in enumerate(_native.lines_of(_native.read_text(root, path)), start=1):
        if not text.strip():
            continue
        row = _row(text, f"{path}:{line}", problems)
        if row is None:
            continue
        stem, numbers = row
        if stem not in image_ids:
            absent.setdefault(stem, line)
            continue
        x1, y1, x2, y2, native_class = numbers
        rows.append(
            {
                "image_id": image_ids[stem],
                "category_id": native_class + 1,
                **{"x1": x1, "y1": y1, "x2": x2, "y2": y2},
                "source": f"{_ANNOTATIONS}:{line}",
            }
        )
    return rows, absent


def _row(text: str, where: str, problems: Problems) -> tuple[str, list[int]] | None:
    """Return the stem and the five integers of a row, or None after reporting what is wrong."""
    parts = [part.strip() for part in text.split(";")]
    if len(parts) != len(_FIELDS):
        what = f"found {len(parts)} fields, expected 6: {';'.join(_FIELDS)}"
        problems.add("GTSDB_COLUMNS", what, where=where, field="row", value=text, remedy="mend or remove the row")
        return None
    before, numbers = problems.total, []
    for field, part in zip(_FIELDS[1:], parts[1:], strict=True):
        number = parse_integer(part)
        last = len(_NAMES) - 1
        if number is None or (field == "class" and not 0 <= number <= last):
            what = f"expected an integer from 0 to {last}" if field == "class" else "expected an integer"
            problems.add("GTSDB_NUMBER", what, where=where, field=field, value=part, remedy="mend or remove the row")
        numbers.append(number or 0)
    x1, y1, x2, y2, _ = numbers
    if problems.total == before and (x2 < x1 or y2 < y1):
        what = "right must be >= left and bottom >= top"
        problems.add("BOX_INVALID", what, where=where, field="box", value=text, remedy="mend or remove the row")
    if not parts[0] or "/" in parts[0] or "\\" in parts[0]:
        what = "expected the name of a picture in this folder"
        problems.add("PATH_OUTSIDE", what, where=where, field="file", value=parts[0], remedy="mend or remove the row")
    return (_native.stem_of(parts[0]), numbers) if problems.total == before else None
