"""COCO detection JSON: the lossless writer of an `AnnotationTable`.

Every annotation has the keys that pycocotools needs and `ignore`; what the table knows beyond COCO stands in extra
keys, only where it says something. The text is built by whole-column expressions, and coordinates are written in full,
so that nothing is rounded on the way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from detect_transfer.core.annotations import BOX_SCHEMA, CATEGORY_SCHEMA, IMAGE_SCHEMA, JSON, AnnotationTable
from detect_transfer.core.errors import InternalError
from detect_transfer.core.io import write_atomic
from detect_transfer.core.ledger import Ledger, LedgerStep
from detect_transfer.formats.coco.load import WRITTEN_BY_US

ALL_CLASSES = "all_classes"  # the key that holds the id of the first copy of a region without a class
_ROWS_AT_ONCE = 250_000
_EXTRA_IF_NOT_NULL = ("ignore_reason", "occluded", "truncated", "vis_ratio", "track_id", "source")


def write_coco(table: AnnotationTable, path: Path, *, below: str = "", ledger: Ledger | None = None) -> None:
    """Write a table as one COCO JSON file that pycocotools opens and our reader takes back without loss.

    A region that is ignored for every class has no counterpart in COCO, where a box belongs to one class: it is written
    once for each class, and every copy names the id of the first in `all_classes`. Annotation ids start at 1: where the
    table has an id below 1, which pycocotools takes for "unmatched", all are numbered again in the order of the rows.

    Args:
        table: What to write; rows keep their order.
        path: The file; it is written whole or not at all.
        below: The folder in ``images/`` that all its images are in. It is left out of their names, as other trainers
            take them to be relative to the folder of the split; "" leaves names as they are.
        ledger: Gets a step with what was added or renumbered.

    Raises:
        InternalError: An `attributes` cell is no JSON object.
        ResourceError: The disk is full or does not let us write.
    """
    step = (ledger or Ledger()).open(f"coco {path.name}", images=len(table.images), boxes=len(table.boxes))
    boxes = _repeat_for_every_class(_number_from_one(table.boxes, step), table.categories, step)
    images, info = table.images, {"description": WRITTEN_BY_US}
    if below:
        images = images.with_columns(pl.col("file_name").str.strip_prefix(f"{below}/"))
        info["images"] = f"images/{below}"
    parts = [f'{{"info":{json.dumps(info)},"licenses":[],"images":[']
    parts += _joined(images, _image_text(images))
    parts.append('],\n"annotations":[')
    parts += _joined(boxes, _annotation_text(boxes))
    categories = table.categories.sort("category_id")
    parts.append('],\n"categories":[')
    parts += _joined(categories, _category_text(categories))
    parts.append("]}\n")
    write_atomic(path, b"".join(part.encode() for part in parts))
    step.close(images_out=len(table.images), boxes_out=len(boxes))


def _number_from_one(boxes: pl.DataFrame, step: LedgerStep) -> pl.DataFrame:
    """Give all annotations new ids if one of theirs is below 1."""
    low = boxes.filter(pl.col("annotation_id") < 1)
    if low.is_empty():
        return boxes
    step.add("box", "noted", "annotation ids below 1: all were numbered again from 1", len(boxes), low["source"])
    return boxes.with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("annotation_id"))


def _repeat_for_every_class(boxes: pl.DataFrame, categories: pl.DataFrame, step: LedgerStep) -> pl.DataFrame:
    """Write a region without a class once for each class; copies follow all other rows and have ids of their own."""
    classless = boxes.filter(pl.col("category_id").is_null())
    own = boxes.with_columns(pl.lit(None, dtype=pl.Int64).alias(ALL_CLASSES))
    if classless.is_empty():
        return own
    class_ids = categories.sort("category_id")["category_id"].to_list()
    if not class_ids:
        reason = "ignored for every class, but there is no class to write it under"
        step.add("box", "dropped", reason, len(classless), classless["source"])
        return own.filter(pl.col("category_id").is_not_null())
    is_classless = pl.col("category_id").is_null()
    first = own.with_columns(
        pl.when(is_classless).then(pl.col("annotation_id")).alias(ALL_CLASSES),
        pl.col("category_id").fill_null(class_ids[0]),
    )
    originals = classless.with_columns(pl.col("annotation_id").alias(ALL_CLASSES)).drop("category_id")
    others = pl.DataFrame({"category_id": class_ids[1:]}, schema={"category_id": pl.Int64})
    highest = int(boxes["annotation_id"].max())  # type: ignore[arg-type]
    copies = originals.join(others, how="cross", maintain_order="left_right").with_columns(
        (pl.int_range(1, pl.len() + 1, dtype=pl.Int64) + highest).alias("annotation_id")
    )
    step.add("box", "added", "ignored for every class: a copy for each further class", len(copies), classless["source"])
    return pl.concat([first, copies.select(first.columns)])


def _joined(frame: pl.DataFrame, text: pl.Expr) -> list[str]:
    """Return the text of all rows, with a comma between them, in parts of a bounded size."""
    parts: list[str] = []
    for start in range(0, len(frame), _ROWS_AT_ONCE):
        rows = frame.slice(start, _ROWS_AT_ONCE).select(text).to_series()
        parts += [",\n" if start else "\n", ",\n".join(rows.to_list())]
    return parts


def _image_text(images: pl.DataFrame) -> pl.Expr:
    return pl.concat_str(
        _key("id", pl.col("image_id"), before="{"),
        _json("file_name"),
        *[_json_if_not_null(c) for c in ("width", "height", "split", "group")],
        *_further(images, IMAGE_SCHEMA),
        pl.lit("}"),
    )


def _annotation_text(boxes: pl.DataFrame) -> pl.Expr:
    x, y, width, height = pl.col("x1"), pl.col("y1"), pl.col("x2") - pl.col("x1"), pl.col("y2") - pl.col("y1")
    area = width * height
    if "area" in boxes.columns:  # the area of a mask, where the source states it
        area = pl.coalesce(pl.col("area").cast(pl.Float64), area)
    further = [c for c in boxes.columns if c not in BOX_SCHEMA and c not in ("area", ALL_CLASSES)]
    return pl.concat_str(
        _key("id", pl.col("annotation_id"), before="{"),
        _key("image_id", pl.col("image_id")),
        _key("category_id", pl.col("category_id")),
        _box("bbox", x, y, width, height),
        _key("area", area),
        _key("iscrowd", pl.col("iscrowd").cast(pl.Int8)),
        _key("ignore", pl.col("ignore").cast(pl.Int8)),
        *[_json_if_not_null(c) for c in _EXTRA_IF_NOT_NULL],
        _if(pl.col("difficult"), pl.lit(',"difficult":1')),
        _visible_box(),
        _attributes(boxes),
        _if(pl.col(ALL_CLASSES).is_not_null(), _key(ALL_CLASSES, pl.col(ALL_CLASSES))),
        *[_json_if_not_null(c) for c in further],
        pl.lit("}"),
    )


def _category_text(categories: pl.DataFrame) -> pl.Expr:
    return pl.concat_str(
        _key("id", pl.col("category_id"), before="{"),
        _json("name"),
        _json_if_not_null("supercategory"),
        *_further(categories, CATEGORY_SCHEMA),
        pl.lit("}"),
    )


def _further(frame: pl.DataFrame, schema: Mapping[str, Any]) -> list[pl.Expr]:
    """Return the text of the columns beyond a schema; those of JSON as it is."""
    names = [name for name in frame.columns if name not in schema]
    return [
        _if(pl.col(name).is_not_null(), _key(name, pl.col(name).cast(pl.String)))
        if frame.schema[name] == JSON
        else _json_if_not_null(name)
        for name in names
    ]


def _visible_box() -> pl.Expr:
    x, y = pl.col("vis_x1"), pl.col("vis_y1")
    whole = pl.all_horizontal(pl.col("vis_x1", "vis_y1", "vis_x2", "vis_y2").is_not_null())
    return _if(whole, _box("vis_bbox", x, y, pl.col("vis_x2") - x, pl.col("vis_y2") - y))


def _attributes(boxes: pl.DataFrame) -> pl.Expr:
    """Put the JSON objects of `attributes` in as they are, once each is known to be one."""
    for text in boxes["attributes"].drop_nulls().unique():
        try:
            good = isinstance(orjson.loads(text), dict)
        except orjson.JSONDecodeError:
            good = False
        if not good:
            raise InternalError("ATTRIBUTES_JSON", f"no JSON object: {text}", remedy="please report this")
    return _if(pl.col("attributes").is_not_null(), pl.concat_str(pl.lit(',"attributes":'), pl.col("attributes")))


def _key(name: str, value: pl.Expr, *, before: str = ",") -> pl.Expr:
    """Return the text of a key and its value, a number or JSON."""
    return pl.concat_str(pl.lit(f"{before}{json.dumps(name)}:"), value)


def _box(name: str, *numbers: pl.Expr) -> pl.Expr:
    """Return the text of a key and a list of four numbers."""
    return pl.concat_str(pl.lit(f',"{name}":['), pl.concat_str(*numbers, separator=","), pl.lit("]"))


def _json(column: str) -> pl.Expr:
    """Return the text of a column as a JSON key and value; polars escapes it."""
    one_key = pl.struct(column).struct.json_encode()  # {"column":value}
    return pl.concat_str(pl.lit(","), one_key.str.slice(1).str.head(-1))


def _json_if_not_null(column: str) -> pl.Expr:
    return _if(pl.col(column).is_not_null(), _json(column))


def _if(condition: pl.Expr, text: pl.Expr) -> pl.Expr:
    return pl.when(condition).then(text).otherwise(pl.lit(""))
