"""What people draw other than upright boxes, and the box around it.

Coordinates are continuous pixels, x to the right and y downwards, so positive angles turn clockwise.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from PIL import Image

from detect_transfer.core.errors import InputError
from detect_transfer.core.images import MAX_PIXELS

Corners = tuple[float, float, float, float]
Point = tuple[float, float]
RECTANGLE, TURNED = "rectangle", "turned rectangle"
PART_OF_GROUP = "an outline of an object whose box or other parts are there"


@dataclass(frozen=True, slots=True)
class Shape:
    """Something drawn in an image.

    Args:
        label: The class; None for a region that is ignored for every class.
        xyxy: The box around it, in our convention.
        source: Where it stands.
        kind: What it is, ``rectangle`` for a plain upright one.
        drawn: What a box alone does not tell of another kind: points, angle.
        attributes: What no column holds.
        columns: Further columns of the table of boxes.
    """

    label: str | None
    xyxy: Corners
    source: str
    kind: str = RECTANGLE
    drawn: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)


def extent(points: Sequence[Point]) -> Corners:
    """Return the box `xyxy` around points, of which there is at least one."""
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def turned_extent(corners: Corners, degrees: float, *, about: Literal["centre", "corner"] = "centre") -> Corners:
    """Return the box `xyxy` around a rectangle that is turned about its centre or its top-left corner."""
    if degrees == 0:
        return corners
    x1, y1, x2, y2 = corners
    px, py = (x1, y1) if about == "corner" else ((x1 + x2) / 2, (y1 + y2) / 2)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    offsets = [(x - px, y - py) for x in (x1, x2) for y in (y1, y2)]
    return extent([(px + dx * cos - dy * sin, py + dx * sin + dy * cos) for dx, dy in offsets])


def ellipse_extent(centre: Point, radii: Point, degrees: float = 0.0) -> Corners:
    """Return the box `xyxy` around an ellipse that is turned about its centre."""
    (x, y), (a, b) = centre, radii
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    half_width, half_height = math.hypot(a * cos, b * sin), math.hypot(a * sin, b * cos)
    return x - half_width, y - half_height, x + half_width, y + half_height


def mask_extent(data: bytes, origin: Point, where: str) -> Corners:
    """Return the box `xyxy` around the pixels of a mask that are set.

    Args:
        data: A PNG whose pixels are set where they are not black, or not transparent where it has transparency.
        origin: The corner of the image, in pixels, where its top-left pixel lies.
        where: For messages.

    Raises:
        InputError: It is no PNG, it is too large, or no pixel is set.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit follows
            with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise ValueError(f"it has {image.width} x {image.height} pixels")
                has_alpha = "A" in image.mode or "transparency" in image.info
                set_pixels = image.convert("RGBA").getchannel("A") if has_alpha else image.convert("RGB")
                bounds = set_pixels.getbbox()
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise InputError(
            "MASK_BROKEN", f"the mask cannot be decoded ({error})", where=where, remedy="draw it again, or remove it"
        ) from error
    if bounds is None:
        raise InputError("MASK_EMPTY", "no pixel of the mask is set", where=where, remedy="draw it again, or remove it")
    left, top, right, bottom = bounds
    return origin[0] + left, origin[1] + top, origin[0] + right, origin[1] + bottom


def objects_of_groups(shapes: Sequence[Shape], key: str) -> tuple[list[Shape], list[str]]:
    """Return an object for each group of one class: its boxes, and one for all outlines that no box of it holds.

    Args:
        shapes: The shapes of an image.
        key: Of the attributes, the one that numbers groups; a shape without it is by itself.

    Returns:
        The objects in order, and the sources of the shapes that are part of another one.
    """
    groups: dict[tuple[str | None, Any], list[Shape]] = {}
    for shape in shapes:
        number, (x1, y1, x2, y2) = shape.attributes.get(key), shape.xyxy
        is_alone = number in (None, "", "0", 0) or not (x1 <= x2 and y1 <= y2)  # what is damaged hides in no group
        groups.setdefault((shape.label, shape.source if is_alone else number), []).append(shape)
    objects: list[Shape] = []
    for group in groups.values():
        boxes = [shape for shape in group if shape.kind in (RECTANGLE, TURNED)]
        outlines = [shape for shape in group if shape.kind not in (RECTANGLE, TURNED)]
        rest = [shape for shape in outlines if not any(_holds(box, shape) for box in boxes)]
        objects += boxes
        if len(rest) > 1:
            corners = extent([point for shape in rest for point in (shape.xyxy[:2], shape.xyxy[2:])])
            rest = [replace(rest[0], xyxy=corners, drawn={"parts": [shape.drawn for shape in rest]})]
        objects += rest
    sources = {shape.source for shape in objects}
    return objects, [shape.source for shape in shapes if shape.source not in sources]


def _holds(box: Shape, part: Shape) -> bool:
    """Tell whether an outline lies in a box, up to the pixel that tools differ by."""
    (x1, y1, x2, y2), (a1, b1, a2, b2) = box.xyxy, part.xyxy
    return x1 - 1 <= a1 and y1 - 1 <= b1 and a2 <= x2 + 1 and b2 <= y2 + 1
