"""Pascal VOC XML after the devkit: `Annotations/`, `ImageSets/Main/`, pixels counted from 1, the last one included.

VOC knows a class, a box, `difficult` and two flags; a crowd or an ignored box becomes `difficult`, which its evaluation
excuses. Corners that are no whole numbers stay so, as in VOC 2011 and later.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.io import write_atomic
from detect_transfer.core.ledger import Ledger, LedgerStep
from detect_transfer.formats.voc.origin import LABEL_MAP
from detect_transfer.formats.voc.xml import DATABASE
from detect_transfer.formats.writing.losses import note_losses
from detect_transfer.formats.writing.small_files import write_small_files
from detect_transfer.formats.writing.xml import check_text, element, escaped
from detect_transfer.formats.yolo.writer import check_stems, label_path

CARRIED = ("split", "difficult", "truncated", "occluded", "iscrowd", "ignore", "ignore_reason")  # some as `difficult`
_NOISE_PX = 1e-7  # what floating point makes of one pixel, such as 62.9999999 - 62
_SHARES = ("truncated", "occluded")


def write_voc(table: AnnotationTable, out: Path, *, ledger: Ledger | None = None) -> None:
    """Write one XML for each image, one list for each split, and the classes as ``labelmap.txt`` for other tools.

    That file cannot hold a name with a colon, and is left out where there is one; no XML needs it.

    The files are written straight to their place, so `out` should be a folder that is published whole.

    Args:
        table: What to write; rows keep their order.
        out: The folder that gets `Annotations/`, `ImageSets/Main/` and `labelmap.txt`.
        ledger: Gets a step with what was left out, changed, and has no field.

    Raises:
        InputError: Two images would share an XML, or XML cannot hold a name.
        ResourceError: The disk is full or does not let us write.

    Source: The PASCAL Visual Object Classes Challenge 2007 development kit, section 9.
    """
    images = table.images
    step = (ledger or Ledger()).open("voc", images=len(images), boxes=len(table.boxes))
    check_text(table.categories["name"], field="class", stripped=True)
    check_text(images["file_name"], field="file_name")
    names = [label_path(name).removesuffix(".txt") for name in images["file_name"]]
    check_stems(images["file_name"].to_list(), images["file_name"].to_list())
    boxes = writable(table.boxes, step)
    objects = (
        boxes.join(table.categories.select("category_id", "name"), on="category_id", how="left", maintain_order="left")
        .select("image_id", text=_object_text())
        .group_by("image_id", maintain_order=True)
        .agg(pl.col("text").str.join(""))
    )
    texts = images.join(objects, on="image_id", how="left", maintain_order="left").select(_image_text())
    write_small_files(out / "Annotations", [f"{name}.xml" for name in names], texts.to_series().to_list())
    for split in table.splits:
        listed = [name for name, own in zip(names, images["split"], strict=True) if own == split]
        write_atomic(out / "ImageSets" / "Main" / f"{split}.txt", "".join(f"{name}\n" for name in listed))
    if not any(":" in name for name in table.class_names):
        lines = "".join(f"{name}:::\n" for name in table.class_names)
        write_atomic(out / LABEL_MAP, f"# label:color_rgb:parts:actions\nbackground:::\n{lines}")
    note_losses(step, table.with_boxes(boxes), CARRIED)
    step.close(images_out=len(images), boxes_out=len(boxes))


def writable(boxes: pl.DataFrame, step: LedgerStep) -> pl.DataFrame:
    """Return the rows that VOC can hold, with what it makes of their flags; the others are counted."""
    least = 1 - _NOISE_PX  # min would be above max
    narrow = (pl.col("x1") + least > pl.col("x2")) | (pl.col("y1") + least > pl.col("y2"))
    for rule, reason in (
        (pl.col("category_id").is_null(), "ignored for every class: an object of VOC has one"),
        (narrow, "narrower than one pixel, which is the least that VOC counts"),
    ):
        leaving = boxes.filter(rule)
        step.add("box", "dropped", reason, len(leaving), leaving["source"])
        boxes = boxes.filter(~rule)
    excused = pl.col("ignore") | pl.col("iscrowd")
    for rule, reason in (
        (excused & ~pl.col("difficult"), "ignored or crowd: written as difficult"),
        (excused & (pl.col("ignore_reason") != "difficult"), "the reason to ignore it is lost: difficult"),
        (pl.col("difficult") & ~excused, "difficult, but not ignored: readers will ignore it"),
        *((~pl.col(c).is_in([0.0, 1.0]), f"the share {c} became a flag") for c in _SHARES),
    ):
        changed = boxes.filter(rule)
        step.add("box", "changed", reason, len(changed), changed["source"])
    return boxes.with_columns(pl.col("difficult") | excused)


def _object_text() -> pl.Expr:
    flags = {name: (pl.col(name) > 0).cast(pl.Int8).cast(pl.String) for name in _SHARES}
    first = {f"{axis}min": pl.min_horizontal(pl.col(f"{axis}1") + 1, f"{axis}2") for axis in "xy"}
    corners = {**first, "xmax": pl.col("x2"), "ymax": pl.col("y2")}
    return pl.concat_str(
        pl.lit("  <object>\n"),
        element("name", escaped(pl.col("name")), indent="    "),
        element("pose", escaped(_pose()), indent="    "),
        *[element(name, flag, indent="    ") for name, flag in flags.items()],
        element("difficult", pl.col("difficult").cast(pl.Int8).cast(pl.String), indent="    "),
        pl.lit("    <bndbox>\n"),
        *[element(name, _number(value), indent="      ") for name, value in corners.items()],
        pl.lit("    </bndbox>\n  </object>\n"),
    )


def _pose() -> pl.Expr:
    """Return the pose that the attributes of an object state."""
    pose = pl.col("attributes").str.json_path_match("$.pose")
    return pl.when(pose.str.contains(r"^[\w .,-]+$")).then(pose).otherwise(pl.lit("Unspecified"))


def _number(value: pl.Expr) -> pl.Expr:
    """Write a whole number without a fraction, as the devkit does, and any other in full."""
    whole = value == value.round()
    return pl.when(whole).then(value.cast(pl.Int64).cast(pl.String)).otherwise(value.cast(pl.String))


def _image_text() -> pl.Expr:
    parts = pl.col("file_name").str.split("/")
    size = pl.concat_str(
        pl.lit("  <size>\n"),
        element("width", pl.col("width").cast(pl.String), indent="    "),
        element("height", pl.col("height").cast(pl.String), indent="    "),
        pl.lit("    <depth>3</depth>\n  </size>\n"),
    )
    return pl.concat_str(
        pl.lit("<annotation>\n"),
        element("folder", escaped(parts.list.head(parts.list.len() - 1).list.join("/")), indent="  "),
        element("filename", escaped(parts.list.last()), indent="  "),
        # tells readers, ours among them, from where pixels are counted, whatever the corners look like
        pl.lit(f"  <source>\n    <database>{DATABASE}</database>\n  </source>\n"),
        pl.when(pl.col("width").is_not_null()).then(size).otherwise(pl.lit("")),
        pl.lit("  <segmented>0</segmented>\n"),
        pl.col("text").fill_null(""),
        pl.lit("</annotation>\n"),
    )
