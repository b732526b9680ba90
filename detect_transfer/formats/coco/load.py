"""Loading a COCO instances file.

JSON is parsed once by orjson, which refuses NaN and numbers that overflow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detect_transfer.core import io
from detect_transfer.core.errors import InputError
from detect_transfer.formats.coco.json import ABSENT, Items, kind_of
from detect_transfer.formats.parsing.error_collector import ErrorCollector

NAMES_OF_FILE = ("im_name", "filename", "image_name")  # keys that are taken for `file_name` when asked
LISTS = ("images", "annotations", "categories")
WRITTEN_BY_US = "written by detect_transfer"
_OWN_FOLDER = re.compile(r"images/([^/\\]*[^/\\.][^/\\]*)")  # of a split
_REMEDY = 'give a COCO instances file: {"images": [...], "annotations": [...], "categories": [...]}'


def home_of(path: Path) -> Path:
    """Return the folder of the data set that a file belongs to."""
    return path.parent.parent if path.parent.name in ("annotations", "json") else path.parent


@dataclass(frozen=True)
class Document:
    """An instances file as it stands.

    Args:
        lists: Its three lists, of objects.
        is_ours: Whether our writer wrote it.
        below: Where it did: what its file names lack to be relative to ``images/``, such as ``val/``.
    """

    lists: dict[str, Items]
    is_ours: bool
    below: str = ""


def load(path: Path, *, lenient: bool = False) -> Document:
    """Read an instances file and check that its three lists are lists of objects.

    Args:
        path: The file.
        lenient: As for `coco.read`.

    Raises:
        InputError: It is missing, is no JSON, lacks a list, holds something else, has a key twice, or names all images
            by another key.
    """
    document = io.read_json(path)
    if not isinstance(document, dict):
        raise _not_an_object(path, document)
    errors = ErrorCollector()
    for name in LISTS:
        check_list(document.get(name, ABSENT), f"{path}#/{name}", errors)
    errors.raise_any()
    if not lenient:
        check_file_names(path, document["images"])
    return Document({name: document[name] for name in LISTS}, *origin_of(document.get("info")))


def not_an_object(path: Path, data: bytes) -> InputError:
    """Return the error of a file that begins otherwise than an object; it may be no JSON at all."""
    try:
        return _not_an_object(path, [] if data.startswith(b"[") else io.parse_json(data, path))
    except InputError as error:
        return error


def _not_an_object(path: Path, value: Any) -> InputError:
    what = f"found {kind_of(value)}, expected an object"
    return InputError("COCO_TYPE", what, where=f"{path}#/", remedy=_REMEDY)


def origin_of(stated: Any) -> tuple[bool, str]:
    """Return whether our writer wrote a file, by its `info`, and what its file names then lack; see `Document`."""
    info = stated if isinstance(stated, dict) else {}
    is_ours = info.get("description") == WRITTEN_BY_US
    folder = _OWN_FOLDER.fullmatch(str(info.get("images"))) if is_ours else None
    return is_ours, "" if folder is None else f"{folder[1]}/"


def check_list(value: Any, where: str, errors: ErrorCollector, *, first: int = 0) -> None:
    """Check that a value is a list of objects, or a portion of one from the index `first` on."""
    if not isinstance(value, list):
        code = "COCO_KEY" if value is ABSENT else "COCO_TYPE"
        errors.add(code, f"found {kind_of(value)}, expected a list of objects", where=where, remedy=_REMEDY)
    elif not set(map(type, value)) <= {dict}:
        for index, item in enumerate(value, start=first):
            if type(item) is not dict:
                what = f"found {kind_of(item)}, expected an object"
                errors.add("COCO_TYPE", what, where=f"{where}/{index}", remedy=_REMEDY)


def check_file_names(path: Path, images: Items) -> None:
    """Refuse a file that names all images by another key, with what reads it.

    Raises:
        InputError: It does.
    """
    other = next((key for key in NAMES_OF_FILE if images and all(key in image for image in images)), None)
    if other is not None and not any("file_name" in image for image in images):
        # the files of the evaluation of CityPersons and its kin
        kin = "; CityPersons: give its folder as the format citypersons" if other == "im_name" else ""
        raise InputError(
            "COCO_KEY",
            f"no image has `file_name`, all have `{other}`",
            where=f"{path}#/images",
            field="file_name",
            remedy=f"read it with --option lenient=true, which takes {other} for it{kin}",
        )
