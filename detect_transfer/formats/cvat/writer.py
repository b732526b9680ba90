"""CVAT for images 1.1: one `annotations.xml` for all images.

Coordinates are continuous and count from 0, as ours. CVAT has one flag, `occluded`, and attributes of any name as text:
the other columns of the table go there under their own names, and so do the keys of `attributes`, nested ones as JSON.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import polars as pl

from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import write_atomic
from detect_transfer.core.ledger import Ledger, LedgerStep
from detect_transfer.formats.parsing.own_columns import FLAGS, VALUES
from detect_transfer.formats.writing.losses import note_losses
from detect_transfer.formats.writing.xml import check_text, escape, escaped

CARRIED = ("split", "attributes", "occluded", *FLAGS, *VALUES)
_CORNERS = ("xtl", "ytl", "xbr", "ybr")


def write_cvat(table: AnnotationTable, path: Path, *, ledger: Ledger | None = None) -> None:
    """Write a table as one XML file that CVAT imports with the images.

    Args:
        table: What to write; rows keep their order.
        path: The file; it is written whole or not at all.
        ledger: Gets a step with what was left out, changed, and has no field.

    Raises:
        InputError: XML cannot hold a name, or an image has no size.
        ResourceError: The disk is full or does not let us write.

    Source: https://docs.cvat.ai/docs/manual/advanced/xml_format/
    """
    step = (ledger or Ledger()).open("cvat", images=len(table.images), boxes=len(table.boxes))
    check_text(table.categories["name"], field="class", stripped=True)
    check_text(table.images["file_name"], field="file_name", stripped=True)
    _check_sizes(table.images)
    boxes = writable(table.boxes, step)
    boxes_by_name = boxes.join(
        table.categories.select("category_id", "name"), on="category_id", how="left", maintain_order="left"
    )
    texts = (
        boxes_by_name.with_columns(inside=_own_attributes(boxes_by_name))
        .select("image_id", text=_box_text())
        .group_by("image_id", maintain_order=True)
        .agg(pl.col("text").str.join(""))
    )
    images = table.images.join(texts, on="image_id", how="left", maintain_order="left").select(_image_text())
    head = f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n{_meta(table)}'
    write_atomic(path, head + "".join(images.to_series().to_list()) + "</annotations>\n")
    note_losses(step, table.with_boxes(boxes), CARRIED)
    step.close(images_out=len(table.images), boxes_out=len(boxes))


def _check_sizes(images: pl.DataFrame) -> None:
    unsized = images.filter(pl.col("width").is_null() | pl.col("height").is_null())
    if not unsized.is_empty():
        raise InputError(
            "EXPORT_SIZE",
            "CVAT needs the size of every image",
            field="file_name",
            value=unsized["file_name"][0],
            remedy="give the images, or width and height in the annotations",
        )


def writable(boxes: pl.DataFrame, step: LedgerStep) -> pl.DataFrame:
    """Return the rows that CVAT can hold; the others, and what it makes of a flag, are counted."""
    rule = pl.col("category_id").is_null()
    leaving = boxes.filter(rule)
    step.add("box", "dropped", "ignored for every class: a box of CVAT has one", len(leaving), leaving["source"])
    rest = boxes.filter(~rule)
    for rule, reason in (
        (pl.col("ignore") | pl.col("iscrowd"), "ignored or crowd: a box like others, but for its attributes"),
        (~pl.col("occluded").is_in([0.0, 1.0]), "the share occluded became a flag"),
        (pl.col("occluded").is_null(), "occluded is not stated: written as not occluded"),
    ):
        changed = rest.filter(rule)
        step.add("box", "changed", reason, len(changed), changed["source"])
    return rest


def _own_attributes(boxes: pl.DataFrame) -> pl.Series:
    """Return the elements of the keys of `attributes`; few texts differ, so each is parsed once."""
    texts = boxes["attributes"].drop_nulls().unique().to_list()
    parsed = [{key: _as_text(value) for key, value in orjson.loads(text).items()} for text in texts]
    said = [word for pairs in parsed for pair in pairs.items() for word in pair]
    check_text(pl.Series(said, dtype=pl.String), field="attributes")
    lines = ["".join(map(_attribute_text, pairs.keys(), pairs.values())) for pairs in parsed]
    written = dict(zip(texts, lines, strict=True))
    return boxes.select(pl.col("attributes").replace_strict(written, default="", return_dtype=pl.String)).to_series()


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _attribute_text(name: str, value: str) -> str:
    return f'      <attribute name="{escape(name)}">{escape(value)}</attribute>\n'


def _box_text() -> pl.Expr:
    corners = [pl.concat_str(pl.lit(f' {k}="'), pl.col(c), pl.lit('"')) for k, c in zip(_CORNERS, XYXY, strict=True)]
    return pl.concat_str(
        pl.lit('    <box label="'),
        escaped(pl.col("name")),
        pl.lit('" source="manual" occluded="'),
        (pl.col("occluded").fill_null(0.0) > 0).cast(pl.Int8),
        pl.lit('"'),
        *corners,
        pl.lit(' z_order="0">\n'),
        *[_attribute(c, pl.when(pl.col(c)).then(pl.lit("true"))) for c in FLAGS],
        *[_attribute(c, escaped(pl.col(c).cast(pl.String))) for c in VALUES],
        pl.col("inside"),
        pl.lit("    </box>\n"),
    )


def _attribute(name: str, text: pl.Expr) -> pl.Expr:
    line = pl.concat_str(pl.lit(f'      <attribute name="{name}">'), text, pl.lit("</attribute>\n"))
    return pl.when(text.is_not_null()).then(line).otherwise(pl.lit(""))


def _image_text() -> pl.Expr:
    subset = pl.concat_str(pl.lit(' subset="'), escaped(pl.col("split")), pl.lit('"'))
    return pl.concat_str(
        pl.concat_str(pl.lit('  <image id="'), pl.col("image_id"), pl.lit('" name="')),
        escaped(pl.col("file_name")),
        pl.lit('"'),
        pl.when(pl.col("split").is_not_null()).then(subset).otherwise(pl.lit("")),
        pl.concat_str(pl.lit(' width="'), pl.col("width"), pl.lit('" height="'), pl.col("height"), pl.lit('">\n')),
        pl.col("text").fill_null(""),
        pl.lit("  </image>\n"),
    )


def _meta(table: AnnotationTable) -> str:
    names = table.categories.sort("category_id").select(escaped(pl.col("name"))).to_series()
    labels = "".join(f"        <label><name>{name}</name><attributes></attributes></label>\n" for name in names)
    return (
        f"  <meta>\n    <task>\n      <size>{len(table.images)}</size>\n      <mode>annotation</mode>\n"
        f"      <labels>\n{labels}      </labels>\n    </task>\n  </meta>\n"
    )
