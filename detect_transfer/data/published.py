"""The boxes as published: what cleaning clips or drops for training goes along, and returns for scoring.

What was clipped has the published corners in `attributes`. What was dropped stands in a column of its image, which COCO
files and our tables carry like any other, so that no trainer sees it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import polars as pl

from detect_transfer.core.annotations import (
    FALSE_BY_DEFAULT,
    VISIBLE_XYXY,
    XYXY,
    Annotations,
    AnnotationTable,
    Table,
)
from detect_transfer.core.columns import AnyFrame, collected, joined
from detect_transfer.core.errors import InputError

RAW_BOX, RAW_VISIBLE, RAW_AREA = "raw_box", "raw_vis_box", "raw_area"  # keys in `attributes`: what was annotated
NOT_TRAINED = "boxes_not_trained"  # column of images: a JSON list of the boxes that cleaning dropped
_PLACE = "place"  # how many boxes of the image that were not dropped come before it
_NUMBER = r"[-+0-9.eE]+"
_KEPT_VALUES = rf'"(?:{RAW_BOX}|{RAW_VISIBLE})":\s*\[[^\]]*\]|"{RAW_AREA}":\s*{_NUMBER}'
_AREA_TOLERANCE = 1e-6  # relative; between a stated area and that of its box


def with_dropped(table: Table, *, before: AnyFrame, dropped: pl.Series) -> Table:
    """Return the table with the boxes that left it written into the column `boxes_not_trained` of their images.

    Args:
        table: Without these boxes; what its column says already stays.
        before: All boxes, with unique ids.
        dropped: The ids of those that left it.
    """
    if dropped.is_empty():
        return table
    leaves = pl.col("annotation_id").is_in(dropped.implode())
    owners = collected(before.filter(leaves).select("image_id")).unique()
    rows = collected(joined(before, owners, on="image_id", how="semi"))
    rank = (~leaves).cum_sum().over("image_id").cast(pl.Int64).alias(_PLACE)
    return write_dropped(table, pl.concat([dropped_boxes(table), rows.with_columns(rank).filter(leaves)]))


def write_dropped(table: Table, dropped: pl.DataFrame) -> Table:
    """Return the table with boxes, as `dropped_boxes` returns them, as all that the column of their images says."""
    lists: dict[int, list[dict[str, Any]]] = {}
    for row in dropped.drop("annotation_id").iter_rows(named=True):
        stated = {name: value for name, value in row.items() if value is not None and value is not False}
        lists.setdefault(stated.pop("image_id"), []).append(stated)
    images = table.images.drop(NOT_TRAINED, strict=False)
    if lists:
        texts = [orjson.dumps(lists[i]).decode() if i in lists else None for i in images["image_id"]]
        images = images.with_columns(pl.Series(NOT_TRAINED, texts, dtype=pl.String))
    return table.with_fields(images=images)


def dropped_boxes(table: Annotations) -> pl.DataFrame:
    """Return the boxes of `boxes_not_trained`: rows as `table.boxes`, with `place` and ids above all others.

    What such a row says in a column that the table does not have stands in its `attributes`.

    Raises:
        InputError: The column is not as cleaning writes it.
    """
    schema = {**table.boxes.collect_schema(), _PLACE: pl.Int64()}
    if NOT_TRAINED not in table.images.columns:
        return pl.DataFrame(schema=schema)
    highest = collected(table.boxes.select(pl.col("annotation_id").max())).item() or 0
    rows: list[dict[str, Any]] = []
    owner, text = "an image", None
    try:
        for image_id, text in table.images.select("image_id", NOT_TRAINED).drop_nulls().rows():
            owner = f"image_id {image_id}"
            for stated in orjson.loads(text):
                row = dict.fromkeys(FALSE_BY_DEFAULT, False) | stated
                further = {name: row.pop(name) for name in stated if name not in schema}
                if further:
                    own = orjson.loads(row.get("attributes") or "{}")
                    row["attributes"] = orjson.dumps({**own, **further}).decode()
                rows.append(row | {"image_id": image_id, "annotation_id": highest + len(rows) + 1})
        owner, text = "an image", None  # from here on it may be any of them
        return pl.DataFrame(rows, schema=schema)
    except (orjson.JSONDecodeError, TypeError, OverflowError, pl.exceptions.PolarsError) as error:
        raise InputError(
            "DROPPED_BOXES",
            f"{owner} has no list of boxes as a conversion writes it",
            field=NOT_TRAINED,
            value=text,
            remedy="convert the data again, or take the key out",
        ) from error


def n_not_published(table: AnnotationTable) -> int:
    """Return how many boxes cleaning changed or dropped, so that they are not what was published."""
    return int(table.boxes["attributes"].str.contains(_KEPT_VALUES).sum()) + dropped_boxes(table).height


def corner(key: str, index: int) -> pl.Expr:
    """Return one number of a list of four in `attributes`, null where there is no such list."""
    numbers = pl.col("attributes").str.json_path_match(f"$.{key}").str.strip_chars("[] ").str.split(",")
    whole = pl.when(numbers.list.len() == len(XYXY)).then(numbers.list.get(index, null_on_oob=True))
    return whole.str.strip_chars().cast(pl.Float64, strict=False)


def box_area() -> pl.Expr:
    """Return the area of a box in square pixels."""
    return (pl.col("x2") - pl.col("x1")) * (pl.col("y2") - pl.col("y1"))


def as_published(table: AnnotationTable) -> AnnotationTable:
    """Return the table with all boxes, and those with their visible boxes and areas, as they were before `clean`.

    An area that is that of the clipped box becomes that of the published one.
    """
    table = _with_all_boxes(table)
    boxes = table.boxes
    if not boxes["attributes"].str.contains(_KEPT_VALUES).any():
        return table
    restored = boxes.with_columns(
        *[pl.coalesce(corner(RAW_BOX, i), c).alias(c) for i, c in enumerate(XYXY)],
        *[pl.coalesce(corner(RAW_VISIBLE, i), c).alias(c) for i, c in enumerate(VISIBLE_XYXY)],
        _without_raw(pl.col("attributes")).alias("attributes"),
    )
    if "area" in boxes.columns:
        of_clipped = ((pl.col("area") - box_area()).abs() <= _AREA_TOLERANCE * box_area()).alias("_of_clipped")
        stated = pl.col("attributes").str.json_path_match(f"$.{RAW_AREA}").cast(pl.Float64, strict=False)
        facts = boxes.select(of_clipped, stated.alias("_stated"))
        area = pl.when(facts["_of_clipped"]).then(box_area()).otherwise("area")
        restored = restored.with_columns(pl.coalesce(facts["_stated"], area).alias("area"))
    return table.with_boxes(restored)


def _with_all_boxes(table: AnnotationTable) -> AnnotationTable:
    """Put the boxes that are not trained on back to where they stood among those of their image."""
    if NOT_TRAINED not in table.images.columns:
        return table
    own = table.boxes.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).over("image_id").alias(_PLACE))
    boxes = pl.concat([dropped_boxes(table), own]).sort("image_id", _PLACE, maintain_order=True)
    return replace(table, images=table.images.drop(NOT_TRAINED), boxes=boxes.drop(_PLACE))


def _without_raw(attributes: pl.Expr) -> pl.Expr:
    """Return the JSON objects without what cleaning put into them; null for one that holds nothing else."""
    after = attributes.str.replace_all(rf",\s*(?:{_KEPT_VALUES})", "").str.replace_all(
        rf"\{{\s*(?:{_KEPT_VALUES})\s*,?\s*", "{"
    )
    return pl.when(after.str.contains(r"^\s*\{\s*\}\s*$") & (after != attributes)).then(None).otherwise(after)
