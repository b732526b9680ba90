"""Reading the images of a table, those that are frames of a video among them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from detect_transfer.core.arrays import RgbArray
from detect_transfer.core.images import read_rgb
from detect_transfer.core.io import safe_join
from detect_transfer.core.video import frames_at, parse_frame_name


def read_image(root: Path, file_name: str) -> RgbArray:
    """Read one image by its name; a frame of a video is found by decoding up to it.

    Raises:
        InputError: It is missing or damaged, or its name leads out of the folder.
    """
    frame = parse_frame_name(file_name)
    if frame is None:
        return read_rgb(safe_join(root, file_name, links=True))
    return next(frames_at(safe_join(root, frame[0], links=True), [frame[1]]))[1]


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
