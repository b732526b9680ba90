"""Reading the images of a table, those that are frames of a video among them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.arrays import RgbArray
from detect_transfer.core.errors import DetectTransferError
from detect_transfer.core.images import read_rgb
from detect_transfer.core.intake import FOR_PEOPLE
from detect_transfer.core.io import safe_join
from detect_transfer.core.video import frames_at, parse_frame_name
from detect_transfer.report.text import short_name


def read_image(root: Path, file_name: str) -> RgbArray:
    """Read one image by its name; a frame of a video is found by decoding up to it.

    Raises:
        InputError: It is missing or damaged, or its name leads out of the folder.
    """
    frame = parse_frame_name(file_name)
    if frame is None:
        return read_rgb(safe_join(root, file_name, links=True), intake=FOR_PEOPLE)
    return next(frames_at(safe_join(root, frame[0], links=True), [frame[1]]))[1]


class ImageReader:
    """Reads the images of a table by id, and remembers why one cannot be read; the last one is in memory."""

    def __init__(self, table: AnnotationTable, root: Path) -> None:
        self.file_names = dict(table.images.select("image_id", "file_name").iter_rows())
        self.unread: dict[int, str] = {}
        self._root = root
        self._last: tuple[int, RgbArray] | None = None

    def read(self, image_id: int) -> RgbArray | None:
        """Return the image (H, W, 3), or None when it cannot be read."""
        if image_id in self.unread:
            return None
        if self._last is None or self._last[0] != image_id:
            try:
                self._last = image_id, read_image(self._root, self.file_names[image_id])
            except DetectTransferError as error:  # a page without one image is better than no page
                self.unread[image_id] = short_name(error, longest=200)
                return None
        return self._last[1]


def read_all(images: pl.DataFrame, root: Path) -> Iterator[tuple[int, RgbArray]]:
    """Give image_id and image in order of the rows; frames of a video that follow each other are decoded once.

    Raises:
        InputError: As for `read_image`.
    """
    rows = [(i, name, parse_frame_name(name)) for i, name in images.select("image_id", "file_name").iter_rows()]
    start = 0
    while start < len(rows):
        image_id, name, frame = rows[start]
        if frame is None:
            yield image_id, read_image(root, name)
            start += 1
            continue
        end = start + 1
        while end < len(rows) and _follows(rows[end - 1][2], rows[end][2]):
            end += 1
        ids = {number: i for i, _, (_, number) in _frames(rows[start:end])}
        for number, image in frames_at(safe_join(root, frame[0], links=True), ids):
            yield ids[number], image
        start = end


_Row = tuple[int, str, tuple[str, int] | None]


def _frames(rows: list[_Row]) -> Iterator[tuple[int, str, tuple[str, int]]]:
    for image_id, name, frame in rows:
        if frame is not None:
            yield image_id, name, frame


def _follows(before: tuple[str, int] | None, after: tuple[str, int] | None) -> bool:
    """Tell whether a frame comes later in the same video."""
    return before is not None and after is not None and before[0] == after[0] and before[1] < after[1]
