"""The Caltech annotations as one JSON file, `annotations.json`.

It holds ``{set: {video: {nFrame, frames: {number: [box]}}}}``: the values of the `.vbb` files, but frames and ids count
from 0.
"""

from __future__ import annotations

import re
from typing import Any

import orjson
import polars as pl

from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.pedestrians.caltech_frames import MOST_FRAMES, SCHEMA, Frames, Video
from detect_transfer.formats.pedestrians.persons import FULL, VISIBLE

_SET, _VIDEO = re.compile(r"set[0-9]{2}"), re.compile(r"V[0-9]{3}")
_FLAGS = ("occl", "lock", "hide")


def read_dump(name: str, frames: Frames) -> pl.DataFrame:
    """Read the file `name`, add its frames and return a row a box, with the columns of `SCHEMA`."""
    document = read_json(frames.source.root, name).as_object()
    rows: list[tuple[Any, ...]] = []
    for folder in document.value:
        videos = document.child(folder)
        for video in videos.value:
            if not _SET.fullmatch(folder) or not _VIDEO.fullmatch(video):
                raise videos.error(None, "JSON_KEY", f"found {folder} and {video}, expected such as set06 and V000")
            rows += _read_video(videos.child(video), Video(folder, video), frames)
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _read_video(node: Node, video: Video, frames: Frames) -> list[tuple[Any, ...]]:
    count = node.whole("nFrame")
    if not 0 < count <= MOST_FRAMES:
        raise node.error("nFrame", "JSON_NUMBER", f"expected a number of frames from 1 to {MOST_FRAMES:,}")
    lists, errors = node.child("frames"), frames.source.errors
    rows: list[tuple[Any, ...]] = []
    for number in range(count):
        key = str(number)
        if not frames.takes(number):
            frames.leave(1, len(lists.value.get(key) or ()))
        elif image := frames.add(video, number, f"{lists.where}/{key}"):
            with errors.image(image):
                for each in lists.items(key, []):
                    with errors.row(image):
                        rows.append(_row(each, image, video))
    if stray := sorted(lists.value.keys() - {str(number) for number in range(count)}):
        raise lists.error(stray[0], "JSON_KEY", f"expected the number of a frame from 0 to {count - 1}")
    return rows


def _row(node: Node, image: str, video: Video) -> tuple[Any, ...]:
    has_visible = node.value.get("posv") not in (None, 0, [], [0])
    visible = node.numbers("posv", len(VISIBLE)) if has_visible else (0.0,) * len(VISIBLE)
    flags = {key: node.whole(key) for key in _FLAGS if key in node}
    track_id = f"{video}/{node.whole('id') + 1}"
    box = node.numbers("pos", len(FULL))
    return image, *box, *visible, node.source, node.string("lbl"), False, track_id, orjson.dumps(flags).decode()
