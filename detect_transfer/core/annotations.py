"""`AnnotationTable` and `Detections`: what readers, training, prediction and scoring hand to each other.

Both hold polars frames whose columns are checked when the object is made. Boxes are `xyxy` in pixels, float64, origin
at the top-left corner of the first pixel, x2 and y2 exclusive. A box may reach past its image and may be empty: readers
mark, and never drop; `data.clean` cleans by named policies and counts what left.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeVar

import polars as pl

from detect_transfer.core.columns import AnyFrame, collected, joined, n_rows
from detect_transfer.core.errors import InputError
from detect_transfer.core.ledger import LedgerLine
from detect_transfer.core.table_checks import check_boxes, check_known, check_schema, check_unique

XYXY = ("x1", "y1", "x2", "y2")  # the corners of a box, in every table of ours
VISIBLE_XYXY = ("vis_x1", "vis_y1", "vis_x2", "vis_y2")  # those of its visible part

JSON = pl.Binary  # of a further column of images or classes: values that are no plain ones, as JSON

IMAGE_SCHEMA: dict[str, Any] = {
    "image_id": pl.Int64,
    "file_name": pl.String,  # relative to image_root, forward slashes
    "width": pl.Int32,  # null where neither the annotations nor an image says it
    "height": pl.Int32,
    "split": pl.String,
    "group": pl.String,  # video, sequence, sign pole: what no split may cut
}
BOX_SCHEMA: dict[str, Any] = {
    "annotation_id": pl.Int64,
    "image_id": pl.Int64,
    "category_id": pl.Int64,  # null for a region that is ignored for every class
    "x1": pl.Float64,
    "y1": pl.Float64,
    "x2": pl.Float64,
    "y2": pl.Float64,
    "iscrowd": pl.Boolean,  # a region that stands for many objects
    "ignore": pl.Boolean,  # neither target nor background
    "ignore_reason": pl.String,
    # hidden share in [0, 1], and share outside the image; a flag without a share is 1.0 or 0.0; null: unknown
    "occluded": pl.Float64,
    "truncated": pl.Float64,
    "difficult": pl.Boolean,
    "vis_x1": pl.Float64,
    "vis_y1": pl.Float64,
    "vis_x2": pl.Float64,
    "vis_y2": pl.Float64,
    "vis_ratio": pl.Float64,  # visible share in [0, 1], for sources that publish it without a visible box
    "track_id": pl.String,
    "attributes": pl.String,  # a JSON object; null: none
    "source": pl.String,  # file:line or file#key
}
CATEGORY_SCHEMA: dict[str, Any] = {"category_id": pl.Int64, "name": pl.String, "supercategory": pl.String}
DETECTION_SCHEMA: dict[str, Any] = {
    "image_id": pl.Int64,
    "category_id": pl.Int64,
    "x1": pl.Float64,
    "y1": pl.Float64,
    "x2": pl.Float64,
    "y2": pl.Float64,
    "score": pl.Float64,
}
FALSE_BY_DEFAULT = ("iscrowd", "ignore", "difficult")

Columns = Mapping[str, Any] | pl.DataFrame


def frame(columns: Columns, schema: Mapping[str, Any]) -> pl.DataFrame:
    """Make a frame with the columns of `schema` in order, then any further ones.

    A column that is absent is filled with null, or with False for the flags `iscrowd`, `ignore` and `difficult`.
    """
    data = columns if isinstance(columns, pl.DataFrame) else pl.DataFrame(dict(columns), strict=False)
    if data.width == 0:
        return pl.DataFrame(schema=dict(schema))
    filled = [
        pl.col(name).cast(dtype)
        if name in data.columns
        else pl.lit(False if name in FALSE_BY_DEFAULT else None).cast(dtype).alias(name)
        for name, dtype in schema.items()
    ]
    return data.select(*filled, *[c for c in data.columns if c not in schema])


@dataclass(frozen=True)
class Annotations(ABC):
    """Images, boxes and categories of a data set, whose boxes are in memory (`AnnotationTable`) or stay in a file.

    Args:
        images: A row an image, at least the columns of `IMAGE_SCHEMA`.
        boxes: A row a box, at least the columns of `BOX_SCHEMA`.
        categories: A row a class, the columns of `CATEGORY_SCHEMA`.
        image_root: The folder that `file_name` is relative to; None where there are no images.
        reading: What the reader left out because it was asked to, as lines of a ledger.
        link_root: The folder of the data set, which links of images may lead into; None for `image_root`.
    """

    images: pl.DataFrame
    boxes: AnyFrame
    categories: pl.DataFrame
    image_root: Path | None = None
    reading: tuple[LedgerLine, ...] = ()
    link_root: Path | None = None

    @abstractmethod
    def in_memory(self) -> AnnotationTable:
        """Return the table with its boxes in memory."""

    @property
    def n_boxes(self) -> int:
        """The number of boxes."""
        return n_rows(self.boxes)

    @property
    def class_names(self) -> list[str]:
        """The names of the classes in order of `category_id`."""
        return self.categories.sort("category_id")["name"].to_list()

    @property
    def splits(self) -> list[str]:
        """The names of the splits that occur, sorted."""
        return sorted(self.images["split"].drop_nulls().unique().to_list())

    def with_fields(self, **fields: Any) -> Self:
        """Return the table with other values of some fields."""
        return replace(self, **fields)

    def with_boxes(self, boxes: AnyFrame) -> Self:
        """Return the same images and classes with other boxes."""
        return self.with_fields(boxes=boxes)

    def select_images(self, image_ids: Iterable[int]) -> Self:
        """Return the table of these images alone, with their boxes and all classes."""
        keep = pl.Series("image_id", list(image_ids), dtype=pl.Int64).unique()
        return self.with_fields(
            images=self.images.filter(pl.col("image_id").is_in(keep.implode())),
            boxes=joined(self.boxes, keep.to_frame(), on="image_id", how="semi"),
        )

    def split_of(self, name: str) -> Self:
        """Return the table of one split.

        Raises:
            InputError: No image is in that split.
        """
        images = self.images.filter(pl.col("split") == name)
        if images.is_empty():
            raise InputError(
                "SPLIT_MISSING",
                "no image is in this split",
                field="split",
                value=name,
                remedy="there is: " + (", ".join(self.splits) or "no split at all"),
            )
        return self.select_images(images["image_id"])


@dataclass(frozen=True)
class AnnotationTable(Annotations):
    """A table in memory, checked when it is made.

    Args:
        boxes: The rows.

    Raises:
        InputError: An id occurs twice, an id points at nothing, a coordinate is not finite or a box is inverted.
        InternalError: A column is missing or has another type, which only our own code can cause.
    """

    boxes: pl.DataFrame

    def __post_init__(self) -> None:
        """Check columns, ids and boxes."""
        check_table(self)

    @classmethod
    def from_columns(
        cls, *, images: Columns, boxes: Columns, categories: Columns, image_root: Path | None = None
    ) -> AnnotationTable:
        """Make a table from columns by name; those of the schema that are absent get their default."""
        return cls(
            images=frame(images, IMAGE_SCHEMA),
            boxes=frame(boxes, BOX_SCHEMA),
            categories=frame(categories, CATEGORY_SCHEMA),
            image_root=image_root,
        )

    def in_memory(self) -> AnnotationTable:
        """Return the table itself."""
        return self


@dataclass(frozen=True)
class ScannedTable(Annotations):
    """A table whose boxes stay in their file: each step reads those columns that it needs, in portions.

    It is not checked when it is made; see `check_table`.

    Args:
        boxes: A query for the rows, in order.
    """

    boxes: pl.LazyFrame

    def in_memory(self) -> AnnotationTable:
        """Return the table with its boxes in memory.

        Raises:
            InputError: As for `AnnotationTable`.
        """
        boxes = collected(self.boxes).rechunk()  # else every step that adds a column copies all
        return AnnotationTable(self.images, boxes, self.categories, self.image_root, self.reading, self.link_root)


Table = TypeVar("Table", bound=Annotations)


@dataclass(frozen=True)
class Detections:
    """The boxes of a detector, with a score each, checked when they are made.

    Args:
        rows: A row a detection, the columns of `DETECTION_SCHEMA`.
        reading: How the reader understood what the layout leaves open, a sentence each.

    Raises:
        InputError: A box or a score is not finite, a box is inverted, or a score is outside [0, 1].
        InternalError: A column is missing or has another type.
    """

    rows: pl.DataFrame
    reading: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check columns, boxes and scores."""
        check_schema(self.rows, DETECTION_SCHEMA, "detections")
        check_boxes(self.rows, XYXY)
        score = pl.col("score")
        wrong = self.rows.filter(~(score.is_finite() & (score >= 0) & (score <= 1)).fill_null(False))
        if not wrong.is_empty():
            row = wrong.row(0, named=True)
            raise InputError(
                "SCORE_RANGE",
                f"a score must be in [0, 1]; {len(wrong)} are not, the first for image_id {row['image_id']}",
                field="score",
                value=row["score"],
                remedy="give probabilities, not logits or percent",
            )

    @classmethod
    def from_columns(cls, columns: Columns) -> Detections:
        """Make detections from columns by name."""
        return cls(frame(columns, DETECTION_SCHEMA))

    def with_reading(self, sentences: Iterable[str]) -> Detections:
        """Return the same detections with how they were read."""
        return Detections(self.rows, tuple(sentences))

    @classmethod
    def empty(cls) -> Detections:
        """Return no detections."""
        return cls(pl.DataFrame(schema=DETECTION_SCHEMA))


def check_table(table: Annotations) -> None:
    """Check columns, ids and boxes of a table.

    Raises:
        InputError: As for `AnnotationTable`.
    """
    for name, frame, schema in (
        ("images", table.images, IMAGE_SCHEMA),
        ("boxes", table.boxes, BOX_SCHEMA),
        ("categories", table.categories, CATEGORY_SCHEMA),
    ):
        check_schema(frame, schema, name)
    check_unique(table.images, "image_id", "images")
    check_unique(table.boxes, "annotation_id", "boxes")
    check_unique(table.categories, "category_id", "categories")
    check_unique(table.categories, "name", "categories")
    named = table.boxes.select("image_id", "category_id", "ignore", "source")
    check_known(named, table.images, "image_id")
    for_every_class = pl.col("ignore") & pl.col("category_id").is_null()  # such a region has no category
    check_known(named, table.categories, "category_id", unless=for_every_class)
    check_boxes(table.boxes, XYXY)
