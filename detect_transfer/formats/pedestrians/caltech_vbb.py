"""One `.vbb` file, the annotations of one Caltech video.

The variable `A` is a struct: `objLists` holds a struct array for each frame, and `objLbl` and `objHide` describe each
`id` in it, which counts from 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from detect_transfer.core.columns import text_of
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing.matlab import numbers, read_matlab, text
from detect_transfer.formats.pedestrians.caltech_frames import SCHEMA, Frames, video_in
from detect_transfer.formats.pedestrians.persons import FULL, VISIBLE

_FIELDS = ("nFrame", "objLists", "objLbl")
_OF_BOX = ("id", "pos", "occl", "lock", "posv")
_REMEDY = "give the file as it was published"


def read_vbb(name: str, frames: Frames) -> pl.DataFrame:
    """Read the file `name`, add its frames and return a row a box, with the columns of `SCHEMA`.

    Source: P. Dollar's toolbox 3.2.1, vbb.m.
    """
    with frames.source.errors.file():
        return _read(name, frames)
    return pl.DataFrame(schema=SCHEMA)


def _read(name: str, frames: Frames) -> pl.DataFrame:
    root, errors = frames.source.root, frames.source.errors
    rows: dict[str, list[Any]] = {key: [] for key in ("image", "source", *_OF_BOX)}
    struct = _struct(read_matlab(root, name, "A"), _FIELDS)
    lists: Any = struct.get("objLists")
    video = video_in(name)
    where = f"{root / name}#A"
    if video is None or not _is_cell(lists) or not _is_cell(struct.get("objLbl")):
        what = f"expected setNN/VNNN.vbb with a struct of {', '.join(_FIELDS)}"
        raise InputError("VBB_STRUCT", what, where=where, remedy=_REMEDY)
    if numbers([struct["nFrame"]], 1)[0, 0] != lists.size:
        what = f"objLists has {lists.size} frames, nFrame says otherwise"
        raise InputError("VBB_FRAMES", what, where=where, field="nFrame", value=struct["nFrame"], remedy=_REMEDY)
    for number, cell in enumerate(lists.ravel()):
        boxes: Any = cell.ravel() if isinstance(cell, np.ndarray) else np.empty(0)
        if not frames.takes(number):
            frames.leave(1, boxes.size)
            continue
        list_source = f"{name}#A.objLists{{{number + 1}}}"
        image = frames.add(video, number, f"{root}/{list_source}")
        if image is None or boxes.size == 0:
            continue
        if not set(_OF_BOX) <= set(boxes.dtype.names or ()):
            what = f"expected a struct of {', '.join(_OF_BOX)}"
            errors.add("VBB_STRUCT", what, where=f"{root}/{list_source}", image=image, remedy=_REMEDY)
            continue
        rows["image"] += [image] * boxes.size
        rows["source"] += [f"{list_source}({i})" for i in range(1, boxes.size + 1)]
        for key in _OF_BOX:
            rows[key] += list(boxes[key])
    return _frame(rows, struct, str(video))


def _struct(value: Any, needed: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields of a single struct; nothing if it is none, or has not all that are needed."""
    if not isinstance(value, np.ndarray) or value.size != 1 or not set(needed) <= set(value.dtype.names or ()):
        return {}
    return {field: value[field].ravel()[0] for field in value.dtype.names or ()}


def _is_cell(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == object


def _frame(rows: dict[str, list[Any]], struct: dict[str, Any], video: str) -> pl.DataFrame:
    """Make the frame; what is no number is NaN, and what has no label gets null, for the checks that follow."""
    zeros = np.zeros(len(VISIBLE))
    seen = [zeros if isinstance(v, np.ndarray) and v.size == 0 else v for v in rows["posv"]]
    ids = numbers(rows["id"], 1)[:, 0]
    labels, hide = [text(label) for label in struct["objLbl"].ravel()], struct.get("objHide")
    of_object = pl.DataFrame(
        {
            "id": np.arange(1.0, len(labels) + 1),
            "label": labels,
            "hide": numbers([hide], len(labels))[0],
        },
        schema={"id": pl.Float64, "label": pl.String, "hide": pl.Float64},
    )
    data = pl.DataFrame(
        {
            **{key: pl.Series(rows[key], dtype=pl.String) for key in ("image", "source")},
            **dict(zip(FULL, numbers(rows["pos"], len(FULL)).T, strict=True)),
            **dict(zip(VISIBLE, numbers(seen, len(VISIBLE)).T, strict=True)),
            "id": ids,
            **{flag: numbers(rows[flag], 1)[:, 0] for flag in ("occl", "lock")},
        }
    ).join(of_object, on="id", how="left", maintain_order="left")
    flags = pl.struct(pl.col("occl", "lock", "hide").cast(pl.Int64, strict=False))
    return data.with_columns(
        ign=pl.lit(False),
        track_id=text_of("{}/{}", pl.lit(video), pl.col("id").cast(pl.Int64, strict=False)),
        attributes=flags.struct.json_encode(),
    ).select(*SCHEMA)
