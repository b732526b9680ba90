"""IDL and AL, the lists of the pedestrians of ETH, of TUD (Brussels, crossing, ...) and of Brainwash.

A line of an `.idl` is ``"left/image_0.png": (x1, y1, x2, y2):-1, (...);``, the last one ends with a full stop; an `.al`
is an XML of the same. Corners may be swapped. Whether the last pixel is included is not documented: the corners are
taken as edges counted from 0 unless `inclusive` says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing.locations import NearbyImages, path_of_address, split_named
from detect_transfer.formats.parsing.numbers import NUMBER_PATTERN, parse_number
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.parsing.xml import read_xml, require_once

_LINE = re.compile(r'"([^"]+)"\s*(?::\s*(.*?))?\s*[;.]?')
_BOX = re.compile(rf"\(\s*([^()]*?)\s*\)\s*(?::\s*({NUMBER_PATTERN}))?")  # a score may follow
_EDGES = ("x1", "y1", "x2", "y2")
_NO_SCORE = -1.0
_SYNTAX = 'expected "image.png": (x1, y1, x2, y2), (x1, y1, x2, y2)'


@dataclass(frozen=True)
class _Rectangle:
    """The texts of four corners and of a score, and their place."""

    corners: tuple[str, ...]
    score: str
    source: str


@dataclass(frozen=True)
class _Entry:
    """What is said of an image."""

    address: str
    source: str
    rectangles: list[_Rectangle]


def read(
    root: Path,
    *,
    class_name: str = "person",
    inclusive: bool = False,
    images: Path | None = None,
    missing_images: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read lists of one class, `person`. The folder of an image is its `group`, the name of a list tells the split.

    An image is found by the end of its name. Only images that a list names are read; one without boxes shows nobody. A
    score other than -1 goes to `attributes`. Where an ``.al`` lies beside an ``.idl`` of its name, the latter is read.

    Args:
        root: The folder of the lists and the images, or one list.
        class_name: What is annotated: ``person``, or ``head`` for Brainwash.
        inclusive: Whether x2 and y2 are the last pixels.
        images: See `Source`.
        missing_images: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its line.

    Source: https://data.vision.ee.ethz.ch/cvl/aess/; Wojek et al., Multi-Cue Onboard Pedestrian Detection, CVPR 2009.
    """
    source = Source(
        root,
        "a list (.idl or .al) of pedestrians",
        missing_images=missing_images,
        on_error=on_error,
        or_file=True,
        image_folder=images,
    )
    names = source.files("*.idl", "*.al", missing="it holds no .idl and no .al")
    nearby = NearbyImages(source.image_root)
    swapped: list[str] = []
    for name in names:
        if name.endswith(".al") and f"{name.removesuffix('.al')}.idl" in names:
            continue
        split = split_named(*reversed(re.split(r"[^a-z]+", name.casefold())))
        for entry in _annotations(source, name) if name.endswith(".al") else _lines(source, name):
            image = nearby.nearest(path_of_address(entry.address))
            group = image.rpartition("/")[0] or None
            with source.errors.image(image):
                if source.add_image(image, f"{source.root}/{entry.source}", split=split, group=group):
                    for each in entry.rectangles:
                        with source.errors.row(image):
                            swapped += _add_box(source, image, class_name, each, last=int(inclusive))
    nearby.remark(source.errors)
    source.errors.remark("corners put in order", len(swapped), tuple(swapped), kind="box")
    return source.table()


def _lines(source: Source, name: str) -> Iterator[_Entry]:
    """Give the lines of an `.idl`."""
    with source.errors.file():
        for text, where in source.lines(name):
            line, place = _LINE.fullmatch(text), where.removeprefix(f"{source.root}/")
            boxes = list(_BOX.finditer(line[2] or "")) if line else []
            if line is None or _BOX.sub("", line[2] or "").strip(" \t,"):
                image = line[1] if line else None
                error = InputError("IDL_SYNTAX", _SYNTAX, where=where, value=text, remedy="fix or remove the line")
                source.errors.put(error, image=image)
                continue
            rectangles = [_Rectangle(tuple(re.split(r"[\s,]+", box[1])), box[2] or "", place) for box in boxes]
            yield _Entry(line[1], place, rectangles)


def _annotations(source: Source, name: str) -> Iterator[_Entry]:
    """Give the annotations of an `.al`."""
    with source.errors.file():
        for number, each in enumerate(read_xml(source.root, name, "annotationlist").findall("annotation"), start=1):
            place = f"{name}#annotation[{number}]"
            require_once(each, ("image",), f"{source.root}/{place}")
            address = (each.findtext("image/name") or "").strip()
            if not address:
                what, remedy = "it names no image", "name it in <image><name>"
                source.errors.add("IMAGE_NAME", what, where=f"{source.root}/{place}", remedy=remedy)
                continue
            rectangles = []
            for index, box in enumerate(each.findall("annorect"), start=1):
                require_once(box, (*_EDGES, "score"), f"{source.root}/{place}/annorect[{index}]")
                corners = tuple((box.findtext(edge) or "").strip() for edge in _EDGES)
                score = (box.findtext("score") or "").strip()
                rectangles.append(_Rectangle(corners, score, f"{place}/annorect[{index}]"))
            yield _Entry(address, place, rectangles)


def _add_box(source: Source, image: str, label: str, rectangle: _Rectangle, *, last: int) -> list[str]:
    """Add a box; return its place where its corners were swapped."""
    numbers = [parse_number(text) for text in rectangle.corners]
    score = parse_number(rectangle.score) if rectangle.score else _NO_SCORE
    x1, y1, x2, y2 = numbers if len(numbers) == len(_EDGES) else (None,) * 4
    if x1 is None or y1 is None or x2 is None or y2 is None or score is None:
        what, where = "expected four numbers, and one for the score", f"{source.root}/{rectangle.source}"
        value = ", ".join((*rectangle.corners, rectangle.score))
        raise InputError("ROW_NUMBER", what, where=where, field="box", value=value, remedy="fix or remove the box")
    xyxy = min(x1, x2), min(y1, y2), max(x1, x2) + last, max(y1, y2) + last
    attributes = {"score": score} if score != _NO_SCORE else None
    source.add_box(image, label, xyxy, rectangle.source, attributes)
    return [rectangle.source] if x1 > x2 or y1 > y2 else []
