"""The manifest of a data folder: what it is, how it was made, and a hash of every file in it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy
import orjson
import PIL
import polars as pl

import detect_transfer
from detect_transfer.core.columns import collected, joined
from detect_transfer.core.io import sha256_file, write_json
from detect_transfer.core.written_links import MANIFEST
from detect_transfer.data.image_writing import FileFacts
from detect_transfer.formats.writing.ignored_regions import IgnorePlan

MANIFEST_VERSION = 1


def write_manifest(folder: Path, facts: Mapping[str, Any], images: Mapping[str, FileFacts]) -> None:
    """Write `manifest.json`, which vouches for every file of the folder; it holds no absolute path and no date.

    Args:
        folder: The data folder, whole but for the manifest.
        facts: What it is: the format, the source, the options, the seed, the counts.
        images: The facts of files below `images/`, which are not read again.

    Raises:
        ResourceError: The disk is full or does not let us write.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = {
        "manifest_version": MANIFEST_VERSION,
        **facts,
        "versions": {
            "detect_transfer": detect_transfer.__version__,
            "python": platform.python_version(),
            "polars": pl.__version__,
            "numpy": numpy.__version__,
            "pillow": PIL.__version__,
            "orjson": orjson.__version__,
        },
        "files": {path.relative_to(folder).as_posix(): _facts(path, folder / "images", images) for path in files},
    }
    write_json(folder / MANIFEST, manifest)


def _facts(path: Path, image_root: Path, images: Mapping[str, FileFacts]) -> dict[str, Any]:
    written = images.get(path.relative_to(image_root).as_posix()) if path.is_relative_to(image_root) else None
    if written is not None:
        return {"bytes": written.n_bytes, "sha256": written.sha256}
    return {"bytes": path.stat().st_size, "sha256": sha256_file(path)}


def count_splits(plan: IgnorePlan) -> dict[str, dict[str, Any]]:
    """Return for each split `images`, `boxes`, `ignored`, `label_rows` and `classes` (boxes that count, by name)."""
    table, splits = plan.table, plan.table.images.select("image_id", "split")
    region = (pl.col("ignore") | pl.col("iscrowd")).alias("region")
    boxes = joined(table.boxes.select("image_id", "category_id", region), splits, on="image_id", how="left")
    counts = collected(boxes.group_by("split", "category_id", "region").len())
    of_class = {(split, category_id): n for split, category_id, region, n in counts.rows() if not region}
    rows = joined(plan.rows.select("image_id"), splits, on="image_id", how="left")
    n_images, n_rows = (dict(collected(frame.group_by("split").len()).rows()) for frame in (splits, rows))
    n_boxes, n_ignored = (
        dict(frame.group_by("split").agg(pl.col("len").sum()).rows()) for frame in (counts, counts.filter("region"))
    )
    classes = table.categories.sort("category_id").select("category_id", "name").rows()
    return {
        split: {
            "images": n_images[split],
            "boxes": n_boxes.get(split, 0),
            "ignored": n_ignored.get(split, 0),
            "label_rows": n_rows.get(split, 0),
            "classes": {name: of_class.get((split, category_id), 0) for category_id, name in classes},
        }
        for split in table.splits
    }
