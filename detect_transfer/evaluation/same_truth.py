"""Two truths that may say the same under other ids, as readers of different formats count them.

Images are the same by the end of their names, as formats differ in the folder that names are relative to; classes by
their names; boxes by their corners, as exactly as label files keep them.
"""

from __future__ import annotations

import polars as pl

from detect_transfer.core.annotations import XYXY, AnnotationTable, Detections

TOLERANCE_PX = 0.01  # what a box may lose on its way through YOLO labels
_MOST_NAMES = 5
_BESIDE = ("image_id", "category_id", "iscrowd", "ignore")  # what scoring looks at beside the corners
_ROWS = ("_row", "_row_b")


def what_differs(a: AnnotationTable, b: AnnotationTable) -> str | None:
    """Tell in what two truths differ that scoring looks at; None where they are the same but for their ids."""
    here, there = _named(a, b)
    only = [one.join(other, on="_name", how="anti")["file_name"] for one, other in ((here, there), (there, here))]
    if any(map(len, only)):
        names = ["; e.g. " + ", ".join(part.head(_MOST_NAMES)) if len(part) else "" for part in only]
        return f"{len(only[0])} images are in the first alone{names[0]}, {len(only[1])} in the second alone{names[1]}"
    if set(a.class_names) != set(b.class_names):
        return f"the classes are {', '.join(a.class_names)} and {', '.join(b.class_names)}"
    both = here.join(there, on="_name", suffix="_b")
    sized = both.filter((pl.col("width") != pl.col("width_b")) | (pl.col("height") != pl.col("height_b")))
    if len(sized):
        return f"the sizes of {len(sized)} images"
    return _other_boxes(a.boxes, _renumbered(b.boxes, a, b))


def in_ids_of(a: AnnotationTable, b: AnnotationTable, found: Detections) -> Detections:
    """Return detections on `b` with the ids of `a`, which says the same."""
    return Detections(_renumbered(found.rows, a, b))


def _named(a: AnnotationTable, b: AnnotationTable) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the images with the `_name` that both know them by: as few last parts as tell the images of each apart."""
    parts = pl.col("file_name").str.replace(r"\.[^./]*$", "").str.split("/")
    one, other = (t.images.with_columns(_parts=parts) for t in (a, b))
    deepest = pl.concat([one["_parts"], other["_parts"]]).list.len().to_numpy().max(initial=1)
    for n in range(1, deepest + 1):
        name = pl.col("_parts").list.tail(n).list.join("/")
        named = one.with_columns(_name=name), other.with_columns(_name=name)
        if all(frame["_name"].is_unique().all() for frame in named):
            return named
    return one.with_columns(_name="file_name"), other.with_columns(_name="file_name")


def _renumbered(rows: pl.DataFrame, a: AnnotationTable, b: AnnotationTable) -> pl.DataFrame:
    """Return rows of `b` with the ids that `a` has for the same images and classes."""
    here, there = _named(a, b)
    images = there.join(here, on="_name", suffix="_a")
    classes = b.categories.join(a.categories, on="name", suffix="_a")
    return rows.with_columns(
        pl.col(column).replace_strict(ids[column], ids[f"{column}_a"], default=None, return_dtype=pl.Int64)
        for column, ids in (("image_id", images), ("category_id", classes))
    )


def _other_boxes(a: pl.DataFrame, b: pl.DataFrame) -> str | None:
    """Tell what two frames of boxes with the same ids differ in; None where each has its like."""
    columns = [*_BESIDE, *XYXY]
    one, other = (frame.select(columns).sort(columns).with_row_index("_row") for frame in (a, b))
    if one.drop("_row").equals(other.drop("_row")):
        return None
    rest = [x.join(y, on=columns, how="anti", nulls_equal=True) for x, y in ((one, other), (other, one))]
    pairs = rest[0].join(rest[1], on=_BESIDE, nulls_equal=True, suffix="_b")
    near = pairs.filter(pl.all_horizontal((pl.col(c) - pl.col(f"{c}_b")).abs() <= TOLERANCE_PX for c in XYXY))
    lost = [part.filter(~pl.col("_row").is_in(near[row].implode())) for part, row in zip(rest, _ROWS, strict=True)]
    images = pl.concat([part["image_id"] for part in lost]).unique()
    if len(images):
        return f"the boxes of {len(images)} images"
    return None if len(one) == len(other) and len(near) else "how often some boxes stand there"
