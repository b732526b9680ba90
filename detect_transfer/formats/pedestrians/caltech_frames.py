"""The frames of the Caltech videos: their numbers, and the images or videos that hold them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import polars as pl

from detect_transfer.core import io
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.pedestrians.persons import ROW_SCHEMA

SIZE_WH = (640, 480)
MOST_FRAMES = 1_000_000
SCHEMA: dict[str, type[pl.DataType]] = {
    **ROW_SCHEMA,
    "label": pl.String,
    "ign": pl.Boolean,
    "track_id": pl.String,
    "attributes": pl.String,
}
_FRAME = re.compile(r"(?:.*[/_])?(set[0-9]{2})[/_](V[0-9]{3})(?:\.seq)?[/_]I?([0-9]{1,6})(?:\.\w+)+")
_VIDEO = re.compile(r"(?:.*/)?(set[0-9]{2})[/_](V[0-9]{3})\.\w+")
_TEST_SETS = ("set06", "set07", "set08", "set09", "set10")


@dataclass(frozen=True)
class Video:
    """A video, as `set06` and `V000`."""

    folder: str
    name: str

    def __str__(self) -> str:
        """Return it as in a path: ``set06/V000``."""
        return f"{self.folder}/{self.name}"


def frame_in(path: str) -> tuple[Video, int] | None:
    """Return the frame, counted from 0, that a path means: ``set06_V000_I00029.jpg`` or ``set06/V000/I00029.txt``."""
    match = _FRAME.fullmatch(path)
    return (Video(match[1], match[2]), int(match[3])) if match else None


def video_in(path: str) -> Video | None:
    """Return the video that a path such as ``annotations/set06/V000.vbb`` means."""
    match = _VIDEO.fullmatch(path)
    return Video(match[1], match[2]) if match else None


@dataclass
class Frames:
    """The annotated frames of a data set that are taken, every `stride`-th, the first being number `stride` - 1."""

    source: Source
    stride: int
    _images: dict[tuple[Video, int], str] = field(init=False, default_factory=dict)
    _videos: dict[Video, str] = field(init=False, default_factory=dict)
    _frames_left: int = field(init=False, default=0)
    _boxes_left: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Look for images and videos."""
        for path in self.source.image_files():
            frame = frame_in(path)
            if frame and (first := self._images.setdefault(frame, path)) != path:
                what, where = f"'{first}' is the same frame", self.source.root / path
                remedy = "remove one of them, or give the folder of one of them"
                self.source.errors.add("IMAGE_TWICE", what, where=where, image=first, remedy=remedy)
        for path in io.list_files(self.source.root, (".seq",)):
            if video := video_in(path):
                self._videos.setdefault(video, path)

    def takes(self, number: int) -> bool:
        """Tell whether a frame, counted from 0, is one of those that are taken."""
        return (number + 1) % self.stride == 0

    def leave(self, frames: int, boxes: int) -> None:
        """Count frames and boxes that are not taken."""
        self._frames_left += frames
        self._boxes_left += boxes

    def add(self, video: Video, number: int, where: str) -> str | None:
        """Add an annotated frame and return its name: the image where there is one, else its place in the video.

        Returns:
            None after reporting that the frame is annotated twice.
        """
        image = self._images.get((video, number))
        name = image or f"{self._videos.get(video, f'{video}.seq')}#{number:05d}"
        split = "test" if video.folder in _TEST_SETS else "train"
        return name if self.source.add_image(name, where, SIZE_WH, split=split, group=str(video)) else None

    def note_left(self) -> None:
        """Note for the ledger what is not taken."""
        reason = f"not one of every {self.stride} frames"
        self.source.errors.note(reason, self._frames_left, kind="image")
        self.source.errors.note(reason, self._boxes_left, kind="box")
