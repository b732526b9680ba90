"""One Pascal VOC XML file as plain rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.numbers import parse_number
from detect_transfer.formats.parsing.shapes import Corners, extent, turned_extent
from detect_transfer.formats.parsing.xml import read_xml, require_once

DATABASE = "VOC by detect_transfer"  # what our writer signs with
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_TURNED = ("cx", "cy", "w", "h", "angle")
_KNOWN = {"name", "pose", "truncated", "occluded", "difficult", "bndbox", "part", "attributes"}
_ONCE = {  # by the element that holds them
    "annotation": {"filename", "size"},
    "size": {"width", "height"},
    "object": {"name", "pose", "truncated", "occluded", "difficult"},
    "bndbox": set(_CORNERS),
}
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
    """One file.

    Args:
        where: Its path.
        size_wh: The size that it states, None where it states none.
        filename: The image that it names.
        maker: ``ours``, ``voc``, ``supervision`` or ``tool`` where it tells who wrote it.
        objects: Its objects.
    """

    where: str = ""
    size_wh: tuple[int, int] | None = None
    filename: str = ""
    maker: str = ""
    objects: list[VocObject] = field(default_factory=list)


def read_file(root: Path, name: str, image: str, errors: ErrorCollector, *, sized: bool = False) -> VocFile:
    """Read the file `name` below `root`; faults go to `errors`, with the file and the number of the object.

    Args:
        root: The folder of the data set.
        name: The file, relative to `root`.
        image: What the image is called in `errors`.
        errors: Where faults go.
        sized: Whether the last two numbers of a box are its size.
    """
    path, file, faults = root / name, VocFile(str(root / name)), ErrorCollector()
    with errors.image(image):
        tree = read_xml(root, name, "annotation")
        _require_once(tree, str(path))
        file.filename, file.maker = _text(tree, "filename"), _maker(tree)
        for number, element in enumerate(tree.findall("object"), start=1):
            pointer = f"#object[{number}]"
            box = _object(element, f"{path}{pointer}", f"{name}{pointer}", faults, sized=sized)
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
    _require_once(size, f"{path}#size")
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


def _maker(tree: Element) -> str:
    """Return who wrote a file, ``ours``, ``voc``, ``supervision`` or ``tool``, empty where nothing tells."""
    database = (tree.findtext("source/database") or "").strip().casefold()
    # supervision signs as Roboflow does, which names no folder but a path
    if "roboflow" in database and _text(tree, "folder") == "VOC" and not _text(tree, "path"):
        return "supervision"
    if database == DATABASE.casefold():
        return "ours"
    if "voc" in database:
        return "voc"
    is_tool = database == "unknown" or "roboflow" in database or _text(tree, "owner/name") == "Label Studio"
    return "tool" if is_tool or _text(tree, "path") else ""


def _object(element: Element, where: str, source: str, errors: ErrorCollector, *, sized: bool) -> VocObject | None:
    """Return the object, or None after reporting what is wrong with it."""
    before = errors.total
    _report_twice(element, where, errors)
    name = _text(element, "name")
    if not name:
        errors.add("OBJECT_NAME", "the object has no <name>", where=where, remedy=_REMEDY)
    attributes = _attributes(element, where, errors)
    corners = _drawn(element, where, errors, attributes, sized=sized)
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
    if errors.total > before or corners is None:
        return None
    return VocObject(name, corners, truncated, occluded, difficult == 1.0, attributes, source)


def _drawn(
    element: Element, where: str, errors: ErrorCollector, attributes: dict[str, Any], *, sized: bool
) -> Corners | None:
    """Return the corners of an object: its <bndbox>, else the extent of its polygon or turned box.

    What was drawn otherwise than an upright box goes to `attributes` as `drawn`.
    """
    is_other = element.find("bndbox") is None
    polygon, turned = (element.find("polygon"), element.find("robndbox")) if is_other else (None, None)
    if polygon is not None or turned is not None:
        attributes.pop("polygon", None), attributes.pop("robndbox", None)
        if turned is not None:
            texts = [_text(turned, tag) for tag in _TURNED]
        else:
            texts = [each.text or "" for each in polygon.iter() if not len(each)]  # type: ignore[union-attr]
        numbers = [number for text in texts if (number := parse_number(text.strip())) is not None]
        if turned is not None and len(numbers) == len(texts) == len(_TURNED):
            cx, cy, width, height, angle = numbers
            attributes["drawn"] = {"shape": "rectangle", "rotation": math.degrees(angle)}
            upright = (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)
            return turned_extent(upright, math.degrees(angle))
        if turned is None and len(numbers) == len(texts) >= 6 and len(numbers) % 2 == 0:
            points = list(zip(numbers[::2], numbers[1::2], strict=True))
            attributes["drawn"] = {"shape": "polygon", "points": points}
            return extent(points)
        what = "the object has no <bndbox>, and its shape has no points of two numbers"
        errors.add("OBJECT_BOX", what, where=where, remedy=_REMEDY)
        return None
    corners = _corners(element, where, errors, sized=sized)
    if corners is None or sized or "rotation" not in attributes:
        return corners
    rotation = parse_number(str(attributes["rotation"]))  # CVAT states the box as it was before
    if not rotation or rotation % 360 == 0:
        return corners
    attributes["drawn"] = {"shape": "rectangle", "rotation": rotation, "xyxy": corners}
    del attributes["rotation"]
    return turned_extent(corners, rotation)


def _corners(element: Element, where: str, errors: ErrorCollector, *, sized: bool = False) -> Corners | None:
    """Return the corners of the direct child <bndbox>; parts have boxes of their own."""
    boxes = element.findall("bndbox")
    if len(boxes) != 1:
        what = f"the object has {len(boxes)} <bndbox> of its own, expected one"
        errors.add("OBJECT_BOX", what, where=where, remedy=_REMEDY)
        return None
    if _report_twice(boxes[0], where, errors):
        return None
    corners = []
    texts = {child.tag: child.text for child in boxes[0]}
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
    if min(x2, y2) < 0 if sized else (x2 < x1 or y2 < y1):
        what = "a size must not be negative" if sized else "xmax must be >= xmin and ymax >= ymin"
        errors.add("BOX_INVALID", what, where=where, field="bndbox", value=(x1, y1, x2, y2), remedy=_REMEDY)
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
        if child.tag == "attributes":  # of CVAT
            values |= {_text(each, "name"): _text(each, "value") for each in child if _text(each, "name")}
        elif child.tag not in _KNOWN:
            inside = {grandchild.tag: (grandchild.text or "").strip() for grandchild in child}
            values[child.tag] = inside or (child.text or "").strip()
    return values


def _report_twice(element: Element, where: str, errors: ErrorCollector) -> bool:
    """Report a tag that stands twice; tell whether one does."""
    try:
        _require_once(element, where)
    except InputError as error:
        errors.put(error)
        return True
    return False


def _require_once(element: Element, where: str) -> None:
    require_once(element, _ONCE[element.tag], where)


def _text(element: Element, tag: str) -> str:
    return (element.findtext(tag) or "").strip()
