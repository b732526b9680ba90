"""One text of PASCAL Annotation Version 1.00 as plain rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.numbers import parse_integer
from detect_transfer.formats.parsing.shapes import Corners

_VERSION = re.compile(r"#\s*(?:Compatible with )?PASCAL Annotation Version 1\.00\s*")
_HEADERS = {
    'Image filename : "..."': re.compile(r'Image filename\s*:\s*"([^"]*)"\s*'),
    "Image size (X x Y x C) : W x H x C": re.compile(
        r"Image size \(X x Y x C\)\s*:\s*([0-9]{1,7}) x ([0-9]{1,7}) x [0-9]{1,3}\s*"
    ),
    "Objects with ground truth : N": re.compile(r"Objects with ground truth\s*:\s*([0-9]{1,7})\b.*"),
    "# Top left pixel co-ordinates : (x, y)": re.compile(
        r"#\s*Top left pixel co-ordinates\s*:\s*\((\S+?),\s*(\S+?)\)\s*"
    ),
}
_OF_OBJECT = r'object ([0-9]{1,7}) "([^"]*)" '
_PAIR = r"\(([^,()]*),\s*([^,()]*)\)"
_BOX = re.compile(rf"Bounding box for {_OF_OBJECT}\(Xmin, Ymin\) - \(Xmax, Ymax\)\s*:\s*{_PAIR}\s*-\s*{_PAIR}\s*")
_LABEL = re.compile(rf'Original label for {_OF_OBJECT}\s*:\s*"([^"]*)"\s*')
_MASK = re.compile(rf'Pixel mask for {_OF_OBJECT}\s*:\s*"([^"]*)"\s*')
_CENTRE = re.compile(rf"Center point on {_OF_OBJECT}\(X, Y\)\s*:\s*{_PAIR}\s*")
_STRICT = ("Bounding box", "Original label", "Center point")  # lines that begin so must be whole


@dataclass
class PascalObject:
    """One object: its corners in our convention, the line of its box and what else is stated."""

    xyxy: Corners
    line: int
    attributes: dict[str, Any]


@dataclass
class PascalText:
    """One text: its name, the image it names and on which line, the size it states, its objects and its mask."""

    name: str
    image: str
    image_line: int
    size_wh: tuple[int, int]
    objects: dict[int, PascalObject] = field(default_factory=dict)
    mask: str | None = None


def read_pascal_text(root: Path, name: str, errors: ErrorCollector) -> PascalText | None:
    """Read the text `name` below `root`; None where it cannot be read.

    Faults go to `errors` with their lines: of a row, or of the image that stands under the name of the text.
    """
    try:
        return _read(root / name, name, native.read_bytes(root, root / name), errors)
    except InputError as error:
        errors.put(error, image=name)
        return None


def _read(path: Path, name: str, data: bytes, errors: ErrorCollector) -> PascalText | None:
    lines = _lines(data, path)
    headers: list[tuple[int, re.Match[str]]] = []
    for expected, pattern in _HEADERS.items():
        with errors.image(name):
            headers.append(_header(lines, pattern, expected, path))
    if len(headers) < len(_HEADERS):
        return None
    (image_line, image), (_, size), (count_line, count), (origin_line, origin) = headers
    if origin.groups() not in (("0", "0"), ("1", "1")):
        raise _error(path, origin_line, "the top left pixel must be (0, 0) or (1, 1)", value=origin.group(0))
    text = PascalText(name, image[1], image_line, (int(size[1]), int(size[2])))
    _read_objects(lines, text, int(origin[1]), path, errors)
    boxes = sum(line.strip().startswith("Bounding box") for line in lines)
    if int(count[1]) != boxes:
        what = f"found {boxes} bounding boxes, this line states {int(count[1])}"
        errors.put(_error(path, count_line, what, code="PASCAL_COUNT"), image=name)
    return text


def _lines(data: bytes, path: Path) -> list[str]:
    """Return the lines of a text of this version."""
    if b"\0" in data:
        raise InputError("TEXT_ENCODING", "it holds NUL bytes", where=path, remedy="save the file as text")
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        lines = native.lines_of(data.decode())
    except UnicodeDecodeError:
        lines = native.lines_of(data.decode("latin-1"))  # INRIA's texts are older than UTF-8
    if not lines or not _VERSION.fullmatch(lines[0]):
        what = "the first line must be '# PASCAL Annotation Version 1.00'"
        raise InputError("PASCAL_VERSION", what, where=f"{path}:1", remedy="this is another format: move it away")
    return lines


def _header(lines: Sequence[str], pattern: re.Pattern[str], expected: str, path: Path) -> tuple[int, re.Match[str]]:
    """Return the one line that is of this pattern, with its number."""
    matches = [(n, m) for n, line in enumerate(lines, start=1) if (m := pattern.fullmatch(line.strip()))]
    if len(matches) != 1:
        line = matches[1][0] if matches else len(lines)
        raise _error(path, line, f"found {len(matches)} lines '{expected}', expected one")
    return matches[0]


def _read_objects(lines: Sequence[str], text: PascalText, first: int, path: Path, errors: ErrorCollector) -> None:
    """Put the objects and the mask into the text; pixels count from `first`. Lines of other things are left alone."""
    stated: dict[int, dict[str, Any]] = {}  # of objects, whose boxes may come later
    for number, line in enumerate(map(str.strip, lines), start=1):
        with errors.row(text.name) if line.startswith("Bounding box") else errors.image(text.name):
            if match := _BOX.fullmatch(line):
                if int(match[1]) in text.objects:
                    raise _error(path, number, f"object {match[1]} has a second box", code="ID_DUPLICATE")
                xyxy = _corners(match, first, path, number)
                text.objects[int(match[1])] = PascalObject(xyxy, number, {"label": match[2]})
            elif match := _LABEL.fullmatch(line):
                stated.setdefault(int(match[1]), {})["original_label"] = match[3]
            elif match := _MASK.fullmatch(line):
                text.mask = match[3]
            elif match := _CENTRE.fullmatch(line):
                point = _integers(match, path, number, "expected a point of two integers")
                stated.setdefault(int(match[1]), {})["centre"] = [value - first for value in point]
            elif line.startswith(_STRICT):
                raise _error(path, number, "the line is not as the format has it", value=line)
    for number, person in text.objects.items():
        person.attributes.update(stated.get(number, {}))


def _corners(match: re.Match[str], first: int, path: Path, line: int) -> Corners:
    """Return the box of a line; its last pixel is included, and the first pixel is number `first`."""
    x1, y1, x2, y2 = _integers(match, path, line, "expected four integers")
    if x2 < x1 or y2 < y1:
        what = "Xmax must be >= Xmin and Ymax >= Ymin"
        raise _error(path, line, what, code="BOX_INVALID", value=match.group(0))
    return x1 - first, y1 - first, x2 - first + 1, y2 - first + 1


def _integers(match: re.Match[str], path: Path, line: int, what: str) -> list[int]:
    numbers = [parse_integer(text.strip()) for text in match.groups()[2:]]
    if None in numbers:
        raise _error(path, line, what, value=match.group(0))
    return [number for number in numbers if number is not None]


def _error(path: Path, line: int, what: str, *, code: str = "PASCAL_LINE", value: str | None = None) -> InputError:
    remedy = "fix the line, or remove the file with its image"
    shown: dict[str, Any] = {} if value is None else {"field": "line", "value": value}
    return InputError(code, what, where=f"{path}:{line}", remedy=remedy, **shown)
