"""The table of what was drawn with a labelling tool: named images, shapes and free class names."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from detect_transfer.core.annotations import BOX_SCHEMA, AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.frames import find_media
from detect_transfer.formats.parsing.image_lookup import ImageLookup, ImageRef
from detect_transfer.formats.parsing.json_boxes import dump
from detect_transfer.formats.parsing.shapes import RECTANGLE, Corners, Shape

__all__ = ["RECTANGLE", "Corners", "Shape", "TableBuilder", "dump"]  # until all readers stand on `Source`

OTHER_SHAPES = ("extent", "skip", "error")


class TableBuilder:
    """Collects images and shapes, and makes the table of them.

    Args:
        root: The folder of the data set.
        media: How images are found.
        problems: Where faults go.
        other_shapes: What becomes of shapes that are no upright rectangle: ``extent`` takes the box around them and
            keeps the shape in `attributes`, ``skip`` leaves them out, which the ledger counts, ``error`` refuses them.

    Raises:
        InputError: There is no such choice.
    """

    def __init__(self, root: Path, media: ImageLookup, problems: ErrorCollector, other_shapes: str = "extent") -> None:
        native.check_choice("other_shapes", other_shapes, OTHER_SHAPES)
        self.root = root
        self.media = media
        self.problems = problems
        self.other_shapes = other_shapes
        self._named: dict[str, ImageRef] = {}
        self._facts: dict[str, Mapping[str, Any]] = {}
        self._rows: list[dict[str, Any]] = []
        self._skipped: list[str] = []

    def add_image(self, name: str, named: ImageRef, facts: Mapping[str, Any] | None = None) -> bool:
        """Add an image with further columns of the table of images; False if it was there before, which is a fault."""
        if name in self._named:
            self.problems.add(
                "ID_DUPLICATE",
                f"the image is annotated at {self._named[name].where} too",
                where=named.where,
                field="image",
                value=name,
                image=name,
                remedy="remove one of them",
            )
            return False
        self._named[name] = named
        self._facts[name] = facts or {}
        return True

    def take(self, name: str, make: Callable[..., Shape], *told: Any, **further: Any) -> None:
        """Add the shape that `make` makes of what was told; an input error is a fault of a row of the image."""
        try:
            self.add_shape(name, make(*told, **further))
        except InputError as error:
            self.problems.put(error, row_of=name)

    def add_shape(self, name: str, shape: Shape) -> None:
        """Add a shape to the image `name`.

        Raises:
            InputError: It has no class or an inverted box, or it is of a kind that is refused.
        """
        where = f"{self.root}/{shape.source}"
        x1, y1, x2, y2 = shape.xyxy
        if not (x2 >= x1 and y2 >= y1 and math.isfinite(x1 + y1 + x2 + y2)):
            what = "edges must be finite, the right one >= the left one, the lower one >= the upper one"
            raise InputError(
                "BOX_INVALID", what, where=where, field="box", value=shape.xyxy, remedy="fix the box or remove it"
            )
        if shape.label is not None and not shape.label.strip():
            raise InputError("OBJECT_NAME", "it has no class", where=where, remedy="give it one or remove it")
        attributes = dict(shape.attributes)
        if shape.kind != RECTANGLE:
            if self.other_shapes == "error":
                raise InputError(
                    *("SHAPE_KIND", "it is no upright rectangle"),
                    where=where,
                    field="shape",
                    value=shape.kind,
                    remedy="draw a rectangle, or read with other_shapes=extent for the box around it, =skip without it",
                )
            if self.leaves_out(shape.source, shape.kind):
                return
            attributes["drawn"] = {"shape": shape.kind, **shape.drawn}
        self._rows.append(
            {
                "image": name,
                "label": None if shape.label is None else shape.label.strip(),
                **{"x1": x1, "y1": y1, "x2": x2, "y2": y2},
                "attributes": dump(attributes, where) if attributes else None,
                "source": shape.source,
                **shape.columns,
            }
        )

    def leaves_out(self, source: str, kind: str) -> bool:
        """Tell whether a shape that is no upright rectangle is to be left out, and count it then."""
        if self.other_shapes == "skip":
            self._skipped.append(f"{source} {kind}")
        return self.other_shapes == "skip"

    def table(self, classes: Sequence[str] | None = None) -> AnnotationTable:
        """Return the table; its classes are `classes` in this order, or the labels that occur, sorted.

        Raises:
            InputError: There are faults, or no image is annotated.
        """
        if not self._named:
            self.problems.raise_any()
            raise InputError(
                *("IMAGES_NONE", "no image is annotated"), where=self.root, remedy="give the folder of an export"
            )
        self.problems.note("not an upright rectangle", len(self._skipped), tuple(self._skipped), kind="box")
        images = find_media(self.root, self._named, self.media, self.problems)
        self._check_shared({name: image.file_name for name, image in images.items()})
        self._count_lost(images)
        image_ids = {name: i for i, name in enumerate(images, start=1)}
        if classes is None:
            classes = sorted({row["label"] for row in self._rows if row["label"] is not None})
        facts = [self._facts[name] for name in images]
        told = {key for one in facts for key, value in one.items() if value is not None}
        return native.finish(
            self.problems,
            images={
                "image_id": list(image_ids.values()),
                "file_name": [image.file_name for image in images.values()],
                "width": [image.size_wh and image.size_wh[0] for image in images.values()],
                "height": [image.size_wh and image.size_wh[1] for image in images.values()],
                **{key: [one.get(key) for one in facts] for key in sorted(told)},
            },
            boxes=_boxes(self._rows, image_ids, {name: i for i, name in enumerate(classes, start=1)}),
            categories={"category_id": range(1, len(classes) + 1), "name": list(classes)},
            image_root=self.root,
            names={name: image.file_name for name, image in images.items()},
        )

    def _check_shared(self, file_names: Mapping[str, str]) -> None:
        """Report two annotations whose images are one file."""
        first: dict[str, str] = {}
        for name, file_name in file_names.items():
            other = first.setdefault(file_name, name)
            if other != name:
                self.problems.add(
                    "ID_DUPLICATE",
                    f"'{file_name}' is the image of '{other}' too",
                    where=self._named[name].where,
                    field="image",
                    value=name,
                    image=name,
                    remedy="put the right image there, or remove one of them",
                )

    def _count_lost(self, images: Iterable[str]) -> None:
        """Count the boxes whose images are left out."""
        there = set(images)
        lost = Counter(row["image"] in self.problems.skipped_images for row in self._rows if row["image"] not in there)
        self.problems.note("skipped with their image", lost[True], kind="box")
        self.problems.note("image is not there", lost[False], kind="box")


def _boxes(rows: Sequence[Mapping[str, Any]], image_ids: Mapping[str, int], ids: Mapping[str, int]) -> pl.DataFrame:
    """Make the frame of the boxes whose image has an id."""
    kept = [row for row in rows if row["image"] in image_ids]
    columns = {key for row in kept for key in row} & set(BOX_SCHEMA)
    flags = {"iscrowd", "ignore", "difficult"}
    return pl.DataFrame(
        {
            "annotation_id": range(1, len(kept) + 1),
            "image_id": [image_ids[row["image"]] for row in kept],
            "category_id": [None if row["label"] is None else ids[row["label"]] for row in kept],
            **{key: [row.get(key, False if key in flags else None) for row in kept] for key in sorted(columns)},
        },
        schema_overrides={name: dtype for name, dtype in BOX_SCHEMA.items() if name in columns | {"category_id"}},
    )
