"""The frames of the Caltech videos: their numbers, and the images or videos that hold them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import ImageRef
from detect_transfer.formats.pedestrians.persons import ROW_SCHEMA

SIZE_WH = (640, 480)
MOST_FRAMES = 1_000_000
SCHEMA: dict[str, type[pl.DataType]] = {
    **ROW_SCHEMA,
    **{"label": pl.String, "ign": pl.Boolean, "track_id": pl.String, "attributes": pl.String},
}
_FRAME = re.compile(r"(?:.*[/_])?(set[0-9]{2})[/_](V[0-9]{3})(?:\.seq)?[/_]I?([0-9]{1,6})(?:\.\w+)+")
_VIDEO = re.compile(r"(?:.*/)?(set[0-9]{2})[/_](V[0-9]{3})\.\w+")
_TEST_SETS = ("set06", "set07", "set08", "set09", "set10")


@dataclass(frozen=True)
class Video:
    """A video, as `set06` and `V000`."""

    folder: str
    name: str


def frame_in(path: str) -> tuple[Video, int] | None:
    """Return the frame, counted from 0, that a path means: ``set06_V000_I00029.jpg`` or ``set06/V000/I00029.txt``."""
    found = _FRAME.fullmatch(path)
    return (Video(found[1], found[2]), int(found[3])) if found else None


def video_in(path: str) -> Video | None:
    """Return the video that a path such as ``annotations/set06/V000.vbb`` means."""
    found = _VIDEO.fullmatch(path)
    return Video(found[1], found[2]) if found else None


@dataclass
class Frames:
    """The annotated frames of a data set, with what becomes of the others.

    Args:
        root: The folder of the data set.
        stride: Every how many frames one is taken; the first is number `stride` - 1.
        problems: Where faults go.
    """

    root: Path
    stride: int
    problems: ErrorCollector
    named: dict[str, ImageRef] = field(init=False, default_factory=dict)
    videos: dict[str, Video] = field(init=False, default_factory=dict)
    _images: dict[tuple[Video, int], str] = field(init=False, default_factory=dict)
    _held: dict[Video, str] = field(init=False, default_factory=dict)
    _frames_left: int = field(init=False, default=0)
    _boxes_left: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Look for images and videos."""
        for path in io.list_files(self.root, IMAGE_SUFFIXES):
            if (key := frame_in(path)) is None:
                continue
            first = self._images.setdefault(key, path)
            if first != path:
                self.problems.add(
                    *("IMAGE_TWICE", f"'{first}' is the same frame"),
                    where=self.root / path,
                    image=first,
                    remedy="remove one of them, or give the folder of one of them",
                )
        for path in io.list_files(self.root, (".seq",)):
            if video := video_in(path):
                self._held.setdefault(video, path)

    def wanted(self, number: int) -> bool:
        """Tell whether a frame, counted from 0, is one of those that are taken."""
        return (number + 1) % self.stride == 0

    def leave(self, frames: int, boxes: int) -> None:
        """Count frames and boxes that are not taken."""
        self._frames_left += frames
        self._boxes_left += boxes

    def name(self, video: Video, number: int) -> str:
        """Return the name of a frame: the image where there is one, else its place in the video."""
        image = self._images.get((video, number))
        return image or f"{self._held.get(video, f'{video.folder}/{video.name}.seq')}#{number:05d}"

    def add(self, video: Video, number: int, where: str) -> str | None:
        """Add an annotated frame and return its name; None after reporting that it is annotated twice."""
        name = self.name(video, number)
        if name in self.named:
            what = f"{self.named[name].where} is of the same frame"
            self.problems.add("ID_DUPLICATE", what, where=where, image=name, remedy="remove one of them")
            return None
        self.named[name], self.videos[name] = ImageRef(where, SIZE_WH), video
        return name

    def facts(self) -> pl.DataFrame:
        """Return split and group of each frame, and note those that are left out."""
        reason = f"not one of every {self.stride} frames"
        self.problems.note(reason, self._frames_left, kind="image")
        self.problems.note(reason, self._boxes_left, kind="box")
        return pl.DataFrame(
            {
                "image": list(self.videos),
                "split": ["test" if one.folder in _TEST_SETS else "train" for one in self.videos.values()],
                "group": [f"{one.folder}/{one.name}" for one in self.videos.values()],
            }
        )
