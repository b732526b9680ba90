"""TFRecord files of the TensorFlow Object Detection API or of Waymo, read without TensorFlow.

A file is a row of records, each framed by its length and two checksums; a record is a `tf.train.Example`, a map from
names to lists of bytes, floats or integers in the wire format of protocol buffers, or a frame of Waymo.

Source: https://www.tensorflow.org/tutorials/load_data/tfrecord
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from detect_transfer.core.errors import InputError
from detect_transfer.core.io import read_text
from detect_transfer.core.opening import open_regular
from detect_transfer.formats.unpacking import waymo
from detect_transfer.formats.unpacking.crc32c import masked_crc32c
from detect_transfer.formats.unpacking.image_folder import ImageFolder, image_facts, split_of_file
from detect_transfer.formats.unpacking.wire import as_bytes, fields, signed, varint

SUFFIXES = (".tfrecord", ".tfrecords", ".record", ".records")
_MOST_BYTES = 1 << 30  # of a record
_ITEM = re.compile(r"item\s*\{(.*?)\}", re.DOTALL)
_ID, _NAME = re.compile(r"\bid\s*:\s*(\d+)"), re.compile(r"\b(?:name|display_name)\s*:\s*(['\"])(.*?)\1")
_EDGES = ("xmin", "ymin", "xmax", "ymax")
_CLASS_TEXT, _CLASS_NUMBER = "image/object/class/text", "image/object/class/label"
_WORDS: dict[type, str] = {bytes: "bytes", int: "whole numbers", float: "finite numbers"}
_NOT_FINITE = ("nan", "inf", "-inf")
_FLAGS = {"difficult": "difficult", "is_crowd": "iscrowd", "truncated": "truncated"}
_DAMAGED = "the file is cut short or damaged: copy it again"
Features = dict[str, list[Any]]


def is_tfrecord(name: str) -> bool:
    """Tell whether a file is called as such files are, such as ``train.record-00000-of-00010``."""
    return name.lower().endswith(SUFFIXES) or re.search(r"\.(tf)?records?-\d+-of-\d+$", name.lower()) is not None


def unpack(root: Path, names: list[str], out: ImageFolder) -> None:
    """Bring out the images and the objects of records.

    Args:
        root: The folder of the files, and of the label map (.pbtxt) where the records have no names of classes.
        names: The files below it.
        out: Where they go.

    Raises:
        InputError: A file is damaged, a record has no image or no box, or a class has no name.
    """
    classes = _label_map(root)
    for name in names:
        path = root / name
        split = split_of_file(path, root)
        for number, data in enumerate(records(path), start=1):
            where = f"{path}:{number}"
            try:
                if waymo.is_frame(data):
                    waymo.add_frame(data, out, split, where)
                    continue
                features = parse_example(data)
            except (IndexError, ValueError, struct.error) as error:
                what = "the record is no tf.train.Example, and no frame of Waymo"
                raise InputError("TFRECORD", what, where=where, remedy=_DAMAGED) from error
            _add_example(features, classes, out, split, where)
    if not out.n_images and out.n_unlabelled:
        what, remedy = "no image in it is labelled, as in test sets", "give the files of the training or validation set"
        raise InputError("IMAGES_NONE", what, where=root, remedy=remedy)
    out.close(None)


def _add_example(features: Features, classes: dict[int, str], out: ImageFolder, split: str, where: str) -> None:
    """Bring out the image and the objects of a `tf.train.Example`."""
    encoded = _values(features, "image/encoded", bytes, where)[:1]
    if not encoded or not encoded[0]:
        what, remedy = "the record has no image/encoded", "give records of the Object Detection API"
        raise InputError("TFRECORD", what, where=where, remedy=remedy)
    row = {"objects": _objects(features, image_facts(encoded[0], where)[1], classes, where)}
    out.add(encoded[0], _text(features, "image/filename"), row, split=split, where=where)


def records(path: Path) -> Iterator[bytes]:
    """Give the records of a file.

    Raises:
        InputError: It ends within a record, or a checksum is not that of what is there; one of zero is none.
    """
    with open_regular(path) as stream:
        number = 0
        while head := stream.read(12):
            number += 1
            length = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else _MOST_BYTES
            data = stream.read(length + 4) if length < _MOST_BYTES else b""
            if len(data) < length + 4:
                what = "it ends within a record, or is no TFRecord"
                raise InputError("TFRECORD", what, where=path, remedy=_DAMAGED)
            for part, stated in ((head[:8], head[8:]), (data[:-4], data[-4:])):
                _check_sum(part, stated, f"{path}:{number}")
            yield data[:-4]


def _check_sum(data: bytes, stated: bytes, where: str) -> None:
    if any(stated) and masked_crc32c(data) != struct.unpack("<I", stated)[0]:
        what = "its checksum is not that of what is there: a part was changed or lost on the way"
        raise InputError("TFRECORD", what, where=where, remedy=_DAMAGED)


def parse_example(data: bytes) -> Features:
    """Return the features of a `tf.train.Example` by name.

    Raises:
        ValueError: It is none.
        IndexError: It ends too early.
    """
    features: Features = {}
    for _, value in (field for field in fields(data) if field[0] == 1):
        for _, entry in (field for field in fields(as_bytes(value)) if field[0] == 1):
            parts = dict(fields(as_bytes(entry)))
            features[as_bytes(parts.get(1, b"")).decode()] = _list(as_bytes(parts.get(2, b"")))
    return features


def _list(data: bytes) -> list[Any]:
    """Return what a `Feature` holds: bytes (1), floats (2) or integers (3)."""
    values: list[Any] = []
    for kind, inner in fields(data):
        for _, value in (field for field in fields(as_bytes(inner)) if field[0] == 1):
            if kind == 1:
                values.append(as_bytes(value))
            elif kind == 2:
                packed = as_bytes(value)
                values += struct.unpack(f"<{len(packed) // 4}f", packed)
            elif isinstance(value, int):
                values.append(signed(value))
            else:
                at = 0
                while at < len(value):
                    number, at = varint(value, at)
                    values.append(signed(number))
    return values


def _objects(features: Features, size_wh: tuple[int, int], classes: dict[int, str], where: str) -> dict[str, list[Any]]:
    """Return the objects of a record as lists of one length, boxes as x, y, width, height in pixels."""
    edges = [_values(features, f"image/object/bbox/{edge}", float, where) for edge in _EDGES]
    names = [_decoded(value, where) for value in _values(features, _CLASS_TEXT, bytes, where)]
    if not names:
        numbers = _values(features, _CLASS_NUMBER, int, where)
        unknown = sorted(set(numbers) - classes.keys())
        if unknown:
            what = f"no name is known of the class {unknown[0]}"
            remedy = "put the label map (.pbtxt) beside the records"
            raise InputError("CLASS_UNKNOWN", what, where=where, field=_CLASS_NUMBER, remedy=remedy)
        names = [classes[number] for number in numbers]
    if len({len(names), *map(len, edges)}) > 1:
        what = f"{len(names)} classes and {', '.join(f'{len(e)} {k}' for k, e in zip(_EDGES, edges, strict=True))}"
        raise InputError("TFRECORD", f"an object has one of each; found {what}", where=where, remedy=_DAMAGED)
    width, height = size_wh
    boxes = [
        [x1 * width, y1 * height, (x2 - x1) * width, (y2 - y1) * height] for x1, y1, x2, y2 in zip(*edges, strict=True)
    ]
    objects: dict[str, list[Any]] = {"bbox": boxes, "category": names}
    for key, column in _FLAGS.items():
        flags = _values(features, f"image/object/{key}", int, where)
        if flags and len(flags) != len(names):
            what = f"{len(flags)} values for {len(names)} objects"
            raise InputError("TFRECORD", what, where=where, field=f"image/object/{key}", remedy=_DAMAGED)
        if any(flags):
            objects[column] = [bool(flag) for flag in flags]
    return objects


def _values(features: Features, key: str, kind: type, where: str) -> list[Any]:
    """Return the values of a feature, which are all of a kind; numbers are finite."""
    values = features.get(key, [])
    for value in values:
        if type(value) is not kind or str(value) in _NOT_FINITE:
            what = f"{_WORDS[kind]} were expected"
            raise InputError("TFRECORD", what, where=where, field=key, value=value, remedy=_DAMAGED)
    return values


def _decoded(text: bytes, where: str) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        what = "the name of a class is no UTF-8"
        raise InputError("TFRECORD", what, where=where, field=_CLASS_TEXT, value=text, remedy=_DAMAGED) from error


def _text(features: Features, key: str) -> str | None:
    values = features.get(key, [])
    return values[0].decode(errors="replace") if values and isinstance(values[0], bytes) else None


def _label_map(root: Path) -> dict[int, str]:
    """Return the names of classes by number that the label maps of a folder tell."""
    names: dict[int, str] = {}
    for path in sorted(root.rglob("*.pbtxt")):
        for item in _ITEM.findall(read_text(path)):
            number, name = _ID.search(item), _NAME.search(item)
            if number and name:
                names[int(number[1])] = name[2]
    return names
