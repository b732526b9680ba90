"""The pictures of the page: the worst misses, the worst false alarms, and some whole pictures.

Imports `evaluation` and lower ranks.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from detect_transfer import boxes
from detect_transfer.errors import DetectTransferError
from detect_transfer.evaluation import Matches
from detect_transfer.files import safe_join
from detect_transfer.images import RgbArray, read_rgb
from detect_transfer.report.drawing import Mark, draw_marks, marks_of
from detect_transfer.report.render import encode_jpeg
from detect_transfer.report.text import short_name
from detect_transfer.table import XYXY, AnnotationTable

_OVERALL, _EACH, _WHOLE = 8, 16, 6  # the worst of all, with the worst of each class, and whole pictures
_CONTEXT = 2.4  # a crop is so many times as wide as the box, and at least
_LEAST_CROP = 140
_LARGEST = 800  # pixels of the longer side that are kept
_SHOWN = 560
_NEAR = 0.1  # the IoU from which a neighbour of the box in question keeps its tag

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Picture:
    """One picture of the page: its anchor, what it shows, and itself as a data URI."""

    anchor: str
    title: str
    caption: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Gallery:
    """The pictures by kind; `unread` holds the messages of pictures that could not be read."""

    misses: tuple[Picture, ...] = ()
    false_alarms: tuple[Picture, ...] = ()
    whole: tuple[Picture, ...] = ()
    unread: tuple[str, ...] = ()


class _Album:
    """Reads pictures one at a time, keeping the last, and remembers those that cannot be read."""

    def __init__(self, truth: AnnotationTable, matches: Matches, root: Path) -> None:
        self.files = dict(truth.images.select("image_id", "file_name").iter_rows())
        self.names = {int(i): str(n) for i, n in truth.categories.select("category_id", "name").iter_rows()}
        self.matches, self.root = matches, root
        self.unread: dict[int, str] = {}
        self._last: tuple[int, RgbArray] | None = None

    def read(self, image_id: int) -> RgbArray | None:
        """Return the picture, or None when it cannot be read."""
        if self._last is not None and self._last[0] == image_id:
            return self._last[1]
        if image_id in self.unread:
            return None
        try:
            picture = read_rgb(safe_join(self.root, self.files[image_id], links=True))
        except DetectTransferError as error:  # a page without one picture is better than no page
            self.unread[image_id] = short_name(error, longest=200)
            return None
        self._last = (image_id, picture)
        return picture

    def marks(self, image_id: int) -> list[Mark]:
        here = pl.col("image_id") == image_id
        return marks_of(self.matches.truth.filter(here), self.matches.detections.filter(here), self.names)

    def name(self, row: dict[str, Any]) -> str:
        return short_name(self.names.get(row["category_id"], "?"))


def build_gallery(truth: AnnotationTable, matches: Matches, image_root: Path | None) -> Gallery:
    """Choose and draw the pictures.

    Args:
        truth: The images and classes.
        matches: A matching at the score threshold of interest; false alarms below it are not shown.
        image_root: The folder of the pictures; None gives an empty gallery.
    """
    if image_root is None:
        return Gallery()
    album = _Album(truth, matches, image_root)
    return Gallery(
        misses=tuple(_crops(album, worst_misses(matches), "miss")),
        false_alarms=tuple(_crops(album, worst_false_alarms(matches), "alarm")),
        whole=tuple(_whole(album, truth)),
        unread=tuple(album.unread.values()),
    )


def worst_misses(matches: Matches) -> pl.DataFrame:
    """Return the missed objects with the largest visible area, then the largest of each further class."""
    area = (pl.col("x2") - pl.col("x1")) * (pl.col("y2") - pl.col("y1"))
    seen = 1 - pl.col("occluded").fill_null(0.0).clip(0, 1)
    missed = matches.truth.filter(pl.col("status") == "miss")
    return _worst(missed.with_columns((area * seen).alias("_badness")))


def worst_false_alarms(matches: Matches) -> pl.DataFrame:
    """Return the false alarms with the highest score, then the highest of each further class."""
    alarms = matches.detections.filter(pl.col("status") == "false_alarm")
    return _worst(alarms.with_columns(pl.col("score").alias("_badness")))


def _worst(rows: pl.DataFrame) -> pl.DataFrame:
    rows = rows.sort("_badness", descending=True, maintain_order=True).with_row_index("_place")
    first = pl.col("_place") < _OVERALL
    classes = rows.filter(first)["category_id"].unique().implode()
    others = rows.filter(~first & ~pl.col("category_id").is_in(classes)).unique("category_id", keep="first")
    rest = rows.filter(~first & ~pl.col("_place").is_in(others["_place"].implode()))
    return pl.concat([rows.filter(first), others.sort("_place"), rest]).head(_EACH)


def _crops(album: _Album, rows: pl.DataFrame, kind: str) -> Iterator[Picture]:
    for row in rows.iter_rows(named=True):
        picture = album.read(row["image_id"])
        if picture is None:
            continue
        corners = np.array([row[c] for c in XYXY])
        window = crop_window(corners, picture.shape[1], picture.shape[0])
        drawn = _draw(picture, _quiet(album.marks(row["image_id"]), corners), window)
        size = f"{corners[2] - corners[0]:.0f} × {corners[3] - corners[1]:.0f} px"
        told = f"score {row['score']:.2f}, {size}" if kind == "alarm" else size
        file = short_name(album.files[row["image_id"]], longest=60)
        yield _picture(f"{kind}-{row['_place'] + 1}", album.name(row), f"{told} · {file}", drawn)


def _whole(album: _Album, truth: AnnotationTable) -> Iterator[Picture]:
    """Draw whole pictures, evenly spaced through the table."""
    ids = truth.images["image_id"].to_list()
    for number, place in enumerate(np.unique(np.linspace(0, len(ids) - 1, min(_WHOLE, len(ids))).astype(int))):
        picture = album.read(ids[place])
        if picture is not None:
            marks = album.marks(ids[place])
            drawn = _draw(picture, marks, (0, 0, picture.shape[1], picture.shape[0]))
            told = f"{sum(m.kind in ('truth', 'miss') for m in marks)} objects"
            yield _picture(f"whole-{number + 1}", short_name(album.files[ids[place]], longest=60), told, drawn)


def _quiet(marks: list[Mark], corners: FloatArray) -> list[Mark]:
    """Leave tags only on what overlaps the box in question, so that a crop in a crowd tells one thing."""
    overlap = boxes.iou(np.array([m.xyxy for m in marks]), corners)[:, 0]
    return [m if o > _NEAR else replace(m, label="") for m, o in zip(marks, overlap, strict=True)]


def crop_window(corners: FloatArray, width: int, height: int) -> tuple[int, int, int, int]:
    """Return a window (x1, y1, x2, y2) of whole pixels around a box, with context, inside the picture."""
    side = max(_CONTEXT * float(max(corners[2:] - corners[:2])), _LEAST_CROP)
    centre = (corners[:2] + corners[2:]) / 2
    span = np.minimum([side * 4 / 3, side], [width, height])
    low = np.clip(centre - span / 2, 0, np.array([width, height]) - span).round().astype(int)
    high = np.maximum(np.minimum(low + span.round().astype(int), [width, height]), low + 1)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _draw(picture: RgbArray, marks: list[Mark], window: tuple[int, int, int, int]) -> RgbArray:
    """Cut a window out, shrink it where it is large, and draw the marks that reach into it."""
    x1, y1, x2, y2 = window
    part = np.ascontiguousarray(picture[y1:y2, x1:x2])
    scale = min(1.0, _LARGEST / max(part.shape[:2]))
    if scale < 1:
        part = np.asarray(cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    shown = []
    for mark in marks:
        a, b, c, d = mark.xyxy
        if a < x2 and c > x1 and b < y2 and d > y1:
            moved = ((a - x1) * scale, (b - y1) * scale, (c - x1) * scale, (d - y1) * scale)
            shown.append(replace(mark, xyxy=moved))
    return draw_marks(part, shown, legend=False, shown_side=_SHOWN)


def _picture(anchor: str, title: str, caption: str, drawn: RgbArray) -> Picture:
    data = base64.b64encode(encode_jpeg(drawn, quality=80)).decode()
    return Picture(anchor, title, caption, f"data:image/jpeg;base64,{data}", drawn.shape[1], drawn.shape[0])
