"""LabelMe files that hold their image as `imageData`: the images as files, beside copies of the annotations."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from detect_transfer.core.disk import resource_errors
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import parse_json, read_bytes, safe_join, write_atomic
from detect_transfer.formats.unpacking.image_folder import image_facts


def holds_image(document: Any) -> bool:
    """Tell whether a JSON document is of LabelMe and holds its image."""
    return isinstance(document, dict) and "shapes" in document and isinstance(document.get("imageData"), str)


def unpack(root: Path, names: list[str], out: Path) -> tuple[int, int]:
    """Write the image of each file beside its annotations, which then name it.

    Returns:
        The number of images and of shapes.

    Raises:
        InputError: `imageData` is no image.
    """
    n_shapes = 0
    for name in names:
        document = parse_json(read_bytes(root / name), root / name)
        where = f"{root / name}#/imageData"
        try:
            data = base64.b64decode(document["imageData"], validate=True)
        except (binascii.Error, ValueError) as error:
            remedy = "save the file in LabelMe again"
            raise InputError("IMAGE_TYPE", f"it is no base64 ({error})", where=where, remedy=remedy) from error
        image = PurePosixPath(name).with_suffix(image_facts(data, where)[0])
        path = safe_join(out, image.as_posix())
        with resource_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        plain = {**document, "imagePath": image.name, "imageData": None}
        write_atomic(safe_join(out, name), orjson.dumps(plain, option=orjson.OPT_INDENT_2))
        n_shapes += len(document["shapes"])
    return len(names), n_shapes
