"""Frames of the Waymo Open Dataset (perception, version 1): the images of five cameras and their boxes.

A box of an image is its centre and, as length and width, its extent in x and y, in pixels from 0. Boxes of the laser
that were projected into images are no annotations of them and stay out.

Source: https://github.com/waymo-research/waymo-open-dataset, dataset.proto and label.proto.
"""

from __future__ import annotations

import math
import struct
from typing import Any

from detect_transfer.formats.unpacking.image_folder import ImageFolder
from detect_transfer.formats.unpacking.wire import as_bytes, fields

_CAMERAS = {1: "FRONT", 2: "FRONT_LEFT", 3: "FRONT_RIGHT", 4: "SIDE_LEFT", 5: "SIDE_RIGHT"}
_CLASSES = {1: "vehicle", 2: "pedestrian", 3: "sign", 4: "cyclist"}
_CONTEXT, _TIME, _IMAGES, _LABELS = 1, 2, 4, 8  # fields of a frame
_X, _Y, _WIDTH, _LENGTH = 1, 2, 4, 5  # fields of a box
_HARD = 2  # the second level of difficulty, which the evaluation of level 1 leaves aside

Values = dict[int, list[int | bytes]]


def is_frame(data: bytes) -> bool:
    """Tell whether a record has the time and the images of a frame.

    Raises:
        ValueError: It is no message.
        IndexError: It ends too early.
    """
    values = _values(data)
    return isinstance(values.get(_TIME, [b""])[0], int) and isinstance(values.get(_IMAGES, [0])[0], bytes)


def add_frame(data: bytes, out: ImageFolder, split: str, where: str) -> None:
    """Bring out the images of a frame that are labelled; the others are counted.

    The segment that the frame is of becomes the `group`, the level of difficulty an attribute.

    Args:
        data: The record.
        out: Where the images go.
        split: The split of the file.
        where: Its place, for messages.

    Raises:
        ValueError: It is no frame.
        IndexError: It ends too early.
        InputError: An image is none.
    """
    frame = _values(data)
    context = _values(as_bytes(frame.get(_CONTEXT, [b""])[0]))
    segment = as_bytes(context.get(1, [b""])[0]).decode(errors="replace") or "segment"
    labels = [_values(as_bytes(value)) for value in frame.get(_LABELS, [])]
    labels_of = {each.get(1, [0])[0]: each.get(2, []) for each in labels}
    for image in (_values(as_bytes(value)) for value in frame[_IMAGES]):
        camera = image.get(1, [0])[0]
        if camera not in labels_of:
            out.n_unlabelled += 1
            continue
        side = _CAMERAS.get(camera, str(camera)) if isinstance(camera, int) else "camera"
        name = f"{segment}_{frame[_TIME][0]!s}_{side}.jpg"
        row = {"objects": _objects([as_bytes(label) for label in labels_of[camera]]), "group": segment}
        out.add(as_bytes(image.get(2, [b""])[0]), name, row, split=split, where=where)


def _objects(labels: list[bytes]) -> dict[str, list[Any]]:
    """Return the objects as lists of one length, boxes as x, y, width, height in pixels."""
    objects: dict[str, list[Any]] = {"bbox": [], "category": [], "track_id": [], "difficulty": []}
    for label in map(_values, labels):
        box = _values(as_bytes(label.get(1, [b""])[0]))
        x, y, length, width = (_double(box, key) for key in (_X, _Y, _LENGTH, _WIDTH))
        kind, level = label.get(3, [0])[0], label.get(5, [0])[0]
        objects["bbox"].append([x - length / 2, y - width / 2, length, width])
        objects["category"].append(_CLASSES.get(kind, "unknown") if isinstance(kind, int) else "unknown")
        objects["track_id"].append(as_bytes(label.get(4, [b""])[0]).decode(errors="replace") or None)
        objects["difficulty"].append("LEVEL_2" if level == _HARD else None)
    return objects


def _double(values: Values, key: int) -> float:
    """Return a number of 64 bits; an absent one is 0.

    Raises:
        ValueError: It is not finite.
    """
    number: float = struct.unpack("<d", as_bytes(values.get(key, [bytes(8)])[0]))[0]
    if not math.isfinite(number):
        raise ValueError("a number is not finite")
    return number


def _values(data: bytes) -> Values:
    """Return the values of a message by the numbers of its fields."""
    values: Values = {}
    for number, value in fields(data):
        values.setdefault(number, []).append(value)
    return values
