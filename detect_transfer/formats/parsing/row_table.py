"""Checks that most rows need, and the table that they end in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from detect_transfer.core.annotations import AnnotationTable, Columns
from detect_transfer.core.columns import text_of
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.box_format import check_corner_order
from detect_transfer.formats.parsing.checks import check_rows
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import FoundImage

CORNERS = ("left", "top", "right", "bottom")
_MOST_LISTED = 1000


def check_corners(
    data: pl.DataFrame, root: Path, problems: ErrorCollector, corners: Sequence[str] = CORNERS
) -> pl.DataFrame:
    """Report the rows whose corners, named in the order left, top, right, bottom, are swapped; return the others."""
    for low, high in zip(corners[:2], corners[2:], strict=True):
        told = ("BOX_INVALID", f"{high} must be >= {low}", high)
        data = check_rows(data, pl.col(high) >= pl.col(low), root, problems, told=told)
    return data


def check_classes(
    data: pl.DataFrame, column: str, ids: Mapping[str, int], root: Path, problems: ErrorCollector
) -> pl.DataFrame:
    """Add `category_id` by the word in a column; rows with a word that is not among `ids` are reported and leave."""
    known = pl.col(column).is_in(list(ids)).fill_null(False)
    told = ("CLASS_UNKNOWN", "there is no such class", column)
    remedy = "give one of: " + ", ".join(ids)
    data = check_rows(data, known, root, problems, told=told, remedy=remedy)
    found = pl.col(column).replace_strict(list(ids), list(ids.values()), return_dtype=pl.Int64)
    return data.with_columns(category_id=found)


def finish_rows(
    problems: ErrorCollector, *, rows: pl.DataFrame, found: Mapping[str, FoundImage], categories: Columns,
    image_root: Path | None, facts: pl.DataFrame | None = None,
) -> AnnotationTable:  # fmt: skip
    """Make the table of a data set whose rows name images.

    Args:
        problems: The faults found; those that are errors are raised.
        rows: A row a box: `image` as in `found`, `file` and `line` or else `source`, and columns of the table by
            their names.
        found: The images by the names that rows use; several names may stand for one image.
        categories: As for `AnnotationTable.from_columns`.
        image_root: The folder of the images.
        facts: Further columns of images, by `image`.

    Raises:
        InputError: There are faults, or no image is left.
    """
    check_corner_order(problems, rows.height)
    problems.raise_any()
    if not found:
        raise InputError(
            *("IMAGES_NONE", "no image is left"),
            where=image_root,
            remedy="give the folder that holds the annotations with their images",
        )
    names = {name: one.file_name for name, one in found.items()}
    sizes = [one.size_wh or (None, None) for one in found.values()]
    images = pl.DataFrame(
        {
            "image": list(names),
            "file_name": list(names.values()),
            "width": pl.Series([w for w, _ in sizes], dtype=pl.Int32),
            "height": pl.Series([h for _, h in sizes], dtype=pl.Int32),
        }
    ).with_columns(image_id=pl.col("file_name").rank("dense").cast(pl.Int64))
    if "source" not in rows.columns:
        rows = rows.with_columns(source=text_of("{}:{}", "file", "line")).drop("file", "line")
    lost = rows.join(images, on="image", how="anti")["source"]
    problems.note("its image is left out", len(lost), tuple(lost.head(_MOST_LISTED)), kind="box")
    boxes = rows.join(images.select("image", "image_id"), on="image", how="inner", maintain_order="left")
    if facts is not None:
        images = images.join(facts, on="image", how="left")
    return native.finish(
        problems,
        images=images.sort("image_id").unique("image_id", keep="first", maintain_order=True).drop("image"),
        boxes=boxes.drop("image").with_row_index("annotation_id", offset=1),
        categories=categories,
        image_root=image_root,
        names=names,
    )
