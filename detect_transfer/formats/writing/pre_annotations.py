"""Boxes that a person is to accept or correct, in the files that labelling tools open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import orjson
import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.core.io import write_json
from detect_transfer.formats.cvat.writer import write_cvat
from detect_transfer.formats.writing.label_studio import write_label_studio
from detect_transfer.formats.writing.labelme import write_labelme


def _cvat(table: AnnotationTable, out: Path, root: Path, model: str) -> None:
    """Write the XML of CVAT, whose boxes carry score and note as attributes, and the labels of the task."""
    rows = table.boxes
    said = [
        {key: value for key, value in (("model", model), ("score", score), ("note", note)) if value is not None}
        for score, note in rows.select("score", "note").rows()
    ]
    texts = pl.Series("attributes", [orjson.dumps(each).decode() for each in said], dtype=pl.String)
    write_cvat(table.with_boxes(rows.drop("score", "note").with_columns(texts)), out / "annotations.xml")
    write_json(out / "labels.json", [{"name": name, "attributes": []} for name in table.class_names])


def _label_studio(table: AnnotationTable, out: Path, root: Path, model: str) -> None:
    write_label_studio(table, out, folder="", model=model)


def _labelme(table: AnnotationTable, out: Path, root: Path, model: str) -> None:
    write_labelme(table, out, image_root=root)


LABELLING_TOOLS: dict[str, Callable[[AnnotationTable, Path, Path, str], None]] = {
    "cvat": _cvat,
    "label_studio": _label_studio,
    "labelme": _labelme,
}


def check_tools(names: Sequence[str]) -> None:
    """Check the names of tools.

    Raises:
        InputError: Nothing is written for one of them.
    """
    for name in names:
        if name not in LABELLING_TOOLS:
            remedy = did_you_mean(name, list(LABELLING_TOOLS))
            raise InputError("OPTION", "there is no such tool", field="--to", value=name, remedy=remedy)


def write_pre_annotations(table: AnnotationTable, out: Path, *, tools: Sequence[str], model: str) -> None:
    """Write a folder for each tool.

    Args:
        table: Images with their sizes and an `image_root`; boxes with the further columns `score` (in [0, 1] or null)
            and `note` (what a person should know of it, or null).
        out: Where the folders go.
        tools: Keys of `LABELLING_TOOLS`.
        model: Who made the boxes.

    Raises:
        InputError: XML cannot hold a name.
        ResourceError: The disk is full or does not let us write.
    """
    root = (table.image_root or Path()).absolute()
    for tool in tools:
        LABELLING_TOOLS[tool](table, out.absolute() / tool, root, model)
