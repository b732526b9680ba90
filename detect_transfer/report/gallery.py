"""The images of the page: the worst failures of each kind, and some whole images."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from detect_transfer.core import boxes
from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.arrays import FloatArray, RgbArray
from detect_transfer.evaluation import Case, match_case
from detect_transfer.report.drawings import Mark, marks_of
from detect_transfer.report.failures import worst
from detect_transfer.report.image_reading import ImageReader
from detect_transfer.report.render import encode_jpeg
from detect_transfer.report.text import short_name
from detect_transfer.report.window import draw_window

_WHOLE = 6
_CONTEXT = 2.4  # a crop is so many times as wide as the box, and at least
_LEAST_CROP = 140
_LARGEST = 800  # pixels of the longer side
_SHOWN = 560
_MOST_MARKS, _MOST_IN_CROP = 60, 20  # detections in a drawing; of more, nobody sees which is where
_NEAR = 0.1  # the IoU from which a neighbour of the box in question has its tag


@dataclass(frozen=True)
class GalleryImage:
    """One image of the page.

    Args:
        anchor: Its id in the page.
        title: The heading, such as the name of a class.
        caption: What it shows.
        uri: The image as a data URI.
        width: Its width in pixels; so is `height`.
        height: Its height.
        kind: A key of `failures.KINDS_OF_FAILURE`, or "".
        category_ids: The classes that it is about.
    """

    anchor: str
    title: str
    caption: str
    uri: str
    width: int
    height: int
    kind: str = ""
    category_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Gallery:
    """The images, failures kind by kind; `unread` holds the messages of images that could not be read."""

    failures: tuple[GalleryImage, ...] = ()
    whole: tuple[GalleryImage, ...] = ()
    unread: tuple[str, ...] = ()


class _Album:
    """The images of the page, with what is drawn on them."""

    def __init__(self, case: Case, score_threshold: float, root: Path) -> None:
        self.reader = ImageReader(case.truth, root)
        self.names = {int(i): str(n) for i, n in case.truth.categories.select("category_id", "name").iter_rows()}
        self.matches = match_case(case).above(score_threshold)

    def marks(
        self, image_id: int, window: tuple[int, int, int, int], corners: FloatArray | None = None
    ) -> tuple[list[Mark], int]:
        """Return the marks that reach into a part of an image, and how many detections are too many to be seen apart.

        Those with the greatest scores stay; with the `corners` of a box, those that overlap it come first.
        """
        x1, y1, x2, y2 = window
        here = pl.col("image_id").eq(image_id) & pl.col("x1").lt(x2) & pl.col("x2").gt(x1)
        here &= pl.col("y1").lt(y2) & pl.col("y2").gt(y1)
        rows, most = self.matches.detections.filter(here), _MOST_MARKS if corners is None else _MOST_IN_CROP
        if (n_left_out := len(rows) - most) > 0:
            near = np.zeros(len(rows)) if corners is None else boxes.iou(rows.select(XYXY).to_numpy(), corners)[:, 0]
            order = np.lexsort((-rows["score"].to_numpy(), near <= _NEAR))
            rows = rows[np.sort(order[:most])]
        return marks_of(self.matches.truth.filter(here), rows, self.names), max(0, n_left_out)

    def name(self, category_id: int) -> str:
        return short_name(self.names.get(category_id, "?"))

    def file(self, image_id: int) -> str:
        return short_name(self.reader.file_names[image_id], longest=60)

    def partner(self, row: dict[str, Any]) -> tuple[int, float] | None:
        """Return the class of the object that a detection overlaps most, and the IoU."""
        objects = self.matches.truth.filter((pl.col("image_id") == row["image_id"]) & (pl.col("status") != "ignored"))
        overlap = boxes.iou(objects.select(XYXY).to_numpy(), [row[c] for c in XYXY])[:, 0]
        if row["failure"] == "poor_box":
            overlap = np.where((objects["category_id"] == row["category_id"]).to_numpy(), overlap, 0.0)
        best = int(np.argmax(overlap)) if len(overlap) else -1
        return (int(objects["category_id"][best]), float(overlap[best])) if best >= 0 and overlap[best] > 0 else None


def build_gallery(case: Case, score_threshold: float) -> Gallery:
    """Choose and draw the images; without a folder of images there are none.

    Args:
        case: What is shown.
        score_threshold: Detections below it are not shown.
    """
    if case.truth.image_root is None:
        return Gallery()
    album = _Album(case, score_threshold, case.truth.image_root)
    return Gallery(
        failures=tuple(_crops(album, worst(case, score_threshold))),
        whole=tuple(_whole(album, case.truth)),
        unread=tuple(album.reader.unread.values()),
    )


def _crops(album: _Album, rows: pl.DataFrame) -> Iterator[GalleryImage]:
    for number, row in enumerate(rows.iter_rows(named=True), start=1):
        image = album.reader.read(row["image_id"])
        if image is None:
            continue
        corners = np.array([row[c] for c in XYXY])
        window = crop_window(corners, image.shape[1], image.shape[0])
        marks, n_left_out = album.marks(row["image_id"], window, corners)
        marks = _quiet(marks, corners)
        drawn = draw_window(image, marks, window, largest=_LARGEST, shown=_SHOWN)
        story, category_ids = _story(album, row)
        size = f"{corners[2] - corners[0]:.0f} × {corners[3] - corners[1]:.0f} px"
        caption = f"{story}{size} · {album.file(row['image_id'])}{_not_drawn(n_left_out)}"
        made = gallery_image(f"failure-{number}", album.name(row["category_id"]), caption, drawn)
        yield replace(made, kind=row["failure"], category_ids=category_ids)


def _story(album: _Album, row: dict[str, Any]) -> tuple[str, tuple[int, ...]]:
    """Return what went wrong in a few words, and the classes that it is about."""
    own = int(row["category_id"])
    if row["failure"] == "fn":
        return "", (own,)
    score = f"score {row['score']:.2f}, "
    partner = None if row["failure"] == "fp" else album.partner(row)
    if partner is None:
        return f"{'detected twice, ' if row['duplicate'] else ''}{score}", (own,)
    other, overlap = partner
    if row["failure"] == "confusion":
        return f"it is {album.name(other)}, {score}", (own, other)
    return f"IoU {overlap:.2f} with the object, {score}", (own,)


def _whole(album: _Album, truth: AnnotationTable) -> Iterator[GalleryImage]:
    """Draw whole images, evenly spaced through the table."""
    ids = truth.images["image_id"].to_list()
    for number, index in enumerate(np.unique(np.linspace(0, len(ids) - 1, min(_WHOLE, len(ids))).astype(int))):
        image = album.reader.read(ids[index])
        if image is not None:
            window = (0, 0, image.shape[1], image.shape[0])
            marks, n_left_out = album.marks(ids[index], window)
            drawn = draw_window(image, marks, window, largest=_LARGEST, shown=_SHOWN)
            n = sum(m.kind in ("truth", "fn") for m in marks)
            caption = f"{n} object{'' if n == 1 else 's'}{_not_drawn(n_left_out)}"
            yield gallery_image(f"whole-{number + 1}", album.file(ids[index]), caption, drawn)


def _not_drawn(count: int) -> str:
    return f" · {count} more detections are not drawn" if count else ""


def _quiet(marks: list[Mark], corners: FloatArray) -> list[Mark]:
    """Leave tags only on what overlaps the box in question, so that a crop in a crowd tells one thing."""
    overlap = boxes.iou(np.array([m.xyxy for m in marks]), corners)[:, 0]
    return [m if o > _NEAR else replace(m, label="") for m, o in zip(marks, overlap, strict=True)]


def crop_window(corners: FloatArray, width: int, height: int) -> tuple[int, int, int, int]:
    """Return a window (x1, y1, x2, y2) of whole pixels around a box, with context, inside the image."""
    side = max(_CONTEXT * float(max(corners[2:] - corners[:2])), _LEAST_CROP)
    centre = (corners[:2] + corners[2:]) / 2
    span = np.minimum([side * 4 / 3, side], [width, height])
    low = np.clip(centre - span / 2, 0, np.array([width, height]) - span).round().astype(int)
    high = np.maximum(np.minimum(low + span.round().astype(int), [width, height]), low + 1)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def gallery_image(anchor: str, title: str, caption: str, drawn: RgbArray) -> GalleryImage:
    """Return a drawn image (H, W, 3) with its JPEG inside."""
    data = base64.b64encode(encode_jpeg(drawn, quality=80)).decode()
    return GalleryImage(anchor, title, caption, f"data:image/jpeg;base64,{data}", drawn.shape[1], drawn.shape[0])
