"""Persons, as rows of truth and of detections, and tables of them."""

import polars as pl

from detect_transfer.core.annotations import AnnotationTable

NINE = 9  # points of a curve
FLOOR = 1e-10  # the least miss rate


def sized(table, width=640, height=480):
    images = table.images.with_columns(width=pl.lit(width, pl.Int32), height=pl.lit(height, pl.Int32))
    return AnnotationTable(images, table.boxes, table.categories)


def person(x, y, height, *, image=1, flags=""):
    """A box of the width that Caltech gives every person."""
    return (image, 1, x, y, x + 0.41 * height, y + height, flags)


def called(table, *names):
    return AnnotationTable(table.images, table.boxes, table.categories.with_columns(pl.Series("name", names)))


def of_class(box, category):
    return (box[0], category, *box[2:])


def tp(box, score):
    return (*box[:6], score)
