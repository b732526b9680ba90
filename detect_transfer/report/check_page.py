"""The page of a check: the findings, with images of pairs that look alike and of boxes that are odd.

One HTML file in the look of the report: it opens anywhere, needs no network and runs no script of the data.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from detect_transfer import __version__
from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.arrays import RgbArray
from detect_transfer.core.errors import DetectTransferError
from detect_transfer.core.images import read_rgb
from detect_transfer.core.io import safe_join, write_atomic
from detect_transfer.core.video import frames_at, parse_frame_name
from detect_transfer.data.findings import CheckReport, Finding
from detect_transfer.report.drawings import Mark, contact_sheet, draw_marks
from detect_transfer.report.gallery import GalleryImage, crop_window
from detect_transfer.report.render import encode_jpeg
from detect_transfer.report.templates import page_templates
from detect_transfer.report.text import short_name

_CELL_WH = (400, 300)
_SHOWN = 560


@dataclass(frozen=True)
class _Gallery:
    """The images of one finding."""

    anchor: str
    code: str
    message: str
    count: int
    images: tuple[GalleryImage, ...]


def write_check_page(
    path: Path, report: CheckReport, table: AnnotationTable, *, title: str, trip: Mapping[str, Any] | None = None
) -> None:
    """Write the page as one file with its images inside; an image that cannot be read is left out and named.

    Args:
        path: The HTML file.
        report: What was found.
        table: What was checked.
        title: The heading, such as the name of the data set.
        trip: `RoundTrip.as_dict()`, if there was one.

    Raises:
        ResourceError: The disk is full or does not let us write.
    """
    environment = page_templates()
    environment.filters["short"] = short_name
    script = environment.get_template("page.js.j2").render()
    album = _Album(table)
    page = environment.get_template("check_page.html.j2").render(
        title=short_name(title, longest=120),
        report=report,
        errors=report.count("error"),
        warnings=report.count("warning"),
        notes=report.count("note"),
        galleries=album.galleries(report),
        unread=list(album.unread.values()),
        trip=trip,
        version=__version__,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=environment.get_template("page.css.j2").render(),
    )
    write_atomic(path, page)


class _Album:
    """Draws the images of findings, and remembers those that cannot be read."""

    def __init__(self, table: AnnotationTable) -> None:
        self.table, self.root = table, table.image_root
        self.files = dict(table.images.select("image_id", "file_name").iter_rows())
        self.classes = dict(table.categories.select("category_id", "name").iter_rows())
        self.unread: dict[int, str] = {}

    def galleries(self, report: CheckReport) -> list[_Gallery]:
        """Return a gallery for each finding that has images to show."""
        found = []
        for finding in report.findings if self.root is not None else ():
            anchor = finding.code.lower()
            images = tuple([*self._pairs(finding, anchor), *self._boxes(finding, anchor)])
            if images:
                found.append(_Gallery(anchor, finding.code, finding.message, finding.count, images))
        return found

    def _pairs(self, finding: Finding, anchor: str) -> Iterator[GalleryImage]:
        for number, (ids, told) in enumerate(zip(finding.image_pairs, finding.examples, strict=False), start=1):
            both = [rgb for rgb in map(self._read, ids) if rgb is not None]
            if len(both) == len(ids):
                sheet = contact_sheet(both, len(both), cell_wh=_CELL_WH)
                yield _image(f"{anchor}-{number}", f"pair {number}", short_name(told, longest=160), sheet)

    def _boxes(self, finding: Finding, anchor: str) -> Iterator[GalleryImage]:
        rows = self.table.boxes.filter(pl.col("annotation_id").is_in(finding.annotation_ids))
        for number, row in enumerate(rows.iter_rows(named=True), start=1):
            rgb = self._read(row["image_id"])
            if rgb is None:
                continue
            corners = np.array([row[c] for c in XYXY])
            x1, y1, x2, y2 = crop_window(corners, rgb.shape[1], rgb.shape[0])
            name = short_name(self.classes.get(row["category_id"], "every class"))
            inside = corners - [x1, y1, x1, y1]
            mark = Mark((float(inside[0]), float(inside[1]), float(inside[2]), float(inside[3])), "truth", name)
            part = np.ascontiguousarray(rgb[y1:y2, x1:x2])
            drawn = draw_marks(part, [mark], legend=False, shown_side=_SHOWN)
            told = f"{', '.join(f'{c:g}' for c in corners)} · {short_name(row['source'], longest=80)}"
            yield _image(f"{anchor}-{number}", name, told, drawn)

    def _read(self, image_id: int) -> RgbArray | None:
        if image_id in self.unread or self.root is None:
            return None
        file_name = self.files[image_id]
        frame = parse_frame_name(file_name)
        try:
            if frame is None:
                return read_rgb(safe_join(self.root, file_name, links=True))
            return next(frames_at(safe_join(self.root, frame[0], links=True), [frame[1]]))[1]
        except DetectTransferError as error:  # a page without one image is better than no page
            self.unread[image_id] = short_name(error, longest=200)
            return None


def _image(anchor: str, title: str, caption: str, drawn: RgbArray) -> GalleryImage:
    data = base64.b64encode(encode_jpeg(drawn, quality=80)).decode()
    return GalleryImage(anchor, title, caption, f"data:image/jpeg;base64,{data}", drawn.shape[1], drawn.shape[0])
