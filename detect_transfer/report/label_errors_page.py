"""The page of labels that may be wrong, kind by kind, each with the label and with what the detector sees there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.report.drawings import Mark
from detect_transfer.report.gallery import GalleryImage, crop_window, gallery_image
from detect_transfer.report.image_reading import ImageReader
from detect_transfer.report.templates import write_html
from detect_transfer.report.text import short_name
from detect_transfer.report.window import draw_window

_KINDS = {
    "class": ("Another class", "Something else seems to be there than the label says."),
    "location": ("Another place", "The box of the label seems not to be that of the object."),
    "missing": ("No label", "There seems to be an object that has no label."),
}
_SHOWN = 560
_MOST_OF_A_KIND = 60


@dataclass(frozen=True)
class _Group:
    """The images of one kind."""

    anchor: str
    title: str
    words: str
    count: int
    images: tuple[GalleryImage, ...]


def write_label_errors_page(
    path: Path, table: AnnotationTable, errors: pl.DataFrame, *, title: str, facts: Sequence[str]
) -> None:
    """Write the page as one file with its images inside; an image that cannot be read is left out and named.

    Args:
        path: The HTML file.
        table: Images, with their folder, and labels.
        errors: Rows of `label_errors`, with the label as `label_x1` to `label_y2`.
        title: The heading.
        facts: What was looked at, a sentence each.

    Raises:
        ResourceError: The disk is full or does not let us write.
    """
    reader = ImageReader(table, table.image_root or Path())
    names = dict(table.categories.select("category_id", "name").iter_rows())
    groups = []
    for kind, (heading, words) in _KINDS.items():
        rows = errors.filter(pl.col("kind") == kind)
        images = tuple(_images(reader, names, rows.head(_MOST_OF_A_KIND)))
        groups.append(_Group(kind, heading, words, rows.height, images))
    values: dict[str, Any] = {"title": short_name(title, longest=120), "facts": list(facts), "groups": groups}
    write_html(path, "label_errors_page", {**values, "unread": list(reader.unread.values())})


def _images(reader: ImageReader, names: Mapping[int, str], rows: pl.DataFrame) -> Iterator[GalleryImage]:
    for number, row in enumerate(rows.iter_rows(named=True), start=1):
        rgb = reader.read(row["image_id"])
        if rgb is None:
            continue
        seen = np.array([row[c] for c in XYXY])
        around, marks = seen, [_mark(seen, "detection", names[row["suggested_id"]])]
        title = names[row["suggested_id"]]
        if row["annotation_id"] is not None:
            label = np.array([row[f"label_{c}"] for c in XYXY])
            around = np.concatenate([np.minimum(seen, label)[:2], np.maximum(seen, label)[2:]])
            marks.insert(0, _mark(label, "truth", names[row["category_id"]]))
            title = names[row["category_id"]]
            if row["kind"] == "class":
                title += f" or {names[row['suggested_id']]}?"
        drawn = draw_window(rgb, marks, crop_window(around, rgb.shape[1], rgb.shape[0]), largest=1280, shown=_SHOWN)
        file = short_name(reader.file_names[row["image_id"]], longest=80)
        caption = f"{row['suspicion']:.2f} · {file}"
        yield gallery_image(f"{row['kind']}-{number}", short_name(title), caption, drawn)


def _mark(corners: Any, kind: str, name: str) -> Mark:
    x1, y1, x2, y2 = corners.tolist()
    return Mark((x1, y1, x2, y2), kind, short_name(name))
