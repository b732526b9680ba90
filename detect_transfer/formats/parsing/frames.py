"""The images or frames of videos that annotations name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from detect_transfer.core import io
from detect_transfer.core.errors import InputError
from detect_transfer.core.video import parse_frame_name, read_video_size_wh
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import (
    MISSING_REMEDY,
    FoundImage,
    ImageLookup,
    ImageRef,
    find_images,
)

MOST_FRAMES = 1_000_000


def find_media(
    root: Path, named: Mapping[str, ImageRef], media: ImageLookup, problems: ErrorCollector
) -> dict[str, FoundImage]:
    """Find images as `find_images` does; a name like ``clips/a.mp4#00012`` is a frame of that video.

    Args:
        root: The folder that names are relative to.
        named: What is said of each, by the name that the annotations use.
        media: How; the size of a video is compared with the one that is told of its first name.
        problems: Where faults go; that of a video is of the data set.

    Returns:
        The image or frame of each name, in the order of `named`; one that is left out or at fault is not among them.
    """
    videos: dict[str, dict[str, ImageRef]] = {}
    for name, told in named.items():
        if found := parse_frame_name(name):
            videos.setdefault(found[0], {})[name] = told
    if not videos:
        return find_images(root, named, media, problems)
    frames: dict[str, FoundImage] = {}
    for video, told_of in videos.items():
        frames.update(_frames(root, video, told_of, media, problems))
    rest = {name: told for name, told in named.items() if not parse_frame_name(name)}
    frames.update(find_images(root, rest, media, problems) if rest else {})
    return {name: frames[name] for name in named if name in frames}


def _frames(
    root: Path, video: str, named: Mapping[str, ImageRef], media: ImageLookup, problems: ErrorCollector
) -> dict[str, FoundImage]:
    """Return the frames of one video that are named."""
    first = next(iter(named.values()))
    try:
        path = io.safe_join(root, video, where=first.where, field="video")
        if path.is_file():
            native.require_regular(root, path)
            size = read_video_size_wh(path)
            if first.size_wh is not None and media.size_mismatch == "error":
                native.check_size(first.size_wh, size, where=first.where, image=video, problems=problems)
            return {name: FoundImage(name, size) for name in named}
    except InputError as error:
        problems.put(error)
        return {}
    if media.missing_images == "keep":
        return {name: FoundImage(name, told.size_wh) for name, told in named.items()}
    if media.missing_images == "skip":
        problems.note("video is not there", len(named), (video,), kind="image")
    else:
        problems.add(
            "VIDEO_MISSING",
            f"there is no such video in {root}",
            where=first.where,
            field="video",
            value=video,
            remedy=MISSING_REMEDY,
        )
    return {}
