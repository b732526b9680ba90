"""What several exports of tools share: splits in file names, images of other machines, shares of the image."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

import polars as pl

from detect_transfer.formats.parsing.locations import NearbyImages, path_of_address, split_named
from detect_transfer.formats.parsing.rows import Rows
from detect_transfer.formats.parsing.source import Source


def folder_of(name: str) -> str | None:
    """Return the folder of a file below the root, which the images of its rows are relative to; None for the root."""
    return name.rpartition("/")[0] or None


def splits_by_file(rows: Rows, field: str) -> dict[str, str | None]:
    """Return the split of each image by the name of its file of rows, which may name it in one split alone.

    Args:
        rows: Rows of text that name images.
        field: The field that does, for the message.
    """
    splits: dict[str, str | None] = {}
    for image, file in rows.data.select("image", "file").unique(maintain_order=True).rows():
        split = split_named(*re.split(r"[-_./]", file))
        if splits.setdefault(image, split) != split:
            what, remedy = f"the image is in '{splits[image]}' as well", "keep it in one of them"
            rows.errors.add("SPLIT_TWICE", what, where=file, field=field, value=image, remedy=remedy)
    return splits


def with_nearest_images(rows: Rows) -> Rows:
    """Let rows mean the images below the root that share most of the last parts of the paths that they state."""
    nearby = NearbyImages(rows.root)
    images = {path: nearby.nearest(path_of_address(path)) for path in rows.data["image"].unique()}
    rows.errors.rename_skipped(lambda path: [images.get(path, path)])
    return rows.with_columns(image=pl.col("image").replace_strict(images, return_dtype=pl.String))


def with_image_sizes(source: Source, rows: Rows) -> Rows:
    """Add `image_width` and `image_height` in pixels to rows; an image without a size is reported if one is needed."""
    sizes = [(name, *(image.size_wh or (None, None))) for name, image in source.find_images().items()]
    schema = {"image": pl.String, "image_width": pl.Float64, "image_height": pl.Float64}
    frame = pl.DataFrame(sizes, schema=schema, orient="row")
    return replace(rows, data=rows.data.join(frame, on="image", how="left", maintain_order="left"))


def require_image_sizes(source: Source) -> None:
    """Report the images without a size, where boxes are shares of it."""
    what = "its boxes are shares of the image, which is not there and whose size is not stated"
    remedy = "restore it, or read with missing_images=skip to leave its rows out"
    for name, image in source.find_images().items():
        if image.size_wh is None:
            where = source.images[name].where
            source.errors.add("IMAGE_MISSING", what, where=where, field="image", value=name, image=name, remedy=remedy)


def report_unannotated(source: Source, names: Iterable[str], what: str, remedy: str) -> None:
    """Report images that no annotation names."""
    for name in names:
        source.errors.add("ANNOTATION_MISSING", what, where=source.root / name, image=name, remedy=remedy)
