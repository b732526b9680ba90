"""The boxes of a table as the objects of each image, for formats that write an image at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.ledger import LedgerStep


def with_class(boxes: pl.DataFrame, step: LedgerStep, what: str) -> pl.DataFrame:
    """Return the rows that have a class; the others are counted as left out.

    Args:
        boxes: Rows of a table.
        step: The step of the writer.
        what: What has one class alone, such as `a box of CVAT`.
    """
    leaving = boxes.filter(pl.col("category_id").is_null())
    step.add("box", "dropped", f"ignored for every class: {what} has one", len(leaving), leaving["source"])
    return boxes.filter(pl.col("category_id").is_not_null())


def images_with_objects(table: AnnotationTable) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Give the row of each image with the rows of its boxes, whose class stands in `name`."""
    names = table.categories.select("category_id", "name")
    boxes = table.boxes.join(names, on="category_id", how="left", maintain_order="left")
    of_image: dict[int, list[dict[str, Any]]] = {}
    for row in boxes.iter_rows(named=True):
        of_image.setdefault(row["image_id"], []).append(row)
    for image in table.images.iter_rows(named=True):
        yield image, of_image.get(image["image_id"], [])


def below_split(file_name: str, split: str | None) -> str:
    """Return the name of an image of a data folder relative to the folder of its split."""
    return file_name.removeprefix(f"{split}/")
