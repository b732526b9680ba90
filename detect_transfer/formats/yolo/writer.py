"""YOLO labels: a text file an image with rows `class_index cx cy w h`, and `data.yaml`.

The numbers stand on a grid of 1e-8 of the image, the edges on one of 2e-8, so that `cx - w/2` and `cx + w/2` never
leave [0, 1] and a box comes back within 0.001 pixel at any size in use. Text is built by whole-column expressions.
"""

from __future__ import annotations

from pathlib import Path
from posixpath import splitext

import polars as pl
import yaml

from detect_transfer.core.annotations import XYXY, Annotations
from detect_transfer.core.columns import AnyFrame, collected, joined, n_rows
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import write_atomic
from detect_transfer.core.ledger import Ledger
from detect_transfer.formats.writing.ignored_regions import IgnorePlan
from detect_transfer.formats.writing.losses import note_losses
from detect_transfer.formats.writing.small_files import write_rows_by_image

CARRIED = ("split",)
NARROW = "no area that a label row could hold"
_UNITS = 100_000_000  # a label number is a whole count of 1 / _UNITS
_EDGE_UNITS = _UNITS // 2  # edges stand on every second unit, so that their mean is on the grid too
_EDGES = ("_x1", "_y1", "_x2", "_y2")


def write_labels(plan: IgnorePlan, out: Path, ledger: Ledger) -> None:
    """Write `labels/` and `data.yaml` for images that lie in `out/images/` under their `file_name`.

    Every image gets a label file, an empty one where it has no rows. The files are written straight to their place, so
    `out` should be a folder that is published whole (`files.new_folder`).

    Args:
        plan: What becomes of ignored regions; `file_name` begins with the split where there is one.
        out: The folder to write to.
        ledger: Gets the step of the labels.

    Raises:
        InputError: Two images share a label file, an image with boxes has no size, or a file name leads out of the
            folder.
        ResourceError: The disk is full or does not let us write.
    """
    images = plan.table.images.select("image_id", pl.col("file_name").map_elements(label_path, pl.String).alias("name"))
    step = ledger.open("yolo", images=len(images), boxes=n_rows(plan.rows))
    rows, narrow = rows_on_grid(plan)
    step.add("box", "dropped", NARROW, len(narrow), narrow["source"])
    check_stems(plan.table.images["file_name"].to_list(), plan.table.images["file_name"].to_list())
    n_written = write_rows_by_image(out / "labels", images, row_texts(rows, plan.table))
    write_atomic(out / "data.yaml", data_yaml(plan.table))
    note_losses(step, plan.table.with_boxes(plan.rows), CARRIED)
    step.close(images_out=len(images), boxes_out=n_written)


def label_path(file_name: str) -> str:
    """Return the path below `labels/` that ultralytics derives from the path of an image below `images/`."""
    return f"{splitext(file_name)[0]}.txt"


def data_yaml(table: Annotations) -> str:
    """Return the text of `data.yaml`: relative to its own folder, nothing to download, names by class index."""
    names = dict(enumerate(table.class_names))
    folders = {split: f"images/{split}" for split in sorted(table.splits, key=_split_order)}
    return yaml.safe_dump({**folders, "names": names}, sort_keys=False, allow_unicode=True)


def rows_on_grid(plan: IgnorePlan) -> tuple[AnyFrame, pl.DataFrame]:
    """Return the label rows with their edges as whole numbers on the grid, and those that are too narrow for it.

    Raises:
        InputError: An image with boxes has no size.
    """
    sizes = plan.table.images.select("image_id", "width", "height", "file_name")
    needed = ("annotation_id", "image_id", "category_id", "source", *XYXY)
    rows = joined(plan.rows.select(needed), sizes, on="image_id", how="left")
    unsized = collected(rows.filter(~((pl.col("width") > 0) & (pl.col("height") > 0)).fill_null(False)).head(1))
    if not unsized.is_empty():
        raise InputError(
            "EXPORT_SIZE",
            "the image has boxes, but its size is not known, and a label row is a share of it",
            where=unsized["source"][0],
            field="file_name",
            value=unsized["file_name"][0],
            remedy="give the images, or width and height in the annotations",
        )
    limits = {"x": pl.col("width"), "y": pl.col("height")}
    rows = rows.with_columns(
        ((pl.col(c).clip(0.0, limits[c[0]]) / limits[c[0]]) * _EDGE_UNITS).round().cast(pl.Int64).alias(edge)
        for c, edge in zip(XYXY, _EDGES, strict=True)
    )
    wide = (pl.col("_x2") > pl.col("_x1")) & (pl.col("_y2") > pl.col("_y1"))
    narrow = collected(rows.filter(~wide).select("annotation_id", "source"))
    return (rows.filter(wide) if len(narrow) else rows), narrow


def row_texts(rows: AnyFrame, table: Annotations) -> AnyFrame:
    """Return rows on the grid as `image_id` and `text`, the lines of label files."""
    indices = table.categories.select("category_id").sort("category_id").with_row_index("_class")
    x1, y1, x2, y2 = (pl.col(edge) for edge in _EDGES)
    numbers = (x1 + x2, y1 + y2, 2 * (x2 - x1), 2 * (y2 - y1))
    text = pl.concat_str("_class", *[_decimal(n) for n in numbers], separator=" ") + "\n"
    return joined(rows, indices, on="category_id", how="left").select("image_id", text.alias("text"))


def _decimal(units: pl.Expr) -> pl.Expr:
    """Write a whole number of units as a decimal of eight places in [0, 1]."""
    digits = (units + _UNITS).cast(pl.String).str.slice(1)  # the leading 1 keeps the zeros that follow it
    return pl.when(units >= _UNITS).then(pl.lit("1.00000000")).otherwise(pl.concat_str(pl.lit("0."), digits))


def check_stems(sources: list[str], targets: list[str]) -> None:
    """Check that no two images would read one label file.

    Args:
        sources: The names of the images as the user knows them.
        targets: Their names below `images/`, in the same order.

    Raises:
        InputError: Two would; names both.
    """
    paths = [label_path(target) for target in targets]
    if len(set(paths)) == len(paths):
        return
    first: dict[str, str] = {}
    for source, path in zip(sources, paths, strict=True):
        if path in first:
            raise InputError(
                "EXPORT_STEM",
                f"'{first[path]}' and '{source}' would share the label file {path}",
                field="file_name",
                value=source,
                remedy="rename one of them, or write no file an image: --to coco",
            )
        first[path] = source


def _split_order(split: str) -> tuple[int, str]:
    usual = ("train", "val", "test")
    return (usual.index(split) if split in usual else len(usual), split)
