"""The monocular pedestrian benchmark of Daimler: `GroundTruth2D.db` beside the `.pgm` of a drive.

The database is a text of lines: ``:``, name, folder and length of a sequence; then for each image ``;``, its name, its
width and height, ``0`` and the number of objects, and five lines an object: ``#`` and the class, two numbers of the
object, the confidence, ``x1 y1 x2 y2``, ``0``. Whether the last pixel is included is not documented: the corners are
taken as edges counted from 0 unless `inclusive` says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing.numbers import parse_integer, parse_number
from detect_transfer.formats.parsing.source import Source

_CLASSES = {0: "pedestrian", 1: "bicyclist", 2: "motorcyclist"}
_REGIONS = {10: "group of pedestrians", 255: "partly visible"}
_LINES_OF_OBJECT = 5
_SEQUENCE, _IMAGE, _OBJECT = ":", ";", "#"


@dataclass
class _Lines:
    """The lines of a text that hold something, from the first on, each with its place."""

    lines: list[tuple[str, str]]
    at: int = 0

    def take(self, what: str) -> tuple[str, str]:
        """Return the next line and its place.

        Raises:
            InputError: There is none.
        """
        if self.at == len(self.lines):
            where = self.lines[-1][1] if self.lines else None
            raise InputError("DB_SYNTAX", f"it ends where {what} was expected", where=where, remedy="restore the file")
        self.at += 1
        return self.lines[self.at - 1]

    def numbers(self, count: int, what: str) -> list[float]:
        """Return the numbers of the next line.

        Raises:
            InputError: They are not as many.
        """
        text, where = self.take(what)
        numbers = [number for part in text.split() if (number := parse_number(part)) is not None]
        if len(numbers) != count or len(text.split()) != count:
            raise InputError("DB_SYNTAX", f"expected {what}", where=where, value=text, remedy="fix the line")
        return numbers


def read(
    root: Path, *, inclusive: bool = False, missing_images: str = "error", on_error: str = "fail"
) -> AnnotationTable:
    """Read the classes `pedestrian`, `bicyclist` and `motorcyclist`; groups and who is partly visible are ignored.

    A confidence below 1 marks what need not be detected, as the read-me of the benchmark is remembered: it is ignored
    (reason ``optional``). The sequence is the `group`; the second number of an object is its track.

    Args:
        root: The folder that holds ``GroundTruth2D.db`` and, in any folder, the images; or the file.
        inclusive: Whether x2 and y2 are the last pixels.
        missing_images: See `Source`.
        on_error: See `Source`; whatever is wrong before the numbers of a box is a fault of the data set.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its line.

    Source: Enzweiler and Gavrila, Monocular Pedestrian Detection: Survey and Experiments, PAMI 2009; public readers.
    """
    what = "a folder with GroundTruth2D.db"
    source = Source(root, what, by="tail", missing_images=missing_images, on_error=on_error, or_file=True)
    for name in source.files("*2D.db", missing="it holds no GroundTruth2D.db"):
        with source.errors.file():
            _read_file(source, name, last=int(inclusive))
    return source.table()


def _read_file(source: Source, name: str, *, last: int) -> None:
    lines = _Lines(list(source.lines(name)))
    group = None
    while lines.at < len(lines.lines):
        text, where = lines.take("a sequence or an image")
        if text == _SEQUENCE:
            group = lines.take("the name of the sequence")[0]
            lines.take("its folder")
            lines.take("its length")
            continue
        if text != _IMAGE:
            raise InputError("DB_SYNTAX", "expected ';' before an image", where=where, value=text, remedy="fix it")
        image, where = lines.take("the name of the image")
        width, height = lines.numbers(2, "width and height")
        _, n_objects = lines.numbers(2, "0 and the number of objects")
        size = (int(width), int(height)) if width >= 1 and height >= 1 else None
        is_new = source.add_image(image, where, size, group=group)
        for texts in _objects(lines, n_objects):
            if is_new:
                with source.errors.row(image):
                    _add_box(source, image, texts, last=last)


def _objects(lines: _Lines, n_objects: float) -> Iterator[list[tuple[str, str]]]:
    """Give the lines of each object of an image."""
    for _ in range(int(n_objects)):
        text, where = lines.take("'#' and the class of an object")
        if not text.startswith(_OBJECT):
            what = "expected '#' and the class; only objects of the 2D database are read"
            raise InputError("DB_SYNTAX", what, where=where, value=text, remedy="give GroundTruth2D.db")
        yield [(text, where), *(lines.take("a line of an object") for _ in range(_LINES_OF_OBJECT - 1))]


def _add_box(source: Source, image: str, lines: list[tuple[str, str]], *, last: int) -> None:
    (head, where), (ids, _), (confidence_text, _), (box, box_where), _ = lines
    number, confidence = parse_integer(head[1:].strip()), parse_number(confidence_text)
    corners = [parse_number(text) for text in box.split()]
    if number is None or confidence is None or len(corners) != 4 or None in corners:
        what = "expected a class, a confidence and four numbers"
        raise InputError("ROW_NUMBER", what, where=box_where, field="box", value=box, remedy="fix the object")
    x1, y1, x2, y2 = (corner for corner in corners if corner is not None)
    region = _REGIONS.get(number)
    reason = region or ("optional" if confidence < 1 else None)
    track = ids.split()[-1] if ids.split() else "-1"
    source.add_box(
        image,
        None if region else _CLASSES.get(number, f"class {number}"),
        (min(x1, x2), min(y1, y2), max(x1, x2) + last, max(y1, y2) + last),
        where.removeprefix(f"{source.root}/"),
        iscrowd=number == 10,
        ignore=reason is not None,
        ignore_reason=reason,
        track_id=None if track.startswith("-") else track,
    )
