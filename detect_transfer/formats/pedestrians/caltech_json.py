"""The Caltech annotations as one JSON file, `annotations.json`.

It holds ``{set: {video: {nFrame, frames: {number: [box]}}}}``: the values of the `.vbb` files, but frames and ids count
from 0.
"""

from __future__ import annotations

import re

import orjson
import polars as pl

from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.pedestrians.caltech_frames import MOST_FRAMES, SCHEMA, Frames, Video
from detect_transfer.formats.pedestrians.persons import FULL, VISIBLE

_SET, _VIDEO = re.compile(r"set[0-9]{2}"), re.compile(r"V[0-9]{3}")
_FLAGS = ("occl", "lock", "hide")


def read_dump(name: str, frames: Frames) -> pl.DataFrame:
    """Read the file.

    Args:
        name: The file, relative to the root of `frames`.
        frames: Where its frames are added, and which are taken.

    Returns:
        A row a box, with the columns of `SCHEMA`.

    Raises:
        InputError: It is no such file.
    """
    document = read_json(frames.root, name).as_object()
    rows: list[tuple[object, ...]] = []
    for folder in document.value:
        videos = document.child(folder)
        for video in videos.value:
            if not _SET.fullmatch(folder) or not _VIDEO.fullmatch(video):
                raise videos.error(None, "JSON_KEY", f"found {folder} and {video}, expected such as set06 and V000")
            _read_video(videos.child(video), Video(folder, video), frames, rows)
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _read_video(node: Node, video: Video, frames: Frames, rows: list[tuple[object, ...]]) -> None:
    count = node.whole("nFrame")
    if not 0 < count <= MOST_FRAMES:
        raise node.error("nFrame", "JSON_NUMBER", f"expected a number of frames from 1 to {MOST_FRAMES:,}")
    held = node.child("frames")
    for number in range(count):
        key = str(number)
        if not frames.wanted(number):
            frames.leave(1, len(held.value.get(key) or ()))
            continue
        image = frames.add(video, number, f"{frames.root}/{held.source}/{key}")
        if image is None:
            continue
        with frames.problems.image(image):
            for one in held.items(key, []):
                with frames.problems.row(image):
                    rows.append(_row(one, image, video))
    if stray := sorted(held.value.keys() - {str(number) for number in range(count)}):
        raise held.error(stray[0], "JSON_KEY", f"expected the number of a frame from 0 to {count - 1}")


def _row(one: Node, image: str, video: Video) -> tuple[object, ...]:
    visible = (0.0,) * len(VISIBLE) if _is_nothing(one) else one.numbers("posv", len(VISIBLE))
    flags = {key: one.whole(key) for key in _FLAGS if key in one}
    track = f"{video.folder}/{video.name}/{one.whole('id') + 1}"
    box = one.numbers("pos", len(FULL))
    return (image, *box, *visible, one.source, one.string("lbl"), False, track, orjson.dumps(flags).decode())


def _is_nothing(one: Node) -> bool:
    """Tell whether no visible part is told: it is absent, 0 or empty."""
    return "posv" not in one or one.value["posv"] in (0, [], [0])
