"""One COCO instances file whose annotations do not fit into memory.

Each portion of them is read as those of a small file are, and goes into a Parquet file; only images and classes stay in
memory. The text is gone through once; twice where annotations stand before the images that their faults are of.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import BOX_SCHEMA, frame
from detect_transfer.core.columns import spilt
from detect_transfer.core.opening import open_regular
from detect_transfer.formats.coco.file import (
    InstancesFile,
    checked,
    note_masks,
    of_annotation,
    of_image,
    read_annotations,
)
from detect_transfer.formats.coco.json import ABSENT, Columns, Items
from detect_transfer.formats.coco.lenient import find_foreign
from detect_transfer.formats.coco.lists import read_categories, read_images
from detect_transfer.formats.coco.load import LISTS, check_file_names, check_list, home_of, origin_of
from detect_transfer.formats.coco.portions import PORTION, JsonWalk
from detect_transfer.formats.parsing.box_format import PIXEL_SIZES, BoxFormat
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.garbage import no_collection

_IN_MEMORY = ("images", "categories")


@dataclass(frozen=True)
class ScannedFile(InstancesFile):
    """What one instances file says; its boxes are a query of files that were made for it."""

    boxes: pl.LazyFrame


def scan_file(
    path: Path,
    *,
    source: str,
    spill: Path,
    on_error: str = "fail",
    box_format: BoxFormat = PIXEL_SIZES,
    images: Path | None = None,
) -> ScannedFile:
    """Read one instances file as `read_file` does, strictly, and leave its boxes in files.

    Args:
        path: As for `read_file`.
        source: As for `read_file`.
        spill: A folder for the boxes, which is not there yet; whoever calls removes it once they are not used.
        on_error: As for `read_file`.
        box_format: As for `read_file`.
        images: As for `read_file`.

    Raises:
        InputError: As `coco.read` tells.
        ResourceError: The disk is full or does not let us write.
    """
    spill.mkdir()
    scan = _Scan(path, source, spill, box_format, images or home_of(path), ErrorCollector(on_error))
    with no_collection():
        return scan.run()


class _Scan:
    """What is known of a file so far.

    Args:
        path: The file.
        source: Its name in the `source` column.
        spill: The folder for its boxes.
        box_format: What the numbers of the boxes are.
        folder: Where its images are looked for.
        errors: Gets the faults.
    """

    def __init__(
        self, path: Path, source: str, spill: Path, box_format: BoxFormat, folder: Path, errors: ErrorCollector
    ) -> None:
        self.path = path
        self.source = source
        self.spill = spill
        self.box_format = box_format
        self.folder = folder
        self.errors = errors
        self.frames: dict[str, pl.DataFrame] = {}  # images and categories
        self.of = of_annotation(pl.DataFrame(), "fail")
        self.info: Any = None
        self.parts: list[pl.LazyFrame] = []
        self.bad: set[int] = set()
        self.n_masks = 0

    def run(self) -> ScannedFile:
        """Go through the file."""
        missing = self._walk({*LISTS})
        if "annotations" in missing:
            missing = self._walk({"annotations"})
        faults = ErrorCollector()
        for name in LISTS:
            if name in missing:
                check_list(ABSENT, self._where(name), faults)
        faults.raise_any()
        if not self.parts:
            self._take([], 0)
        images, categories = (self.frames[name] for name in _IN_MEMORY)
        columns = Columns([], self._where("annotations"), self.errors, self.of)
        columns.bad |= self.bad
        boxes = checked(columns, pl.concat(self.parts), images, categories)
        note_masks(self.errors, self.n_masks)
        return ScannedFile(
            *(self.path, images.drop("row"), boxes.lazy(), categories.drop("row"), self.errors, bool(self.n_masks)),
            *origin_of(self.info),
        )

    def _walk(self, wanted: set[str]) -> set[str]:
        """Take the lists that are wanted, and return those that could not be."""
        left = {*wanted}
        with io.read_errors(self.path), open_regular(self.path) as stream:
            walk = JsonWalk(stream, self.path, portion=PORTION)
            for key in walk.steps():
                if not walk.is_list():
                    value = walk.value(key)
                    if key in wanted:
                        self._check_list(key, value)
                    self.info = value if key == "info" else self.info
                elif key in wanted and self._read(walk, key):
                    left.remove(key)
                elif key not in wanted:
                    for _ in walk.items(key):
                        pass
        return left

    def _read(self, walk: JsonWalk, key: str) -> bool:
        """Read a list; return False for annotations that have to wait for their images."""
        waits = key == "annotations" and self.errors.on_error != "fail" and "images" not in self.frames
        kept: Items = []
        for first, items in walk.items(key):
            self._check_list(key, items, first)
            if key in _IN_MEMORY:
                kept += items
            elif not waits:
                self._take(items, first)
        if key == "images":
            check_file_names(self.path, kept)
            find_foreign(kept, self.errors, self.folder)
            self.frames[key] = read_images(Columns(kept, self._where(key), self.errors, of_image))
            self.of = of_annotation(self.frames[key], self.errors.on_error)
        elif key == "categories":
            self.frames[key] = read_categories(Columns(kept, self._where(key), self.errors))
        return not waits

    def _take(self, items: Items, first: int) -> None:
        """Write the boxes of a portion of the annotations into a file."""
        columns = Columns(items, self._where("annotations"), self.errors, self.of, first=first)
        rows, n_masks = read_annotations(columns, self.source, self.box_format)
        self.bad |= columns.bad
        self.n_masks += n_masks
        self.parts.append(spilt(frame(rows, BOX_SCHEMA), self.spill / f"{len(self.parts):06}.parquet"))

    def _check_list(self, name: str, value: Any, first: int = 0) -> None:
        """Refuse at once what is no list of objects, as nothing can be said of it."""
        faults = ErrorCollector()
        check_list(value, self._where(name), faults, first=first)
        faults.raise_any()

    def _where(self, name: str) -> str:
        return f"{self.path}#/{name}"
