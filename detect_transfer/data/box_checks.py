"""Checks of boxes: impossible, doubtful or tiny ones."""

from __future__ import annotations

import polars as pl

from detect_transfer.core.annotations import XYXY, Annotations, AnnotationTable
from detect_transfer.core.boxes import ROUNDING_PX
from detect_transfer.core.columns import AnyFrame, collected, joined
from detect_transfer.core.input_size import InputSize
from detect_transfer.data.findings import Finding, Level, make_finding

TINY_PX = 4.0  # below this side, a box says little more than a point
SEEN_TINY_PX = 8.0  # below this side in the image that the detector sees, it has less than one cell of its finest map
MOST_ASPECT = 100.0  # a longer side of so many times the shorter is a line, or a slip

_OBJECT = ~pl.col("ignore") & ~pl.col("iscrowd")
_NEVER_DRAWN = pl.all_horizontal(pl.col(corner) == 0 for corner in XYXY)


def scaled_into(size: InputSize, lengths: pl.Expr) -> pl.Expr:
    """Return lengths in images, whose `height` and `width` are columns, once these are scaled into a size."""
    return pl.min_horizontal(lengths * size.height / pl.col("height"), lengths * size.width / pl.col("width"))


def check_boxes(
    table: AnnotationTable, *, imgsz: int | InputSize | None = None, refuse_bad: bool = False
) -> list[Finding]:
    """Check the boxes of a table.

    Args:
        table: With sizes of images where they are known; rules that need one leave the others alone.
        imgsz: What images will be scaled into in training; None leaves out the rule for it.
        refuse_bad: Whether bad objects are errors, as in a conversion that does not fix them.
    """
    boxes = collected(_with_sizes(table.boxes, table.images))
    shapes = _shape_rules() if not refuse_bad else [rule for each in _shape_rules() for rule in _refusing(each)]
    return [_found(boxes, rule) for rule in (*shapes, *_repetition_rules(), *_tiny_rules(imgsz))]


def bad_objects(table: Annotations) -> pl.DataFrame:
    """Return the objects that reach more than 1 px past their image, or are less than 1 px wide or high within it.

    Returns:
        `annotation_id`, `image_id`, `source`, the corners, and a row for each object with the `code` and `message` of
        the first rule that it breaks; ignored regions are no objects, nor are boxes that are all zeros, which tools
        write of an object that was made and never drawn.
    """
    used = table.boxes.select("annotation_id", "image_id", "source", *XYXY, "ignore", "iscrowd")
    boxes = _with_sizes(used, table.images).filter(_OBJECT & ~_NEVER_DRAWN)
    broken: pl.Expr = pl.lit(None, dtype=pl.Int64)
    rules = [rule for rule in _shape_rules() if rule[1] in _BAD]
    for number, (_, _, _, wrong) in reversed([*enumerate(rules)]):
        broken = pl.when(wrong.fill_null(False)).then(number).otherwise(broken)
    rows = boxes.select("annotation_id", "image_id", "source", *XYXY, rule=broken)
    bad = collected(rows.filter(pl.col("rule").is_not_null()))
    words = {"rule": range(len(rules)), "code": [r[1] for r in rules], "message": [r[2] for r in rules]}
    return bad.join(pl.DataFrame(words, schema_overrides={"rule": pl.Int64}), on="rule", maintain_order="left")


def _with_sizes(boxes: AnyFrame, images: pl.DataFrame) -> AnyFrame:
    return joined(boxes, images.select("image_id", "width", "height"), on="image_id", how="left")


_Rule = tuple[Level, str, str, pl.Expr]
_BAD = {"BOX_EMPTY", "BOX_OUTSIDE", "BOX_LARGER", "BOX_OVER_EDGE", "BOX_SUBPIXEL"}  # codes of what is refused


def _refusing(rule: _Rule) -> tuple[_Rule, ...]:
    """Make a rule about bad objects an error; ignored regions are never trained on, and stay as they were."""
    level, code, message, wrong = rule
    if code not in _BAD or level == "error":
        return (rule,)
    return ("error", code, message, wrong & _OBJECT), (level, code, f"ignored {message}", wrong & ~_OBJECT)


def _found(boxes: pl.DataFrame, rule: _Rule) -> Finding:
    level, code, message, wrong = rule
    rows = boxes.filter(wrong.fill_null(False))
    ids = rows["annotation_id"].to_list()
    return make_finding(level, code, message, rows["source"], annotation_ids=ids)


def _sides() -> tuple[pl.Expr, pl.Expr]:
    return pl.col("x2") - pl.col("x1"), pl.col("y2") - pl.col("y1")


def _empty() -> pl.Expr:
    width, height = _sides()
    return (width <= 0) | (height <= 0)


def _shape_rules() -> tuple[_Rule, ...]:
    x1, y1, x2, y2 = (pl.col(c) for c in XYXY)
    width, height = _sides()
    outside = ((x2 <= 0) | (y2 <= 0) | (x1 >= pl.col("width")) | (y1 >= pl.col("height"))) & ~_empty()
    over = pl.max_horizontal(-x1, -y1, x2 - pl.col("width"), y2 - pl.col("height"))
    is_over = over > 1 + ROUNDING_PX
    larger = ((width > pl.col("width") + 1) | (height > pl.col("height") + 1)) & is_over
    aspect = pl.max_horizontal(width, height) / pl.min_horizontal(width, height)
    inside = ~outside & ~_empty()
    seen = [
        pl.min_horizontal(end, pl.coalesce(size, end)) - pl.max_horizontal(start, 0)
        for start, end, size in ((x1, x2, "width"), (y1, y2, "height"))
    ]
    return (
        ("error", "BOX_EMPTY", "boxes without width or height", _empty()),
        ("error", "BOX_OUTSIDE", "boxes that do not touch their image", outside),
        ("warning", "BOX_LARGER", "boxes that are wider or higher than their image", larger & inside),
        ("warning", "BOX_OVER_EDGE", "boxes that reach past the image by > 1 px", is_over & ~larger & inside),
        (
            "warning",
            "BOX_SUBPIXEL",
            "boxes with less than a pixel of width or height in their image",
            (pl.min_horizontal(*seen) < 1 - ROUNDING_PX) & inside & ~is_over,
        ),
        ("note", "BOX_ON_EDGE", "boxes that reach past the image by <= 1 px", (over > 0) & ~is_over & ~_empty()),
        (
            "warning",
            "BOX_ASPECT",
            f"boxes whose longer side is more than {MOST_ASPECT:g} times the shorter",
            (aspect > MOST_ASPECT) & ~_empty(),
        ),
    )


def _repetition_rules() -> tuple[_Rule, ...]:
    same = pl.struct("image_id", *XYXY)
    same_class = pl.struct("image_id", "category_id", *XYXY, "iscrowd", "ignore")
    return (
        ("warning", "BOX_DUPLICATE", "exact duplicates of a row before them", ~same_class.is_first_distinct()),
        (
            "warning",
            "BOX_TWO_CLASSES",
            "boxes that an earlier row gives another class",
            _OBJECT & ~same.is_first_distinct() & same_class.is_first_distinct(),
        ),
    )


def _tiny_rules(imgsz: int | InputSize | None) -> tuple[_Rule, ...]:
    side = pl.min_horizontal(*_sides())
    rules: tuple[_Rule, ...] = (
        ("warning", "BOX_TINY", f"boxes with a side below {TINY_PX:g} px", (side < TINY_PX) & ~_empty()),
    )
    if imgsz is None:
        return rules
    size = InputSize.of(imgsz)
    seen = scaled_into(size, side)
    message = f"objects with a side below {SEEN_TINY_PX:g} px once images are {size.words}"
    return (*rules, ("note", "BOX_TINY_AT_IMGSZ", message, (seen < SEEN_TINY_PX) & ~_empty() & _OBJECT))
