"""Whether the numbers of boxes are what a format says: corners or sizes, pixels or shares of the image.

A single odd box is the user's to judge. What is refused here is a data set whose boxes together cannot be meant as they
were read.
"""

from __future__ import annotations

import polars as pl

from detect_transfer.core.annotations import XYXY
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing.error_collector import ErrorCollector

_FEWEST = 3  # boxes that make evidence
_SMALLEST_IMAGE = 8
_CONVERTED = "convert the numbers first"


def check_corner_order(errors: ErrorCollector, n_boxes: int) -> None:
    """Refuse a data set with at least as many inverted boxes as good ones: they look like x, y, width, height.

    Args:
        errors: The faults so far.
        n_boxes: How many boxes are not at fault.

    Raises:
        InputError: They are (`BOX_FORMAT`).
    """
    n_inverted = errors.codes["BOX_INVALID"]
    if n_inverted < _FEWEST or n_inverted < n_boxes:
        return
    faults = (*errors.shown, *errors.skipped_rows, *errors.skipped_images.values())
    where = next((error.where for error in faults if error.code == "BOX_INVALID"), None)
    what = f"{n_inverted:,} of {n_inverted + n_boxes:,} boxes end before they begin, as x, y, width, height would"
    remedy = f"write the edges that the format asks for: x2 = x + width, y2 = y + height; {_CONVERTED}"
    raise InputError("BOX_FORMAT", what, where=where, field="box", remedy=remedy)


def check_shares(images: pl.DataFrame, boxes: pl.DataFrame) -> None:
    """Refuse boxes in pixels that look like shares of the image.

    Args:
        images: At least `width` and `height`.
        boxes: At least the corners.

    Raises:
        InputError: They do (`BOX_FORMAT`): all of them lie within two pixels of the corner of the image.
    """
    if boxes.height < _FEWEST or not boxes.select(pl.max_horizontal(pl.col(XYXY).abs().max()) <= 2).item():
        return
    is_large = ((pl.col("width") > _SMALLEST_IMAGE) & (pl.col("height") > _SMALLEST_IMAGE)).fill_null(True)
    has_fraction = pl.any_horizontal((pl.col(XYXY) % 1 != 0).any())
    if images.select(is_large.all()).item() and boxes.select(has_fraction).item():
        what = "all boxes lie within two pixels of the corner of their images, so the numbers look like shares"
        _refuse(boxes, what, f"write pixels: x times the width, y times the height of the image; {_CONVERTED}")


def check_sizes(images: pl.DataFrame, boxes: pl.DataFrame) -> None:
    """Refuse boxes that a format states as x, y, width, height and that look like corners.

    Args:
        images: `image_id`, `width`, `height`.
        boxes: `image_id` and corners in pixels.

    Raises:
        InputError: They do (`BOX_FORMAT`): all of them leave their images, and none would as corners.
    """
    x1, y1, x2, y2 = (pl.col(name) for name in XYXY)
    width, height = pl.col("width"), pl.col("height")
    leaves = (x2 > width + 1) | (y2 > height + 1)
    fits = (x2 - x1 >= x1) & (y2 - y1 >= y1) & (x2 - x1 <= width + 1) & (y2 - y1 <= height + 1)
    sized = boxes.lazy().join(images.lazy().select("image_id", "width", "height"), on="image_id")
    is_proof = (leaves & fits).fill_null(False).all() & (pl.len() >= _FEWEST)
    if boxes.height >= _FEWEST and sized.select(is_proof).collect().item():
        what = "all boxes leave their images, and none would if the numbers were x1, y1, x2, y2"
        _refuse(boxes, what, f"write x, y, width, height: width = x2 - x1, height = y2 - y1; {_CONVERTED}")


def _refuse(boxes: pl.DataFrame, what: str, remedy: str) -> None:
    where = boxes["source"][0] if "source" in boxes.columns else None
    raise InputError("BOX_FORMAT", what, where=where, field="box", remedy=remedy)
