"""The imagefolder that is unpacked into: image files with `metadata.jsonl`, which the reader `hf_imagefolder` reads."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import orjson
from PIL import Image, UnidentifiedImageError

from detect_transfer.core.disk import resource_errors
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import safe_join, write_atomic
from detect_transfer.formats.parsing.locations import split_named

_SUFFIXES = {
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "PNG": ".png",
    "BMP": ".bmp",
    "GIF": ".gif",
    "TIFF": ".tif",
    "WEBP": ".webp",
}
_WORD = re.compile(r"[-_.]")
_PLAIN = re.compile(r"[^\w .-]")


class ImageFolder:
    """Writes images and rows of objects, a folder for each split.

    Args:
        root: The folder to fill.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.n_images = self.n_objects = 0
        self.n_unlabelled = 0  # images that stay where they are, since nobody labelled them
        self._rows: dict[str, list[bytes]] = {}
        self._names: set[str] = set()

    def add(self, data: bytes, name: str | None, row: dict[str, Any], *, split: str, where: str) -> None:
        """Write an image and keep its row.

        Args:
            data: The file of the image, as it was packed.
            name: What it was called, if that is known.
            row: `objects` as lists of one length, and what else is said of it, but for a `file_name` of its own.
            split: The folder that it goes to.
            where: Its place, for messages.

        Raises:
            InputError: It is no image, or what is said of it can be no JSON.
        """
        suffix, _ = image_facts(data, where)
        stem = _PLAIN.sub("_", PurePosixPath((name or "").replace("\\", "/")).stem).strip(". ")
        if not stem or f"{split}/{stem}{suffix}" in self._names:
            stem = f"{stem or 'image'}_{self.n_images:06d}"
        self._names.add(f"{split}/{stem}{suffix}")
        path = safe_join(self.root, f"{split}/{stem}{suffix}")
        try:
            line = orjson.dumps({**row, "file_name": path.name}) + b"\n"
        except orjson.JSONEncodeError as error:
            what, remedy = f"what is said of the image can be no JSON: {error}", "write texts and numbers"
            raise InputError("TABLE_TYPE", what, where=where, remedy=remedy) from error
        with resource_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        self.n_images += 1
        self.n_objects += max((len(v) for v in row.get("objects", {}).values() if isinstance(v, list)), default=0)
        self._rows.setdefault(split, []).append(line)

    def close(self, classes: Sequence[str] | None) -> None:
        """Write the rows, and the names of the classes where objects have numbers."""
        for split, rows in self._rows.items():
            write_atomic(self.root / split / "metadata.jsonl", b"".join(rows))
        if classes:
            names = json.dumps(list(classes), ensure_ascii=False)
            head = "dataset_info:\n  features:\n  - name: category\n    dtype:\n      class_label:\n        names: "
            write_atomic(self.root / "README.md", f"---\n{head}{names}\n---\n")


def image_facts(data: bytes, where: str) -> tuple[str, tuple[int, int]]:
    """Return the suffix for the file of an image, and its width and height in pixels.

    Raises:
        InputError: It is no image that is read here.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.format in _SUFFIXES:
                return _SUFFIXES[image.format], image.size
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        pass
    what, remedy = "its bytes are of no image that is read here", "write the image as JPEG or PNG there"
    raise InputError("IMAGE_TYPE", what, where=where, remedy=remedy)


def split_of_file(path: Path, root: Path) -> str:
    """Return the split that the name of a file or of its folders tells, `train` where none does."""
    words = [word for part in reversed(path.relative_to(root).parts) for word in _WORD.split(part)]
    return split_named(*words) or "train"
