"""Datumaro JSON: `annotations/<subset>.json` beside `images/<subset>/`; the subset is the split.

Boxes are continuous pixels counted from 0, as ours. What the table says of a box goes to its attributes, under the
names that Datumaro and CVAT give them where they have one.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import orjson
import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.io import write_json
from detect_transfer.core.ledger import Ledger, LedgerStep
from detect_transfer.formats.parsing.own_columns import FLAGS, VALUES, own_attributes
from detect_transfer.formats.writing.losses import note_losses
from detect_transfer.formats.writing.objects import below_split, images_with_objects, with_class

CARRIED = ("split", "attributes", "occluded", "supercategory", *FLAGS, *VALUES)
_IMAGE_MEDIA = 2
_TURN = "rotation"  # an attribute of this name turns the box


def write_datumaro(table: AnnotationTable, out: Path, *, ledger: Ledger | None = None) -> None:
    """Write one JSON for each split.

    Args:
        table: What to write; rows keep their order.
        out: The folder that gets `annotations/`.
        ledger: Gets a step with what was left out, changed, and has no field.

    Raises:
        ResourceError: The disk is full or does not let us write.

    Source: https://github.com/open-edge-platform/datumaro, its format `datumaro`.
    """
    step = (ledger or Ledger()).open("datumaro", images=len(table.images), boxes=len(table.boxes))
    table = table.with_boxes(writable(table.boxes, step))
    categories = table.categories.sort("category_id")
    index_of = {category_id: i for i, category_id in enumerate(categories["category_id"])}
    labels = [
        {"name": name, "parent": parent or "", "attributes": []}
        for name, parent in categories.select("name", "supercategory").rows()
    ]
    items: dict[str, list[dict[str, Any]]] = {}
    for image, rows in images_with_objects(table):
        split = image["split"] or "default"
        items.setdefault(split, []).append(_item(image, rows, index_of))
    for split, of_split in items.items():
        head = {"dm_format_version": "1.0", "media_type": _IMAGE_MEDIA, "infos": {}}
        classes = {"label": {"label_groups": [], "labels": labels, "attributes": []}}
        write_json(
            out / "annotations" / f"{split}.json", {**head, "categories": classes, "items": of_split}, indent=False
        )
    note_losses(step, table, CARRIED)
    step.close(images_out=len(table.images), boxes_out=len(table.boxes))


def writable(boxes: pl.DataFrame, step: LedgerStep) -> pl.DataFrame:
    """Return the rows that the format can hold, without attributes that it would take for a turn of the box."""
    boxes = with_class(boxes, step, "a box of Datumaro")
    turning = boxes.filter(pl.col("attributes").str.json_path_match(f"$.{_TURN}").is_not_null())
    step.add("box", "changed", f"no attribute '{_TURN}': it would turn the box", len(turning), turning["source"])
    if turning.is_empty():
        return boxes
    texts = turning["attributes"].unique().to_list()
    without = {
        text: orjson.dumps({k: v for k, v in orjson.loads(text).items() if k != _TURN}).decode() for text in texts
    }
    return boxes.with_columns(pl.col("attributes").replace(without).replace({"{}": None}))


def _item(image: dict[str, Any], rows: list[dict[str, Any]], index_of: dict[int, int]) -> dict[str, Any]:
    path = below_split(image["file_name"], image["split"])
    media: dict[str, Any] = {"path": path}
    if image["width"] is not None and image["height"] is not None:
        media["size"] = [image["height"], image["width"]]
    annotations = [
        {
            **{"id": row["annotation_id"], "type": "bbox", "attributes": _attributes(row), "group": 0},
            **{"label_id": index_of[row["category_id"]], "z_order": 0},
            "bbox": [row["x1"], row["y1"], row["x2"] - row["x1"], row["y2"] - row["y1"]],
        }
        for row in rows
    ]
    item_id = PurePosixPath(path).with_suffix("").as_posix()
    return {"id": item_id, "annotations": annotations, "attr": {}, "image": media}


def _attributes(row: dict[str, Any]) -> dict[str, Any]:
    said = own_attributes(row)
    if said.pop("iscrowd", False):
        said["is_crowd"] = True
    if (row["difficult"] or row["iscrowd"]) and not row["ignore"]:
        said["ignore"] = False  # its readers ignore such boxes otherwise
    for name in ("occluded", "truncated"):
        if row[name] is not None:
            said[name] = bool(row[name]) if row[name] in (0.0, 1.0) else row[name]
    return {**orjson.loads(row["attributes"] or "{}"), **said}
