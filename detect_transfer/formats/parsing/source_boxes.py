"""The boxes of a data set that is being read, one at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from detect_transfer.core.annotations import BOX_SCHEMA, XYXY
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing.box_format import BoxFormat
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.json_boxes import dump
from detect_transfer.formats.parsing.rows import Rows
from detect_transfer.formats.parsing.shapes import RECTANGLE, TURNED, Corners, Shape

OTHER_SHAPES = ("extent", "skip", "error")
_FLAGS = ("iscrowd", "ignore", "difficult")


class SourceBoxes:
    """Boxes that are added by themselves.

    Args:
        root: The folder that places are relative to.
        errors: Where faults go.
        other_shapes: What becomes of shapes that are no upright rectangle.
        box_format: What their numbers are counted in.
    """

    root: Path
    errors: ErrorCollector
    other_shapes: str
    box_format: BoxFormat
    _boxes: list[dict[str, Any]]
    _other_shapes: list[str]

    def add_box(
        self,
        image: str,
        label: str | None,
        xyxy: Corners,
        source: str,
        attributes: Mapping[str, Any] | None = None,
        **columns: Any,
    ) -> None:
        """Add a box; without a label it is a region that is ignored for every class.

        Raises:
            InputError: Its class is empty, or the box is inverted or not finite.
        """
        where = f"{self.root}/{source}"
        x1, y1, x2, y2 = xyxy
        if not (x2 >= x1 and y2 >= y1 and math.isfinite(x1 + y1 + x2 + y2)):
            what = "edges must be finite, the right one >= the left one, the lower one >= the upper one"
            raise InputError(
                "BOX_INVALID", what, where=where, field="box", value=xyxy, remedy="fix the box or remove it"
            )
        if label is not None and not (label := label.strip()):
            raise InputError("OBJECT_NAME", "it has no class", where=where, remedy="give it one or remove it")
        row = {"image": image, "label": label, "x1": x1, "y1": y1, "x2": x2, "y2": y2, "source": source, **columns}
        if attributes:
            row["attributes"] = dump(attributes, where)
        self._boxes.append(row)

    def add_shape(self, image: str, shape: Shape) -> None:
        """Add the box of something drawn, as `other_shapes` says.

        Raises:
            InputError: As for `add_box`, or it is of a kind that is refused.
        """
        attributes = shape.attributes
        if shape.kind != RECTANGLE:
            if self.leaves_out(shape.source, shape.kind):
                return
            if self.box_format.units == "shares" and (shape.kind == TURNED or shape.drawn.get("rotation")):
                what = "it is turned, which shares of a width and a height do not tell"
                where, remedy = f"{self.root}/{shape.source}", "write it in pixels"
                raise InputError("SHAPE_KIND", what, where=where, field="shape", value=shape.kind, remedy=remedy)
            attributes = {**attributes, "drawn": {"shape": shape.kind, **shape.drawn}}
        self.add_box(image, shape.label, shape.xyxy, shape.source, attributes, **shape.columns)

    def leaves_out(self, source: str, kind: str) -> bool:
        """Tell whether a shape that is no upright rectangle is to be left out, and count it then.

        Raises:
            InputError: Such shapes are refused.
        """
        if self.other_shapes == "error":
            remedy = "draw a rectangle, or read with other_shapes=extent for the box around it, =skip without it"
            raise InputError(
                "SHAPE_KIND",
                "it is no upright rectangle",
                where=f"{self.root}/{source}",
                field="shape",
                value=kind,
                remedy=remedy,
            )
        if self.other_shapes == "skip":
            self._other_shapes.append(f"{source} {kind}")
        return self.other_shapes == "skip"

    def box_rows(self) -> Rows:
        """Return the boxes that were added as rows; their class is the column `label`."""
        columns = {*XYXY, *(key for row in self._boxes for key in row)} - {"image", "source", "label"}
        data = {key: [row[key] for row in self._boxes] for key in ("image", "source", "label")}
        for key in sorted(columns):
            absent = False if key in _FLAGS else None
            data[key] = [row.get(key, absent) for row in self._boxes]
        schema = {key: BOX_SCHEMA.get(key, pl.String) for key in data}
        return Rows(pl.DataFrame(data, schema_overrides=schema), self.root, self.errors, self.box_format)
