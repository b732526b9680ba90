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
    root: Path, refs: Mapping[str, ImageRef], lookup: ImageLookup, errors: ErrorCollector
) -> dict[str, FoundImage]:
    """Find images as `find_images` does; a name like ``clips/a.mp4#00012`` is a frame of that video.

    Args:
        root: The folder that names are relative to.
        refs: What is said of each, by the name that the annotations use.
        lookup: How; the size of a video is compared with the one that its first frame states.
        errors: Where faults go; that of a video is of the data set.

    Returns:
        The image or frame of each name, in the order of `refs`; one that is left out or at fault is not among them.
    """
    videos: dict[str, dict[str, ImageRef]] = {}
    images: dict[str, ImageRef] = {}
    for name, ref in refs.items():
        frame = parse_frame_name(name) if "#" in name else None
        if frame:
            videos.setdefault(frame[0], {})[name] = ref
        else:
            images[name] = ref
    media = find_images(root, images, lookup, errors) if images or not videos else {}
    for video, frames in videos.items():
        media |= _frames(root, video, frames, lookup, errors)
    return {name: media[name] for name in refs if name in media}


def _frames(
    root: Path, video: str, refs: Mapping[str, ImageRef], lookup: ImageLookup, errors: ErrorCollector
) -> dict[str, FoundImage]:
    """Return the frames of one video that are named."""
    first = next(iter(refs.values()))
    try:
        path = io.safe_join(root, video, where=first.where, field="video")
        if path.is_file():
            native.require_regular(root, path)
            size = read_video_size_wh(path)
            if first.size_wh is not None and lookup.size_mismatch == "error":
                native.check_size(first.size_wh, size, where=first.where, image=video, errors=errors)
            return {name: FoundImage(name, size) for name in refs}
    except InputError as error:
        errors.put(error)
        return {}
    if lookup.missing_images == "keep":
        return {name: FoundImage(name, ref.size_wh) for name, ref in refs.items()}
    if lookup.missing_images == "skip":
        errors.note("video is not there", len(refs), (video,), kind="image")
    else:
        what = f"there is no such video in {root}"
        errors.add("VIDEO_MISSING", what, where=first.where, field="video", value=video, remedy=MISSING_REMEDY)
    return {}
