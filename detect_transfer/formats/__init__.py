"""The readers of native annotation formats: each module has one `read(root, *, ...) -> AnnotationTable`.

A reader marks and never drops: everything in the native files is in the table, or reading ends with an error that names
the place. Boxes become `xyxy` by the constant convention of the format; they are not clipped, merged or removed here.
To add a format: a module, a line in `READERS`, a folder in `datasets/`. Imports ranks 0 to 1.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from detect_transfer.errors import InputError, did_you_mean
from detect_transfer.formats import coco, data_folder, gtsdb, pascal_v1, voc, yolo
from detect_transfer.table import AnnotationTable


@dataclass(frozen=True)
class Format:
    """A native format.

    Args:
        read: Its reader: the folder or file, then options by keyword.
        summary: What it is, in a line.
    """

    read: Callable[..., AnnotationTable]
    summary: str

    @property
    def options(self) -> dict[str, Any]:
        """The options of the reader with their defaults."""
        parameters = inspect.signature(self.read).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


READERS: dict[str, Format] = {
    "coco": Format(coco.read, "COCO instances JSON, one file or annotations/instances_<split>.json"),
    "data_folder": Format(data_folder.read, "a data folder that convert wrote"),
    "gtsdb": Format(gtsdb.read, "German Traffic Sign Detection Benchmark: scenes beside gt.txt"),
    "pascal_v1": Format(pascal_v1.read, "PASCAL Annotation Version 1.00 texts: Penn-Fudan, INRIA Person"),
    "voc": Format(voc.read, "Pascal VOC XML: Annotations/ with JPEGImages/, or annotations/ with images/"),
    "yolo": Format(yolo.read, "YOLO label files listed by a data.yaml"),
}


def reader(name: str) -> Format:
    """Return the format of that name.

    Raises:
        InputError: There is none.
    """
    if name not in READERS:
        raise InputError(
            "FORMAT_UNKNOWN",
            "no reader has this name",
            field="format",
            value=name,
            remedy=did_you_mean(name, list(READERS)),
        )
    return READERS[name]
