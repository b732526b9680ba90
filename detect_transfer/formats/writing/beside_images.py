"""Formats whose annotations lie in the folder of the images: FiftyOne, Roboflow, Hugging Face.

The images of the data folder come there as links that take no room: what `images/` holds is the same file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.disk import resource_errors
from detect_transfer.core.io import write_atomic
from detect_transfer.core.ledger import Ledger
from detect_transfer.formats.coco.writer import write_coco
from detect_transfer.formats.parsing.own_columns import FLAGS
from detect_transfer.formats.writing.losses import note_losses
from detect_transfer.formats.writing.objects import images_with_objects, with_class

HUGGING_FACE_CARRIED = ("split", "ignore_reason", "occluded", "truncated", "track_id", *FLAGS)
_SPLITS_OF_ROBOFLOW = {"val": "valid"}
_SHARES = ("occluded", "truncated")


def write_fiftyone(table: AnnotationTable, data_folder: Path, *, ledger: Ledger | None = None) -> None:
    """Write `fiftyone/<split>/labels.json` and `data/`, which FiftyOne imports as its COCODetectionDataset.

    Source: https://docs.voxel51.com/user_guide/import_datasets.html
    """
    for split, part in _parts(table):
        folder = data_folder / "fiftyone" / split
        write_coco(part, folder / "labels.json", ledger=ledger)
        link_images(part, data_folder / "images" / split, folder / "data")


def write_roboflow(table: AnnotationTable, data_folder: Path, *, ledger: Ledger | None = None) -> None:
    """Write `roboflow/<train|valid|test>/_annotations.coco.json` with the images beside it."""
    for split, part in _parts(table):
        folder = data_folder / "roboflow" / _SPLITS_OF_ROBOFLOW.get(split, split)
        write_coco(part, folder / "_annotations.coco.json", ledger=ledger)
        link_images(part, data_folder / "images" / split, folder)


def write_hugging_face(table: AnnotationTable, data_folder: Path, *, ledger: Ledger | None = None) -> None:
    """Write `hugging_face/<split>/metadata.jsonl` with the images beside it, an imagefolder.

    A row has the `file_name`, the size, and `objects` as lists of one length: `bbox` (x, y, width, height in pixels),
    `category`, and what else some box says.

    Source: https://huggingface.co/docs/datasets/image_dataset
    """
    step = (ledger or Ledger()).open("hugging_face", images=len(table.images), boxes=len(table.boxes))
    table = table.with_boxes(with_class(table.boxes, step, "an object of an imagefolder"))
    said = [name for name in FLAGS if table.boxes[name].any()]
    said += [name for name in HUGGING_FACE_CARRIED[1:5] if table.boxes[name].is_not_null().any()]
    for split, part in _parts(table):
        folder = data_folder / "hugging_face" / split
        lines = []
        for image, rows in images_with_objects(part):
            objects = {
                "bbox": [[row["x1"], row["y1"], row["x2"] - row["x1"], row["y2"] - row["y1"]] for row in rows],
                "category": [row["name"] for row in rows],
                **{name: [row[name] for row in rows] for name in said},
            }
            size = {key: image[key] for key in ("width", "height") if image[key] is not None}
            lines.append(orjson.dumps({"file_name": image["file_name"], **size, "objects": objects}) + b"\n")
        write_atomic(folder / "metadata.jsonl", b"".join(lines))
        link_images(part, data_folder / "images" / split, folder)
    note_losses(step, table, HUGGING_FACE_CARRIED)
    step.close(images_out=len(table.images), boxes_out=len(table.boxes))


def link_images(table: AnnotationTable, source: Path, folder: Path) -> None:
    """Bring the images into a folder without a copy, where the file system can."""
    if not source.is_dir():  # annotations alone
        return
    with resource_errors(folder):
        for name in table.images["file_name"]:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source / name, path, follow_symlinks=False)
            except OSError:
                shutil.copy2(source / name, path, follow_symlinks=False)


def _parts(table: AnnotationTable) -> Iterator[tuple[str, AnnotationTable]]:
    """Give each split with its table, whose images are named relative to the folder of the split."""
    for split in table.splits:
        part = table.split_of(split)
        names = pl.col("file_name").str.strip_prefix(f"{split}/")
        yield split, replace(part, images=part.images.with_columns(names))
