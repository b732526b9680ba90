"""One `.vbb` file, the annotations of one Caltech video.

The variable `A` is a struct: `objLists` holds a struct array for each frame, and `objLbl` and `objHide` tell of each
`id` in it, which counts from 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from detect_transfer.core.columns import text_of
from detect_transfer.formats.parsing.matlab import numbers, read_matlab, text
from detect_transfer.formats.pedestrians.caltech_frames import SCHEMA, Frames, video_in
from detect_transfer.formats.pedestrians.persons import FULL, VISIBLE

_FIELDS = ("nFrame", "objLists", "objLbl")
_OF_BOX = ("id", "pos", "occl", "lock", "posv")
_REMEDY = "give the file as it was published"


def read_vbb(name: str, frames: Frames) -> pl.DataFrame:
    """Read one file.

    Args:
        name: The file, relative to the root of `frames`.
        frames: Where its frames are added, and which are taken.

    Returns:
        A row a box, with the columns of `SCHEMA`.

    Raises:
        InputError: As for `read_matlab`.

    Source: P. Dollar's toolbox 3.2.1, vbb.m.
    """
    video, problems, where = video_in(name), frames.problems, f"{frames.root / name}#A"
    whole = _struct(read_matlab(frames.root, name, "A"), _FIELDS)
    if video is None or whole is None or not _is_cell(whole["objLists"]) or not _is_cell(whole["objLbl"]):
        what = f"expected setNN/VNNN.vbb with a struct of {', '.join(_FIELDS)}"
        problems.add("VBB_STRUCT", what, where=where, remedy=_REMEDY)
        return pl.DataFrame(schema=SCHEMA)
    lists = whole["objLists"].ravel()
    if numbers([whole["nFrame"]], 1)[0, 0] != lists.size:
        what = f"objLists has {lists.size} frames, nFrame says otherwise"
        problems.add("VBB_FRAMES", what, where=where, field="nFrame", value=whole["nFrame"], remedy=_REMEDY)
    found: dict[str, list[Any]] = {key: [] for key in ("image", "source", *_OF_BOX)}
    for number, one in enumerate(lists):
        boxes: Any = one.ravel() if isinstance(one, np.ndarray) else np.empty(0)
        if not frames.wanted(number):
            frames.leave(1, boxes.size)
            continue
        source = f"{name}#A.objLists{{{number + 1}}}"
        image = frames.add(video, number, f"{frames.root}/{source}")
        if image is None or boxes.size == 0:
            continue
        if not set(_OF_BOX) <= set(boxes.dtype.names or ()):
            what = f"expected a struct of {', '.join(_OF_BOX)}"
            problems.add("VBB_STRUCT", what, where=f"{frames.root}/{source}", image=image, remedy=_REMEDY)
            continue
        found["image"] += [image] * boxes.size
        found["source"] += [f"{source}({i})" for i in range(1, boxes.size + 1)]
        for key in _OF_BOX:
            found[key] += list(boxes[key])
    return _frame(found, whole, f"{video.folder}/{video.name}")


def _struct(value: Any, needed: tuple[str, ...]) -> dict[str, Any] | None:
    """Return the fields of a single struct; None if it is none, or has not all that are needed."""
    if not isinstance(value, np.ndarray) or value.size != 1 or not set(needed) <= set(value.dtype.names or ()):
        return None
    return {field: value[field].ravel()[0] for field in value.dtype.names or ()}


def _is_cell(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == object


def _frame(found: dict[str, list[Any]], whole: dict[str, Any], video: str) -> pl.DataFrame:
    """Make the frame; what is no number is NaN, and what has no label gets null, for the checks that follow."""
    zeros = np.zeros(len(VISIBLE))
    seen = [zeros if isinstance(v, np.ndarray) and v.size == 0 else v for v in found["posv"]]
    ids = numbers(found["id"], 1)[:, 0]
    labels, hide = [text(label) for label in whole["objLbl"].ravel()], whole.get("objHide")
    of_object = pl.DataFrame(
        {
            "id": np.arange(1.0, len(labels) + 1),
            "label": labels,
            "hide": numbers([hide], len(labels))[0],
        },
        schema={"id": pl.Float64, "label": pl.String, "hide": pl.Float64},
    )
    rows = pl.DataFrame(
        {
            **{key: pl.Series(found[key], dtype=pl.String) for key in ("image", "source")},
            **dict(zip(FULL, numbers(found["pos"], len(FULL)).T, strict=True)),
            **dict(zip(VISIBLE, numbers(seen, len(VISIBLE)).T, strict=True)),
            "id": ids,
            **{flag: numbers(found[flag], 1)[:, 0] for flag in ("occl", "lock")},
        }
    ).join(of_object, on="id", how="left", maintain_order="left")
    flags = pl.struct(pl.col("occl", "lock", "hide").cast(pl.Int64, strict=False))
    return rows.with_columns(
        ign=pl.lit(False),
        track_id=text_of("{}/{}", pl.lit(video), pl.col("id").cast(pl.Int64, strict=False)),
        attributes=flags.struct.json_encode(),
    ).select(*SCHEMA)
