"""Which format the content of a file shows: the keys of JSON, the first element of XML, the header of CSV, labels."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from detect_transfer.core.errors import DetectTransferError
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.core.io import list_files, read_bytes
from detect_transfer.core.opening import open_regular
from detect_transfer.formats.tools.csv_boxes import images_of_head
from detect_transfer.formats.tools.openimages import is_head

MOST_HEAD = 10_000  # bytes of a text file that are looked into
_MOST_BYTES = 256 * 2**20  # of a JSON file that is looked into
_ROOT = re.compile(rb"<\s*([A-Za-z]\w*)")  # the first element of an XML file
_MOST_BESIDE = 50  # images beside which a label is looked for
_YOLO_ROW = re.compile(rb"[0-9]+(?:\.0+)?(?:[ \t]+[-+.eE0-9]+){4,}")
_ROOTS = {b"annotation": "voc", b"annotations": "cvat"}


@dataclass(frozen=True)
class Recognition:
    """A format and what shows it, in words."""

    format: str
    evidence: str


def by_content(path: Path, name: str) -> Recognition | None:
    """Return the format that the content of a file shows."""
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _by_keys(path, name)
    if suffix not in (".xml", ".csv") or not path.is_file():
        return None
    try:
        with open_regular(path) as stream:
            head = stream.read(MOST_HEAD)
    except OSError:
        return None
    if suffix == ".csv" and is_head(head.partition(b"\n")[0]):
        return Recognition("openimages", f"{name} has its header")
    if suffix == ".csv":
        return _csv(path, name, head.decode("utf-8-sig", "replace").rpartition("\n")[0])
    root = _ROOT.search(head)
    kind = _ROOTS.get(root[1]) if root else None
    return Recognition(kind, f"the element of {name} is <{root[1].decode()}>") if root and kind else None


def _csv(path: Path, name: str, head: str) -> Recognition | None:
    """Return what a CSV file is whose rows name images that are there, or that has none beside it."""
    stems = images_of_head(head)
    if stems is None:
        return None
    there = {PurePosixPath(image).stem for image in list_files(path.parent, IMAGE_SUFFIXES)}
    return Recognition("csv", f"{name} has a header of boxes") if not there or there & {*stems} else None


def labels_beside_images(folder: Path) -> Recognition | None:
    """Return YOLO where texts of an image's stem beside it hold rows of a class number and a box."""
    images = [path for path in sorted(folder.glob("*.*")) if path.suffix.lower() in IMAGE_SUFFIXES]
    for image in images[:_MOST_BESIDE]:
        text = image.with_suffix(".txt")
        if text.is_file():
            with open_regular(text) as stream:
                lines = stream.read(MOST_HEAD).split(b"\n")
            line = next((line.strip() for line in lines if line.strip()), b"")
            if _YOLO_ROW.fullmatch(line):
                return Recognition("yolo", f"{text.name} beside {image.name} holds class numbers and boxes")
    return None


def _by_keys(path: Path, name: str) -> Recognition | None:
    """Return the format that the keys of a JSON file are of."""
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return None
        document = orjson.loads(read_bytes(path).removeprefix(b"\xef\xbb\xbf"))
    except (OSError, DetectTransferError, orjson.JSONDecodeError):
        return None
    first = document
    if isinstance(document, list):
        first = next((each for each in document if isinstance(each, dict)), {})
    elif isinstance(document, dict) and document and all(isinstance(each, dict) for each in document.values()):
        first = {**next(iter(document.values())), **document}  # an object of objects, as VIA writes it
    if not isinstance(first, dict):
        return None
    for format_name, keys, is_list in _KEYS:
        if isinstance(document, list) == is_list and keys(first):
            return Recognition(format_name, f"{name} has its keys")
    return None


def _has(*names: str) -> Callable[[dict[str, Any]], bool]:
    return lambda document: set(names) <= document.keys()


_KEYS: tuple[tuple[str, Callable[[dict[str, Any]], bool], bool], ...] = (
    ("coco", _has("images", "annotations", "categories"), False),
    ("datumaro", _has("items", "categories"), False),
    ("yolo", lambda document: {"categories", "info"} == document.keys(), False),  # notes.json of Label Studio
    ("labelme", _has("shapes", "imagePath"), False),
    ("via", _has("_via_img_metadata"), False),
    ("via", _has("project", "metadata", "view"), False),
    ("via", _has("filename", "regions"), False),
    ("darwin", _has("item", "annotations"), False),
    ("createml", _has("image", "annotations"), True),
    ("createml", _has("imagefilename", "annotation"), True),
    ("label_studio", _has("data", "annotations"), True),
    ("label_studio", _has("annotator", "annotation_id"), True),  # JSON-MIN
    ("bdd100k", _has("name", "labels"), True),
)
