"""LabelMe: a JSON for each image, with rectangles, the way to the image, and no pixels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.ledger import Ledger
from detect_transfer.formats.parsing.own_columns import FLAGS
from detect_transfer.formats.writing.losses import note_losses
from detect_transfer.formats.writing.objects import images_with_objects, with_class
from detect_transfer.formats.writing.small_files import write_small_files

CARRIED = ("score", "note", *FLAGS)
_VERSION = "5.5.0"  # of LabelMe, whose form this is


def write_labelme(table: AnnotationTable, out: Path, *, image_root: Path, ledger: Ledger | None = None) -> None:
    """Write `<image>.json` for each image; LabelMe opens one by itself, or all with `labelme IMAGES --output OUT`.

    Args:
        table: What to write. Columns `score` and `note` of the boxes become the description of a shape.
        out: The folder of the JSON files.
        image_root: The folder that `file_name` is relative to.
        ledger: Gets a step with what was left out and has no field.

    Raises:
        InputError: Two images would share a JSON file.
        ResourceError: The disk is full or does not let us write.

    Source: https://github.com/wkentaro/labelme, the files that it writes.
    """
    step = (ledger or Ledger()).open("labelme", images=len(table.images), boxes=len(table.boxes))
    if (shared := images_of_one_file(table.images["file_name"].to_list())) is not None:
        raise InputError(
            "EXPORT_STEM",
            f"'{shared[0]}' and '{shared[1]}' would share the file {_file_of(shared[0])} of LabelMe",
            field="file_name",
            value=shared[1],
            remedy="rename one of them, or leave labelme out: --to cvat,label_studio",
        )
    table = table.with_boxes(with_class(table.boxes, step, "a shape of LabelMe"))
    names, texts = [], []
    for image, rows in images_with_objects(table):
        name = _file_of(image["file_name"])
        way = os.path.relpath(image_root / image["file_name"], (out / name).parent)
        document = {
            **{"version": _VERSION, "flags": {}, "shapes": [_shape(row) for row in rows]},
            **{"imagePath": Path(way).as_posix(), "imageData": None},
            **{"imageHeight": image["height"], "imageWidth": image["width"]},
        }
        names.append(name)
        texts.append(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    write_small_files(out, names, texts)
    note_losses(step, table, CARRIED)
    step.close(images_out=len(table.images), boxes_out=len(table.boxes))


def images_of_one_file(file_names: Sequence[str]) -> tuple[str, str] | None:
    """Return the first two images whose boxes LabelMe keeps in one file, such as `a.jpg` and `a.png`; None for none."""
    first: dict[str, str] = {}
    for name in file_names:
        if (other := first.setdefault(_file_of(name), name)) != name:
            return other, name
    return None


def _file_of(file_name: str) -> str:
    """Return where LabelMe looks for the boxes of an image."""
    return f"{PurePosixPath(file_name).with_suffix('')}.json"


def _shape(row: dict[str, Any]) -> dict[str, Any]:
    score = row.get("score")
    words = [f"score {score:.3f}" if score is not None else "", row.get("note") or ""]
    return {
        **{"label": row["name"], "points": [[row["x1"], row["y1"]], [row["x2"], row["y2"]]], "group_id": None},
        **{"description": "; ".join(filter(None, words)), "shape_type": "rectangle"},
        "flags": {name: True for name in FLAGS if row[name]},
    }
