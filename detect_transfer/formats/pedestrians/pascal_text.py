"""One text of PASCAL Annotation Version 1.00 as plain rows."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.numbers import parse_integer

_VERSION = re.compile(r"#\s*(?:Compatible with )?PASCAL Annotation Version 1\.00\s*")
_IMAGE = re.compile(r'Image filename\s*:\s*"([^"]*)"\s*')
_SIZE = re.compile(r"Image size \(X x Y x C\)\s*:\s*([0-9]{1,7}) x ([0-9]{1,7}) x [0-9]{1,3}\s*")
_COUNT = re.compile(r"Objects with ground truth\s*:\s*([0-9]{1,7})\b.*")
_ORIGIN = re.compile(r"#\s*Top left pixel co-ordinates\s*:\s*\((\S+?),\s*(\S+?)\)\s*")
_OF_OBJECT = r'object ([0-9]{1,7}) "([^"]*)" '
_PAIR = r"\(([^,()]*),\s*([^,()]*)\)"
_BOX = re.compile(rf"Bounding box for {_OF_OBJECT}\(Xmin, Ymin\) - \(Xmax, Ymax\)\s*:\s*{_PAIR}\s*-\s*{_PAIR}\s*")
_LABEL = re.compile(rf'Original label for {_OF_OBJECT}\s*:\s*"([^"]*)"\s*')
_MASK = re.compile(rf'Pixel mask for {_OF_OBJECT}\s*:\s*"([^"]*)"\s*')
_CENTRE = re.compile(rf"Center point on {_OF_OBJECT}\(X, Y\)\s*:\s*{_PAIR}\s*")
_REMEDY = "fix the line, or remove the file with its image"


@dataclass
class PascalObject:
    """One object: its corners in our convention, what else is told, and the line of its box."""

    xyxy: tuple[float, float, float, float]
    line: int
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass
class PascalFile:
    """One text: the image it names, the size it states, its objects by number, and the mask where it names one."""

    image: str
    size_wh: tuple[int, int]
    image_line: int
    objects: dict[int, PascalObject]
    mask: str | None = None


def read_file(root: Path, name: str, problems: ErrorCollector) -> PascalFile | None:
    """Read the text `name` below `root`; None where it cannot be read.

    Faults go to `problems` with their lines; they are of a row, or of the image that `name` stands for.
    """
    path = root / name
    try:
        data = native.read_bytes(root, path)
    except InputError as error:
        problems.put(error, image=name)
        return None
    if b"\0" in data:
        problems.add("TEXT_ENCODING", "it holds NUL bytes", where=path, remedy="save the file as text", image=name)
        return None
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # INRIA's texts are older than UTF-8
    lines = native.lines_of(text)
    if not lines or not _VERSION.fullmatch(lines[0]):
        problems.add(
            *("PASCAL_VERSION", "the first line must be '# PASCAL Annotation Version 1.00'"),
            where=f"{path}:1",
            remedy="this is another format: move it away",
            image=name,
        )
        return None
    return _Text(path, name, lines, problems).read()


class _Text:
    """The lines of one file; `read` makes them into a `PascalFile`."""

    def __init__(self, path: Path, name: str, lines: list[str], problems: ErrorCollector) -> None:
        self.path = path
        self.name = name
        self.lines = lines
        self.problems = problems
        self.objects: dict[int, PascalObject] = {}
        self.further: dict[int, dict[str, Any]] = {}
        self.n_boxes = 0  # with those at fault
        self.mask: str | None = None

    def read(self) -> PascalFile | None:
        image = self.header(_IMAGE, 'Image filename : "..."')
        size = self.header(_SIZE, "Image size (X x Y x C) : W x H x C")
        count = self.header(_COUNT, "Objects with ground truth : N")
        origin = self.header(_ORIGIN, "# Top left pixel co-ordinates : (x, y)")
        if image is None or size is None or count is None or origin is None:
            return None
        if origin[1].groups() not in (("0", "0"), ("1", "1")):
            self.report(origin[0], "the top left pixel must be (0, 0) or (1, 1)", value=origin[1].group(0))
            return None
        for number, line in enumerate(self.lines, start=1):
            self.line(number, line, first=int(origin[1][1]))
        stated = int(count[1][1])
        if stated != self.n_boxes:
            what = f"found {self.n_boxes} bounding boxes, this line states {stated}"
            self.report(count[0], what, code="PASCAL_COUNT")
        for number, attributes in self.further.items():
            if number in self.objects:
                self.objects[number].attributes.update(attributes)
        return PascalFile(image[1][1], (int(size[1][1]), int(size[1][2])), image[0], self.objects, self.mask)

    def header(self, pattern: re.Pattern[str], expected: str) -> tuple[int, re.Match[str]] | None:
        """Return the one line that says this, with its number."""
        found = [(n, m) for n, line in enumerate(self.lines, start=1) if (m := pattern.fullmatch(line.strip()))]
        if len(found) == 1:
            return found[0]
        self.report(found[1][0] if found else len(self.lines), f"found {len(found)} lines '{expected}', expected one")
        return None

    def line(self, number: int, line: str, *, first: int) -> None:
        """Take in one line; those that tell nothing of an object are left alone."""
        text = line.strip()
        self.n_boxes += text.startswith("Bounding box")
        if match := _BOX.fullmatch(text):
            self.box(number, match, first=first)
        elif match := _LABEL.fullmatch(text):
            self.further.setdefault(int(match[1]), {})["original_label"] = match[3]
        elif match := _MASK.fullmatch(text):
            self.mask = match[3]
        elif match := _CENTRE.fullmatch(text):
            point = [parse_integer(match[3].strip()), parse_integer(match[4].strip())]
            if None in point:
                self.report(number, "expected a point of two integers", value=text)
                return
            self.further.setdefault(int(match[1]), {})["centre"] = [(v or 0) - first for v in point]
        elif text.startswith(("Bounding box", "Original label", "Center point")):
            row = text.startswith("Bounding box")
            self.report(number, "the line is not as the format has it", value=text, row=row)

    def box(self, number: int, match: re.Match[str], *, first: int) -> None:
        """Take in a box; the last pixel is included, and the first is 0 or 1 as the header says."""
        corners = [parse_integer(text.strip()) for text in match.groups()[2:]]
        x1, y1, x2, y2 = (0 if v is None else v for v in corners)
        if None in corners:
            self.report(number, "expected four integers", value=match.group(0), row=True)
        elif x2 < x1 or y2 < y1:
            what = "Xmax must be >= Xmin and Ymax >= Ymin"
            self.report(number, what, code="BOX_INVALID", value=match.group(0), row=True)
        elif int(match[1]) in self.objects:
            self.report(number, f"object {match[1]} has a second box", code="ID_DUPLICATE", row=True)
        else:
            xyxy = (x1 - first, y1 - first, x2 - first + 1, y2 - first + 1)
            self.objects[int(match[1])] = PascalObject(xyxy, number, {"label": match[2]})

    def report(
        self, line: int, what: str, *, code: str = "PASCAL_LINE", value: str | None = None, row: bool = False
    ) -> None:
        """Report a fault of a row, or else of the whole text."""
        found = {} if value is None else {"field": "line", "value": value}
        of = {"row_of" if row else "image": self.name}
        self.problems.add(code, what, where=f"{self.path}:{line}", remedy=_REMEDY, **of, **found)
