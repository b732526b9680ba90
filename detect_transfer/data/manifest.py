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
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.io import sha256_file, write_json
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
    write_json(folder / "manifest.json", manifest)


def _facts(path: Path, image_root: Path, images: Mapping[str, FileFacts]) -> dict[str, Any]:
    written = images.get(path.relative_to(image_root).as_posix()) if path.is_relative_to(image_root) else None
    if written is not None:
        return {"bytes": written.n_bytes, "sha256": written.sha256}
    return {"bytes": path.stat().st_size, "sha256": sha256_file(path)}


def count_splits(plan: IgnorePlan) -> dict[str, dict[str, Any]]:
    """Return for each split `images`, `boxes`, `ignored`, `label_rows` and `classes` (boxes that count, by name)."""
    counts = {}
    for split in plan.table.splits:
        part = plan.table.split_of(split)
        region = part.boxes["ignore"] | part.boxes["iscrowd"]
        per_class = dict(part.boxes.filter(~region).group_by("category_id").len().rows())
        label_rows = plan.rows.join(part.images, on="image_id", how="semi")
        counts[split] = {
            "images": len(part.images),
            "boxes": len(part.boxes),
            "ignored": int(region.sum()),
            "label_rows": len(label_rows),
            "classes": {name: per_class.get(i, 0) for i, name in _classes(part)},
        }
    return counts


def _classes(table: AnnotationTable) -> list[tuple[int, str]]:
    return table.categories.sort("category_id").select("category_id", "name").rows()
