"""Boxes of videos in Label Studio: key frames, and what the tool shows between them.

Frames count from 1. From a key frame on an object is shown, on a straight line to the next one, or as it was to the end
of the video; a key frame that is not ``enabled`` is the last one that shows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from detect_transfer.core.errors import InputError
from detect_transfer.core.video import frame_name, read_frame_count
from detect_transfer.formats.parsing.frames import MOST_FRAMES
from detect_transfer.formats.parsing.image_lookup import FoundImage
from detect_transfer.formats.parsing.json_nodes import Node
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.parsing.shapes import RECTANGLE, TURNED, Shape, turned_extent
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.tools.label_studio_regions import Item, labels_of

_SEQUENCE = "sequence"
_UNLABELLED = "label a box in it, or remove the task"
_SLACK = 1  # frames that containers and players round by


@dataclass(frozen=True)
class _KeyFrame:
    """A box in percent of the video, turned clockwise about its top-left corner."""

    frame: int
    enabled: bool
    x: float
    y: float
    width: float
    height: float
    rotation: float
    source: str

    def towards(self, other: _KeyFrame, share: float) -> _KeyFrame:
        """Return the box at a share of the way to the next one."""
        names = ("x", "y", "width", "height", "rotation")
        between = {name: getattr(self, name) + share * (getattr(other, name) - getattr(self, name)) for name in names}
        return replace(self, **between)


def add_frames(source: Source, video: str, items: Sequence[Item], where: str) -> int:
    """Add every frame of a video as an image, whether or not it shows an object, and return their number.

    Raises:
        InputError: The number of frames is not stated, or is another than the video has.
    """
    tracks = [item.value for item in items if _SEQUENCE in item.value]
    stated = {value.whole("framesCount") for value in tracks if "framesCount" in value}
    frames = [node.whole("frame") for value in tracks for node in value.items(_SEQUENCE)]
    n_frames = max([*stated, *frames], default=0)
    if not 0 < n_frames <= MOST_FRAMES:
        what = f"expected a video of 1 to {MOST_FRAMES:,} frames"
        raise InputError("VIDEO_FRAMES", what, where=where, field="framesCount", value=n_frames, remedy=_UNLABELLED)
    path = source.image_root / video
    n_real = read_frame_count(path) if stated and path.is_file() else None
    if n_real is not None and abs(n_real - n_frames) > _SLACK:
        durations = [value.number("duration") for value in tracks if "duration" in value]
        rate = f"{n_frames / durations[0]:g}" if durations and durations[0] > 0 else "RATE"
        what = f"Label Studio counted {n_frames:,} frames, the video has {n_real:,}, so they are not the same"
        remedy = f"put it there at the rate that it was labelled at, such as by ffmpeg -i OLD -r {rate} NEW"
        raise InputError("VIDEO_FRAMES", what, where=where, field="framesCount", value=n_frames, remedy=remedy)
    for number in range(n_frames):
        source.add_image(frame_name(video, number), where, split=split_of_path(video), group=video)
    return n_frames


def add_tracks(source: Source, video: str, items: Sequence[Item], n_frames: int, first: FoundImage | None) -> None:
    """Add the boxes of all frames; those between key frames are marked as interpolated in their attributes.

    Args:
        source: The data set.
        video: The video.
        items: What an annotation says.
        n_frames: How many frames it has.
        first: Its first frame as an image; None where it is left out, and the boxes with it.

    Raises:
        InputError: A track has no label or is damaged, or the size of the video is not known.
    """
    tracks = [item for item in items if _SEQUENCE in item.value]
    size_wh = first.size_wh if first else (1, 1)
    if size_wh is None:
        what, remedy = "its boxes are shares of the video, which is not there", "put the video there"
        raise InputError("VIDEO_MISSING", what, where=source.root, field="video", value=video, remedy=remedy)
    for item in tracks:
        labels = [label for part in items if part.region == item.region for label in labels_of(part.value)]
        if not labels:
            raise item.value.error(None, "OBJECT_NAME", "the region has no label", "label or remove it")
        keys = {key.frame: key for key in map(_key_frame, item.value.items(_SEQUENCE))}
        for frame, box, is_between in _shown([keys[frame] for frame in sorted(keys)], n_frames):
            for label in labels:
                shape = _shape(label, box, size_wh, is_between=is_between)
                track = {"track_id": f"{video}/{item.region}"}
                source.add_shape(frame_name(video, frame - 1), replace(shape, columns=track))


def _key_frame(node: Node) -> _KeyFrame:
    frame = node.whole("frame")
    numbers = {key: node.number(key) for key in ("x", "y", "width", "height")}
    if frame < 1 or numbers["width"] < 0 or numbers["height"] < 0:
        what = "the frame must be at least 1, width and height must not be negative"
        raise node.error("frame", "BOX_INVALID", what, "fix it or remove it")
    return _KeyFrame(
        frame, node.flag("enabled", True), **numbers, rotation=node.number("rotation", 0.0), source=node.source
    )


def _shown(keys: Sequence[_KeyFrame], n_frames: int) -> Iterator[tuple[int, _KeyFrame, bool]]:
    """Give each frame that shows the object, its box, and whether it lies between key frames."""
    for key, after in pairwise([*keys, None]):
        if key is None:
            continue
        yield key.frame, key, False
        if key.enabled:
            for frame in range(key.frame + 1, after.frame if after else n_frames + 1):
                share = (frame - key.frame) / (after.frame - key.frame) if after else 0.0
                yield frame, key.towards(after or key, share), True


def _shape(label: str, box: _KeyFrame, size_wh: tuple[int, int], *, is_between: bool) -> Shape:
    width, height = size_wh[0] / 100, size_wh[1] / 100  # pixels of one percent
    xyxy = box.x * width, box.y * height, (box.x + box.width) * width, (box.y + box.height) * height
    attributes = {"interpolated": True} if is_between else {}
    if box.rotation == 0:
        return Shape(label, xyxy, box.source, RECTANGLE, attributes=attributes)
    around, drawn = turned_extent(xyxy, box.rotation, about="corner"), {"box": xyxy, "rotation": box.rotation}
    return Shape(label, around, box.source, TURNED, drawn, attributes)
