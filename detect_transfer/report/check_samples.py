"""Sheets of images on the page of a check: as annotated, and as training will see them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.arrays import RgbArray
from detect_transfer.report.drawings import Mark, contact_sheet, draw_marks, marks_of
from detect_transfer.report.gallery import GalleryImage, gallery_image
from detect_transfer.report.image_reading import ImageReader

MOST_SAMPLES = 12
_COLUMNS, _CELL_WH = 4, (300, 225)
_SHOWN = 600


@dataclass(frozen=True)
class AugmentedImage:
    """A training image after augmentation (H, W, 3), with its boxes as marks."""

    image_rgb: RgbArray
    marks: Sequence[Mark]


def sample_images(table: AnnotationTable) -> pl.DataFrame:
    """Return the images of the sheet: spread over the table, those with boxes first."""
    with_boxes = table.images.join(table.boxes, on="image_id", how="semi", maintain_order="left")
    images = with_boxes if with_boxes.height else table.images
    return images.gather_every(max(1, images.height // MOST_SAMPLES)).head(MOST_SAMPLES)


def sample_sheet(table: AnnotationTable, reader: ImageReader) -> GalleryImage | None:
    """Return some images with their boxes on one sheet; None where none can be read."""
    names = dict(table.categories.select("category_id", "name").iter_rows())
    drawn = []
    for image_id in sample_images(table)["image_id"]:
        rgb = reader.read(image_id)
        if rgb is not None:
            boxes = table.boxes.filter(pl.col("image_id") == image_id)
            status = pl.when(pl.col("ignore") | pl.col("iscrowd")).then(pl.lit("ignored")).otherwise(pl.lit("truth"))
            marks = marks_of(boxes.with_columns(status.alias("status")), pl.DataFrame(), names)
            drawn.append(draw_marks(rgb, marks, legend=False, shown_side=_SHOWN))
    return _sheet("samples", "Images as annotated", drawn)


def augmented_sheet(images: Iterable[AugmentedImage]) -> GalleryImage | None:
    """Return training images after augmentation on one sheet; None where there are none."""
    drawn = [draw_marks(image.image_rgb, image.marks, legend=False, shown_side=_SHOWN) for image in images]
    return _sheet("augmented", "Images as training sees them", drawn)


def _sheet(anchor: str, title: str, drawn: Sequence[RgbArray]) -> GalleryImage | None:
    if not drawn:
        return None
    sheet = contact_sheet(drawn, _COLUMNS, cell_wh=_CELL_WH)
    return gallery_image(anchor, title, f"{len(drawn)} images, spread over the data", sheet)
