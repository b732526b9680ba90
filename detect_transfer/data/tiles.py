"""Images of a table cut into overlapping tiles, with their boxes: small objects keep their pixels in training.

Cutting comes after the split, so that the tiles of an image stay in one, and each tile names its image as `group`, so
that no later split parts them. An object of which a tile shows too little is ignored there: it is neither a target nor
background. With an overlap as wide as the object, another tile shows it whole.

Source: Akyon, Altinuc and Temizel, Slicing Aided Hyper Inference and Fine-Tuning for Small Object Detection, ICIP 2022.
"""

from __future__ import annotations

from dataclasses import replace

import orjson
import polars as pl

from detect_transfer.core.annotations import BOX_SCHEMA, VISIBLE_XYXY, XYXY, AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.ledger import Ledger
from detect_transfer.core.tiles import Tiling
from detect_transfer.data.published import NOT_TRAINED, RAW_AREA, RAW_BOX, RAW_VISIBLE

TILE_OF, TILE_X, TILE_Y = "tile_of", "tile_x", "tile_y"  # columns of images: the image that a tile is of, its corner
SOURCE_ID = "_source_image_id"  # column of images while a conversion goes on
LEAST_SHARE = 0.5  # of an object that a tile shows; with less it is ignored there
_WHOLE = 1 - 1e-9
_WINDOW = ("_x1", "_y1", "_x2", "_y2")


def cut_into_tiles(
    table: AnnotationTable, tiling: Tiling, ledger: Ledger, *, least_share: float = LEAST_SHARE
) -> AnnotationTable:
    """Return the table of the tiles of its images; an image that is not larger than a tile stays as it is.

    Args:
        table: Cleaned boxes, with split and sizes.
        tiling: The tiles.
        ledger: Gets the step `tiles`.
        least_share: The share in (0, 1] of the area of an object that a tile has to show, for a target there.

    Raises:
        InputError: The size of an image is not known.
    """
    step = ledger.open("tiles", images=len(table.images), boxes=len(table.boxes))
    images = _tiles_of(table.images, tiling)
    step.add("image", "added", "a further tile of an image", len(images) - len(table.images))
    shown = _in_tiles(table.boxes, images)
    n_shown = shown["annotation_id"].n_unique()
    step.add("box", "dropped", "without area, so that no tile shows it", len(table.boxes) - n_shown)
    step.add("box", "added", "shown by a further tile", len(shown) - n_shown)
    is_object = ~(pl.col("ignore") | pl.col("iscrowd"))
    cut = shown.filter(is_object & (pl.col("_share") < _WHOLE))
    too_little = pl.col("_share") < least_share
    ignored = cut.filter(too_little)
    step.add("box", "changed", f"cut by a tile, {least_share:.0%} or more of it is shown", len(cut) - len(ignored))
    step.add("box", "changed", f"cut by a tile, less than {least_share:.0%} is shown: ignored there", len(ignored))
    further = [name for name in table.boxes.columns if name not in BOX_SCHEMA]
    if further:
        step.add("box", "noted", f"tiles have no {', '.join(further)}, which is of the whole image", len(shown))
    boxes = _boxes_of(shown, is_object & too_little)
    step.close(images_out=len(images), boxes_out=len(boxes))
    return replace(table, images=images.drop(_WINDOW, NOT_TRAINED, strict=False), boxes=boxes)


def _tiles_of(images: pl.DataFrame, tiling: Tiling) -> pl.DataFrame:
    """Return a row a tile, with its window in pixels of the image."""
    unsized = images.filter(pl.col("width").is_null() | pl.col("height").is_null())["file_name"]
    if len(unsized):
        raise InputError(
            "SIZE_UNKNOWN",
            f"images are cut into tiles by their size; that of {len(unsized)} is unknown",
            field="file_name",
            value=unsized[0],
            remedy="convert with --image-mode copy or link",
        )
    sizes = zip(images["width"], images["height"], strict=True)
    windows = pl.Series("_window", [tiling.windows(size) for size in sizes], dtype=pl.List(pl.Array(pl.Int32, 4)))
    rows = images.with_columns(windows).explode("_window")
    x1, y1, x2, y2 = (pl.col("_window").arr.get(i) for i in range(4))
    is_tile = (x2 - x1 < pl.col("width")) | (y2 - y1 < pl.col("height"))
    return rows.with_columns(
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("image_id"),
        pl.col("image_id").alias(SOURCE_ID),
        (x2 - x1).alias("width"),
        (y2 - y1).alias("height"),
        pl.when(is_tile).then(pl.coalesce("group", "file_name")).otherwise("group").alias("group"),
        pl.when(is_tile).then("file_name").alias(TILE_OF),
        pl.when(is_tile).then(x1).alias(TILE_X),
        pl.when(is_tile).then(y1).alias(TILE_Y),
        *(value.alias(name) for value, name in zip((x1, y1, x2, y2), _WINDOW, strict=True)),
    ).drop("_window")


def _in_tiles(boxes: pl.DataFrame, tiles: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each box in each tile that shows some of it, with the share of its area as `_share`."""
    windows = tiles.select(pl.col("image_id").alias("_tile_id"), pl.col(SOURCE_ID).alias("image_id"), *_WINDOW)
    rows = boxes.join(windows, on="image_id", how="inner", maintain_order="left_right")
    wide = pl.min_horizontal("x2", "_x2") - pl.max_horizontal("x1", "_x1")
    high = pl.min_horizontal("y2", "_y2") - pl.max_horizontal("y1", "_y1")
    rows = rows.filter((wide > 0) & (high > 0))
    return rows.with_columns(
        (wide * high / ((pl.col("x2") - pl.col("x1")) * (pl.col("y2") - pl.col("y1")))).alias("_share")
    )


def _boxes_of(shown: pl.DataFrame, becomes_ignored: pl.Expr) -> pl.DataFrame:
    """Return the boxes of tiles, in pixels of these."""
    is_cut = pl.col("_share") < _WHOLE
    corners = [
        (pl.min_horizontal(pl.max_horizontal(name, low), high) - low).alias(name)
        for name, low, high in zip((*XYXY, *VISIBLE_XYXY), ("_x1", "_y1") * 4, ("_x2", "_y2") * 4, strict=True)
    ]
    rows = shown.with_columns(
        *corners,
        pl.col("_tile_id").alias("image_id"),
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("annotation_id"),
        (pl.col("ignore") | becomes_ignored).alias("ignore"),
        pl.when(becomes_ignored)
        .then(pl.format("{} % of it in this tile", (pl.col("_share") * 100).round().cast(pl.Int64)))
        .otherwise("ignore_reason")
        .alias("ignore_reason"),
        pl.when(is_cut)
        .then(1 - (1 - pl.col("truncated").fill_null(0.0)) * pl.col("_share"))
        .otherwise("truncated")
        .alias("truncated"),
        pl.col("attributes").map_elements(_without_published, return_dtype=pl.String, skip_nulls=True),
    )
    none_left = (pl.col("vis_x2") <= pl.col("vis_x1")) | (pl.col("vis_y2") <= pl.col("vis_y1"))
    visible = [pl.when(none_left).then(None).otherwise(name).alias(name) for name in VISIBLE_XYXY]
    return rows.with_columns(visible).select(*BOX_SCHEMA)


def _without_published(attributes: str) -> str | None:
    """Return attributes without the published corners, which are of the whole image."""
    if '"raw_' not in attributes:
        return attributes
    stated = orjson.loads(attributes)
    rest = {key: value for key, value in stated.items() if key not in (RAW_BOX, RAW_VISIBLE, RAW_AREA)}
    return orjson.dumps(rest).decode() if rest else None
