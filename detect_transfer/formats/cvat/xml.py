"""The XML of CVAT 1.1, of images and of videos.

Corners are continuous pixels counted from 0, which is our own convention. The getters raise an `InputError` that names
the place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree.ElementTree import Element

from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing.frames import MOST_FRAMES
from detect_transfer.formats.parsing.locations import split_named
from detect_transfer.formats.parsing.masks import rows_extent
from detect_transfer.formats.parsing.numbers import parse_integer, parse_number
from detect_transfer.formats.parsing.shapes import Corners, ellipse_extent, extent, turned_extent

SHAPES = ("box", "polygon", "polyline", "points", "mask", "ellipse", "cuboid", "skeleton")
_CORNERS = ("xtl", "ytl", "xbr", "ybr")
_REMEDY = "fix the shape or remove it"
_CUBOID = tuple((f"x{corner}{face}", f"y{corner}{face}") for face in "12" for corner in ("tl", "bl", "tr", "br"))


def number(element: Element, key: str, where: str) -> float:
    """Return the number in an attribute of an element.

    Raises:
        InputError: It is not there, or no number.
    """
    text = element.get(key)
    value = None if text is None else parse_number(text)
    if value is None:
        what = "there is no such attribute, expected a number" if text is None else "expected a number"
        raise InputError("XML_NUMBER", what, where=where, field=key, value=text, remedy=_REMEDY)
    return value


def whole(element: Element, key: str, where: str) -> int:
    """Return the integer, not negative, in an attribute of an element.

    Raises:
        InputError: It is none.
    """
    text = element.get(key, "")
    value = parse_integer(text.strip())
    if value is None or value < 0:
        what = "expected an integer from 0"
        raise InputError("XML_NUMBER", what, where=where, field=key, value=text, remedy=_REMEDY)
    return value


def flag(element: Element, key: str, where: str) -> bool:
    """Return 0 or 1 in an attribute of an element; nothing means 0.

    Raises:
        InputError: It is neither.
    """
    text = element.get(key, "0").strip()
    if text not in ("0", "1"):
        raise InputError("XML_NUMBER", "expected 0 or 1", where=where, field=key, value=text, remedy=_REMEDY)
    return text == "1"


def label(element: Element, where: str) -> str:
    """Return the label of a shape, a track or a tag.

    Raises:
        InputError: There is none.
    """
    text = element.get("label", "").strip()
    if not text:
        raise InputError("OBJECT_NAME", "it has no label", where=where, remedy=_REMEDY)
    return text


def corners(element: Element, where: str) -> Corners:
    """Return the corners of a <box> as drawn, not turned.

    Raises:
        InputError: They are the wrong way round, or one is no number.
    """
    x1, y1, x2, y2 = (number(element, key, where) for key in _CORNERS)
    if x2 < x1 or y2 < y1:
        what = "xbr must be >= xtl and ybr >= ytl"
        raise InputError("BOX_INVALID", what, where=where, field="box", value=(x1, y1, x2, y2), remedy=_REMEDY)
    return x1, y1, x2, y2


def outline(element: Element, where: str) -> tuple[str, Corners, dict[str, Any]]:
    """Return what a shape is, the box `xyxy` around it, and what the box does not tell."""
    kind = element.tag
    if kind == "box":
        plain = corners(element, where)
        turned = number(element, "rotation", where) if "rotation" in element.attrib else 0.0
        if turned == 0:
            return "rectangle", plain, {}
        return "turned rectangle", turned_extent(plain, turned), {"box": plain, "rotation": turned}
    if kind == "mask":
        left, top, width, height = (number(element, key, where) for key in ("left", "top", "width", "height"))
        runs = [parse_integer(text.strip()) for text in element.get("rle", "").split(",")]
        lengths = [run for run in runs if run is not None]
        # CVAT states the rectangle of the pixels, Datumaro that of the whole image
        tight = rows_extent(lengths, int(width), int(height)) if len(lengths) == len(runs) else None
        x1, y1, x2, y2 = tight or (0.0, 0.0, width, height)
        return kind, (left + x1, top + y1, left + x2, top + y2), {}
    if kind == "ellipse":
        turned = number(element, "rotation", where) if "rotation" in element.attrib else 0.0
        cx, cy, rx, ry = (number(element, key, where) for key in ("cx", "cy", "rx", "ry"))
        drawn = {"centre": (cx, cy), "radii": (rx, ry), "rotation": turned}
        return kind, ellipse_extent((cx, cy), (rx, ry), turned), drawn
    points = _points(element, where)
    return kind, extent(points), {"points": points}


def _points(element: Element, where: str) -> list[tuple[float, float]]:
    """Return the points of a shape that is made of points, of which there is at least one."""
    if element.tag == "cuboid":
        return [(number(element, x, where), number(element, y, where)) for x, y in _CUBOID]
    if element.tag == "skeleton":
        parts = [part for part in element.findall("points") if part.get("outside", "0") != "1"]
        points = [point for part in parts for point in _points(part, where)]
    else:
        texts = element.get("points", "").split(";")
        pairs = [[parse_number(part.strip()) for part in text.split(",")] for text in texts]
        points = [(x, y) for x, y in _pairs(pairs) if x is not None and y is not None]
        if len(points) < len(texts):
            what = "expected points as x,y;x,y"
            value = element.get("points")
            raise InputError("XML_NUMBER", what, where=where, field="points", value=value, remedy=_REMEDY)
    if not points:
        raise InputError("SHAPE_EMPTY", "it has no points", where=where, remedy=_REMEDY)
    return points


def _pairs(values: Sequence[Sequence[float | None]]) -> Iterator[tuple[float | None, float | None]]:
    return ((value[0], value[1]) for value in values if len(value) == 2)


def attributes(element: Element, own_keys: frozenset[str]) -> dict[str, Any]:
    """Return the attributes that people gave to a shape, and what the tool says of it beside `own_keys`."""
    values: dict[str, Any] = {key: value for key, value in element.attrib.items() if key not in own_keys}
    for child in element:  # quicker than to look for them by a path
        if child.tag == "attribute":
            values[child.get("name", "")] = (child.text or "").strip()
    return values


def task(tree: Element) -> Element | None:
    """Return what the file says of its task or job."""
    element = tree.find("meta/task")
    return tree.find("meta/job") if element is None else element


def text_of(element: Element | None, path: str) -> str:
    """Return the text of a descendant, stripped; empty where there is none."""
    return "" if element is None else (element.findtext(path) or "").strip()


def size_wh(tree: Element, where: str) -> tuple[int, int] | None:
    """Return the size of the frames of a video, where the file tells it.

    Raises:
        InputError: One is not there, or is none.
    """
    size = tree.find("meta//original_size")
    if size is None:
        return None
    width, height = _whole_text(size, "width", where), _whole_text(size, "height", where)
    if not (width and height and max(width, height) < 2**31):
        what = "width and height must be at least 1"
        raise InputError("IMAGE_SIZE", what, where=where, field="original_size", value=(width, height), remedy=_REMEDY)
    return width, height


def frame_numbers(tree: Element, where: str) -> range:
    """Return the numbers of the frames that were there to be annotated, empty where the file does not tell.

    Raises:
        InputError: They are no integers, or more than a video can have.
    """
    about = task(tree)
    start, stop = _whole_text(about, "start_frame", where), _whole_text(about, "stop_frame", where)
    count = _whole_text(about, "size", where) or 0
    step = _whole_text(about, "frame_filter", where, prefix="step=") or 1
    numbers = range(start, stop + 1, step) if start is not None and stop is not None else range(count)
    if len(numbers) > MOST_FRAMES:
        what = f"{len(numbers):,} frames, at most {MOST_FRAMES:,} are read"
        raise InputError("VIDEO_LENGTH", what, where=where, field="size", remedy="fix what <meta> says of the task")
    return numbers


def _whole_text(element: Element | None, path: str, where: str, *, prefix: str = "") -> int | None:
    """Return the integer, not negative, that is the text of a descendant; None where there is none."""
    text = text_of(element, path).removeprefix(prefix)
    value = parse_integer(text)
    if text and (value is None or value < 0):
        what = "expected an integer from 0"
        raise InputError("XML_NUMBER", what, where=where, field=path, value=text, remedy="fix what <meta> says")
    return value


def subset_split(subset: str) -> str | None:
    """Return the split that a subset is: ``Train`` -> ``train``; None for ``default``, which is none."""
    return split_named(subset) or (None if subset.casefold() in ("", "default") else subset)
