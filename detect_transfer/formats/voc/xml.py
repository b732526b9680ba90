"""One Pascal VOC XML file as plain rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.numbers import parse_number
from detect_transfer.formats.parsing.xml import read_xml

Corners = tuple[float, float, float, float]

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_KNOWN = {"name", "pose", "truncated", "occluded", "difficult", "bndbox", "part"}
_UNSTATED = {"", "unspecified"}
_FLAGS = {"": None, "0": 0.0, "1": 1.0}  # what nearly all files say, without a look at the syntax of numbers
_REMEDY = "fix the object or remove it"


@dataclass(frozen=True)
class VocObject:
    """One annotated object; `corners` and the corners of its parts are the numbers of the file."""

    name: str
    corners: Corners
    truncated: float | None
    occluded: float | None
    difficult: bool
    attributes: dict[str, Any]
    source: str


@dataclass
class VocFile:
    """One file: its objects, the image it names, and the size it states, None where it states none."""

    size_wh: tuple[int, int] | None = None
    filename: str = ""
    objects: list[VocObject] = field(default_factory=list)


def read_file(root: Path, name: str, image: str, errors: ErrorCollector) -> VocFile:
    """Read the file `name` below `root`; faults go to `errors`, with the file and the number of the object.

    Args:
        root: The folder of the data set.
        name: The file, relative to `root`.
        image: What the image is called in `errors`.
        errors: Where faults go.
    """
    path, file, faults = root / name, VocFile(), ErrorCollector()
    with errors.image(image):
        tree = read_xml(root, name, "annotation")
        file.filename = _text(tree, "filename")
        for number, element in enumerate(tree.findall("object"), start=1):
            pointer = f"#object[{number}]"
            box = _object(element, f"{path}{pointer}", f"{name}{pointer}", faults)
            if box is not None:
                file.objects.append(box)
                continue
            # an object that is left out is counted once, however many faults it has
            for error in faults.shown if errors.on_error == "fail" else faults.shown[:1]:
                errors.put(error, row_of=image)
            faults = ErrorCollector()
        file.size_wh = _stated_size(tree, path)
    return file


def _stated_size(tree: Element, path: Path) -> tuple[int, int] | None:
    """Return (width, height) as stated; some tools write 0 x 0 or nothing, which states none.

    Raises:
        InputError: They are no numbers of pixels.
    """
    size = tree.find("size")
    if size is None:
        return None
    sides = []
    for tag in ("width", "height"):
        text = _text(size, tag)
        number = parse_number(text) if text else 0.0
        if number is None or not 0 <= number < 2**31 or number != int(number):
            raise InputError(
                "XML_NUMBER",
                "expected a whole number of pixels",
                where=f"{path}#size",
                field=tag,
                value=text,
                remedy="write the size of the image",
            )
        sides.append(int(number))
    return (sides[0], sides[1]) if any(sides) else None


def _object(element: Element, where: str, source: str, errors: ErrorCollector) -> VocObject | None:
    """Return the object, or None after reporting what is wrong with it."""
    before = errors.total
    name = _text(element, "name")
    if not name:
        errors.add("OBJECT_NAME", "the object has no <name>", where=where, remedy=_REMEDY)
    corners = _corners(element, where, errors)
    truncated = _share(element, "truncated", where, errors)
    occluded = _share(element, "occluded", where, errors)
    difficult = _share(element, "difficult", where, errors)
    if difficult not in (None, 0.0, 1.0):
        errors.add(
            *("XML_NUMBER", "expected 0 or 1"),
            where=where,
            field="difficult",
            value=_text(element, "difficult"),
            remedy=_REMEDY,
        )
    attributes = _attributes(element, where, errors)
    if errors.total > before or corners is None:
        return None
    return VocObject(name, corners, truncated, occluded, difficult == 1.0, attributes, source)


def _corners(element: Element, where: str, errors: ErrorCollector) -> Corners | None:
    """Return the corners of the direct child <bndbox>; parts have boxes of their own."""
    boxes = element.findall("bndbox")
    if len(boxes) != 1:
        what = f"the object has {len(boxes)} <bndbox> of its own, expected one"
        errors.add("OBJECT_BOX", what, where=where, remedy=_REMEDY)
        return None
    corners = []
    texts = {child.tag: child.text for child in boxes[0][::-1]}  # of a tag that stands twice the first one
    for tag in _CORNERS:
        text = (texts.get(tag) or "").strip()
        number = parse_number(text)
        if number is None:
            what = "expected a number" if text else f"the box has no <{tag}>"
            errors.add("XML_NUMBER", what, where=where, field=tag, value=text, remedy=_REMEDY)
        else:
            corners.append(number)
    if len(corners) < len(_CORNERS):
        return None
    x1, y1, x2, y2 = corners
    if x2 < x1 or y2 < y1:
        errors.add(
            *("BOX_INVALID", "xmax must be >= xmin and ymax >= ymin"),
            where=where,
            field="bndbox",
            value=(x1, y1, x2, y2),
            remedy=_REMEDY,
        )
        return None
    return x1, y1, x2, y2


def _share(element: Element, tag: str, where: str, errors: ErrorCollector) -> float | None:
    """Return a flag or share in [0, 1]; None where the file does not tell."""
    text = _text(element, tag)
    if text in _FLAGS:
        return _FLAGS[text]
    if text.lower() in _UNSTATED:
        return None
    number = parse_number(text)
    if number is None or not 0 <= number <= 1:
        errors.add("XML_NUMBER", "expected 0 or 1", where=where, field=tag, value=text, remedy=_REMEDY)
        return None
    return number


def _attributes(element: Element, where: str, errors: ErrorCollector) -> dict[str, Any]:
    """Return what the columns do not hold: the pose, the parts and the tags of other tools."""
    values: dict[str, Any] = {}
    pose = _text(element, "pose")
    if pose.lower() not in _UNSTATED:
        values["pose"] = pose
    parts = []
    for number, part in enumerate(element.findall("part"), start=1):
        corners = _corners(part, f"{where}/part[{number}]", errors)
        if corners is not None:
            parts.append({"name": _text(part, "name"), "xyxy": corners})
    if parts:
        values["parts"] = parts
    for child in element:
        if child.tag not in _KNOWN:
            inside = {grandchild.tag: (grandchild.text or "").strip() for grandchild in child}
            values[child.tag] = inside or (child.text or "").strip()
    return values


def _text(element: Element, tag: str) -> str:
    return (element.findtext(tag) or "").strip()
