"""Two truths that may say the same under other ids, as readers of different formats count them.

Images are the same by the end of their names, as formats differ in the folder that names are relative to; classes by
their names; boxes by their corners, as exactly as label files keep them.
"""

from __future__ import annotations

import polars as pl

from detect_transfer.core.annotations import XYXY, AnnotationTable, Detections

TOLERANCE_PX = 0.01  # what a box may lose on its way through YOLO labels
_MOST_NAMES = 5
_BESIDE = ("image_id", "category_id", "iscrowd", "ignore")  # what scoring uses beside the corners
_ROWS = ("_row", "_row_b")


def what_differs(a: AnnotationTable, b: AnnotationTable) -> str | None:
    """Say in what two truths differ that matters to scoring; None where they are the same but for their ids."""
    first, second = _with_common_names(a, b)
    only = [left.join(right, on="_name", how="anti")["file_name"] for left, right in ((first, second), (second, first))]
    if any(map(len, only)):
        names = ["; e.g. " + ", ".join(part.head(_MOST_NAMES)) if len(part) else "" for part in only]
        return f"{len(only[0])} images are in the first alone{names[0]}, {len(only[1])} in the second alone{names[1]}"
    if set(a.class_names) != set(b.class_names):
        return f"the classes are {', '.join(a.class_names)} and {', '.join(b.class_names)}"
    both = first.join(second, on="_name", suffix="_b")
    sized = both.filter((pl.col("width") != pl.col("width_b")) | (pl.col("height") != pl.col("height_b")))
    if len(sized):
        return f"the sizes of {len(sized)} images"
    return _other_boxes(a.boxes, _renumbered(b.boxes, a, b))


def in_ids_of(a: AnnotationTable, b: AnnotationTable, detections: Detections) -> Detections:
    """Return detections on `b` with the ids of `a`, which says the same."""
    return Detections(_renumbered(detections.rows, a, b))


def _with_common_names(a: AnnotationTable, b: AnnotationTable) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the images with a `_name` that both share: as few last parts of the path as are unique in each."""
    parts = pl.col("file_name").str.replace(r"\.[^./]*$", "").str.split("/")
    images = [t.images.with_columns(_parts=parts) for t in (a, b)]
    deepest = pl.concat([frame["_parts"] for frame in images]).list.len().to_numpy().max(initial=1)
    for n in range(1, deepest + 1):
        name = pl.col("_parts").list.tail(n).list.join("/")
        first, second = (frame.with_columns(_name=name) for frame in images)
        if first["_name"].is_unique().all() and second["_name"].is_unique().all():
            return first, second
    first, second = (frame.with_columns(_name="file_name") for frame in images)
    return first, second


def _renumbered(rows: pl.DataFrame, a: AnnotationTable, b: AnnotationTable) -> pl.DataFrame:
    """Return rows of `b` with the ids that `a` has for the same images and classes."""
    first, second = _with_common_names(a, b)
    images = second.join(first, on="_name", suffix="_a")
    classes = b.categories.join(a.categories, on="name", suffix="_a")
    return rows.with_columns(
        pl.col(column).replace_strict(ids[column], ids[f"{column}_a"], default=None, return_dtype=pl.Int64)
        for column, ids in (("image_id", images), ("category_id", classes))
    )


def _other_boxes(a: pl.DataFrame, b: pl.DataFrame) -> str | None:
    """Say what two frames of boxes with the same ids differ in; None where each box has its equal."""
    columns = [*_BESIDE, *XYXY]
    first, second = (frame.select(columns).sort(columns).with_row_index("_row") for frame in (a, b))
    if first.drop("_row").equals(second.drop("_row")):
        return None
    rest = [x.join(y, on=columns, how="anti", nulls_equal=True) for x, y in ((first, second), (second, first))]
    pairs = rest[0].join(rest[1], on=_BESIDE, nulls_equal=True, suffix="_b")
    near = pairs.filter(pl.all_horizontal((pl.col(c) - pl.col(f"{c}_b")).abs() <= TOLERANCE_PX for c in XYXY))
    lost = [part.filter(~pl.col("_row").is_in(near[row].implode())) for part, row in zip(rest, _ROWS, strict=True)]
    images = pl.concat([part["image_id"] for part in lost]).unique()
    if len(images):
        return f"the boxes of {len(images)} images"
    return None if len(first) == len(second) and len(near) else "how often some boxes are there"
