"""Loading a COCO instances file.

JSON is parsed once by orjson, which refuses NaN and numbers that overflow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from detect_transfer.core import io
from detect_transfer.core.errors import InputError
from detect_transfer.formats.coco.json import ABSENT, Items, kind_of
from detect_transfer.formats.parsing.error_collector import ErrorCollector

NAMES_OF_FILE = ("im_name", "filename", "image_name")  # keys that are taken for `file_name` when asked
LISTS = ("images", "annotations", "categories")
WRITTEN_BY_US = "written by detect_transfer"
_REMEDY = 'give a COCO instances file: {"images": [...], "annotations": [...], "categories": [...]}'


def home_of(path: Path) -> Path:
    """Return the folder of the data set that a file belongs to."""
    return path.parent.parent if path.parent.name == "annotations" else path.parent


def load(path: Path, *, lenient: bool = False) -> tuple[dict[str, Items], bool]:
    """Read an instances file and check that its three lists are lists of objects; tell whether our writer wrote it.

    Args:
        path: The file.
        lenient: As for `coco.read`.

    Raises:
        InputError: It is missing, is no JSON, lacks a list, holds something else, has a key twice, or names all images
            by another key.
    """
    document = io.read_json(path)
    if not isinstance(document, dict):
        raise InputError(
            "COCO_TYPE", f"found {kind_of(document)}, expected an object", where=f"{path}#/", remedy=_REMEDY
        )
    errors = ErrorCollector()
    for name in LISTS:
        _check_list(document.get(name, ABSENT), f"{path}#/{name}", errors)
    errors.raise_any()
    if not lenient:
        _check_file_names(path, document["images"])
    is_ours = document.get("info") == {"description": WRITTEN_BY_US}
    return {name: document[name] for name in LISTS}, is_ours


def _check_list(value: Any, where: str, errors: ErrorCollector) -> None:
    if not isinstance(value, list):
        code = "COCO_KEY" if value is ABSENT else "COCO_TYPE"
        errors.add(code, f"found {kind_of(value)}, expected a list of objects", where=where, remedy=_REMEDY)
    elif not set(map(type, value)) <= {dict}:
        for index, item in enumerate(value):
            if type(item) is not dict:
                what = f"found {kind_of(item)}, expected an object"
                errors.add("COCO_TYPE", what, where=f"{where}/{index}", remedy=_REMEDY)


def _check_file_names(path: Path, images: Items) -> None:
    """Refuse a file that names all images by another key, with what reads it."""
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
