"""The page of a check: the findings, with images of pairs that look alike and of boxes that are odd.

One HTML file in the look of the report: it opens anywhere, needs no network and runs no script of the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.input_size import InputSize
from detect_transfer.data.findings import CheckReport, Finding
from detect_transfer.report.check_plots import aspects, box_sizes, boxes_of_an_image, class_bars
from detect_transfer.report.check_samples import AugmentedImage, augmented_sheet, sample_sheet
from detect_transfer.report.drawings import Mark, contact_sheet
from detect_transfer.report.gallery import GalleryImage, crop_window, gallery_image
from detect_transfer.report.image_reading import ImageReader
from detect_transfer.report.templates import svg_uri, write_html
from detect_transfer.report.text import short_name
from detect_transfer.report.window import draw_window

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


@dataclass(frozen=True)
class CheckShown:
    """What the page shows beside the findings.

    Args:
        title: The heading, such as the name of the data set.
        imgsz: What images are scaled into in training.
        augmented: Some images as training will see them.
        augment: The preset that they went through.
        trip: `RoundTrip.as_dict()`, if there was one.
    """

    title: str
    imgsz: InputSize
    augmented: Sequence[AugmentedImage] = ()
    augment: str = "default"
    trip: Mapping[str, Any] | None = None


def write_check_page(path: Path, report: CheckReport, table: AnnotationTable, shown: CheckShown) -> None:
    """Write the page as one file with its images inside; an image that cannot be read is left out and named.

    Args:
        path: The HTML file.
        report: The findings.
        table: What was checked.
        shown: What else it shows.

    Raises:
        ResourceError: The disk is full or does not let us write.
    """
    album = None if table.image_root is None else _Album(table, table.image_root)
    values = {
        "title": short_name(shown.title, longest=120),
        "faults": [],
        "report": report,
        "errors": report.count("error"),
        "warnings": report.count("warning"),
        "notes": report.count("note"),
        "galleries": [] if album is None else album.galleries(report),
        "splits": _split_rows(table),
        "plots": _plots(table, shown.imgsz),
        "sheets": [] if album is None else _sheets(album, table, shown),
        "unread": [] if album is None else list(album.reader.unread.values()),
        "trip": shown.trip,
    }
    write_html(path, "check_page", values)


def write_fault_page(path: Path, faults: Sequence[Mapping[str, str | None]], *, title: str) -> None:
    """Write the page about data that cannot be read: each fault with its code, place and remedy.

    Raises:
        ResourceError: The disk is full or does not let us write.
    """
    empty: dict[str, Any] = {"galleries": [], "splits": [], "plots": [], "sheets": [], "unread": [], "trip": None}
    counts = {"errors": len({fault["code"] for fault in faults}), "warnings": 0, "notes": 0}
    values = {"title": short_name(title, longest=120), "faults": faults, "report": None, **counts, **empty}
    write_html(path, "check_page", values)


def _split_rows(table: AnnotationTable) -> list[tuple[str, int, int, int]]:
    """Return each split with its images, boxes and ignored boxes; all images as one where there is no split."""
    ignored = pl.col("ignore") | pl.col("iscrowd")
    parts = [(split, table.split_of(split)) for split in table.splits] or [("all images", table)]
    return [(name, p.images.height, p.boxes.height, p.boxes.filter(ignored).height) for name, p in parts]


def _plots(table: AnnotationTable, imgsz: InputSize) -> list[tuple[str, str]]:
    """Return the plots of the data as data URIs with what they show, those that have something to show."""
    drawn = (
        (class_bars(table), "Objects of each class, the thirty largest; a colour is a split."),
        (box_sizes(table, imgsz), f"Sides of the objects once images are {imgsz.words}."),
        (aspects(table), "Width over height of the objects."),
        (boxes_of_an_image(table), "Objects in an image."),
    )
    return [(svg_uri(svg), words) for svg, words in drawn if svg]


def _sheets(album: _Album, table: AnnotationTable, shown: CheckShown) -> list[tuple[GalleryImage, str]]:
    """Return the sheets of images with what they show."""
    sheets = (
        (sample_sheet(table, album.reader), "As annotated. Dashed: objects; dotted and grey: ignored regions."),
        (
            augmented_sheet(shown.augmented),
            f"As training sees them in its first epoch, with augment: {shown.augment}, at {shown.imgsz} px. A box "
            "that does not fit its object here teaches something wrong.",
        ),
    )
    return [(sheet, words) for sheet, words in sheets if sheet is not None]


class _Album:
    """Draws the images of findings."""

    def __init__(self, table: AnnotationTable, root: Path) -> None:
        self.table = table
        self.reader = ImageReader(table, root)
        self.classes = dict(table.categories.select("category_id", "name").iter_rows())

    def galleries(self, report: CheckReport) -> list[_Gallery]:
        """Return a gallery for each finding that has images to show."""
        galleries = []
        for finding in report.findings:
            anchor = finding.code.lower()
            images = tuple([*self._pairs(finding, anchor), *self._boxes(finding, anchor)])
            if images:
                galleries.append(_Gallery(anchor, finding.code, finding.message, finding.count, images))
        return galleries

    def _pairs(self, finding: Finding, anchor: str) -> Iterator[GalleryImage]:
        for number, (ids, example) in enumerate(zip(finding.image_pairs, finding.examples, strict=False), start=1):
            both = [rgb for rgb in map(self.reader.read, ids) if rgb is not None]
            if len(both) == len(ids):
                sheet = contact_sheet(both, len(both), cell_wh=_CELL_WH)
                yield gallery_image(f"{anchor}-{number}", f"pair {number}", short_name(example, longest=160), sheet)

    def _boxes(self, finding: Finding, anchor: str) -> Iterator[GalleryImage]:
        rows = self.table.boxes.filter(pl.col("annotation_id").is_in(finding.annotation_ids))
        for number, row in enumerate(rows.iter_rows(named=True), start=1):
            rgb = self.reader.read(row["image_id"])
            if rgb is None:
                continue
            corners = np.array([row[c] for c in XYXY])
            window = crop_window(corners, rgb.shape[1], rgb.shape[0])
            name = short_name(self.classes.get(row["category_id"], "every class"))
            x1, y1, x2, y2 = corners.tolist()
            mark = Mark((x1, y1, x2, y2), "truth", name)
            drawn = draw_window(rgb, [mark], window, largest=max(rgb.shape), shown=_SHOWN)
            caption = f"{', '.join(f'{c:g}' for c in corners)} · {short_name(row['source'], longest=80)}"
            yield gallery_image(f"{anchor}-{number}", name, caption, drawn)
