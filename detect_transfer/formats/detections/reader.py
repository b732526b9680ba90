"""Detections of anybody: COCO results, YOLO or plain texts an image, CSV, Parquet.

To add a layout: a function from the path and the truth to what the file states, and a line in `DETECTION_FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import DETECTION_SCHEMA, XYXY, AnnotationTable, Detections
from detect_transfer.core.boxes import xywh_to_xyxy
from detect_transfer.core.choices import BoxForm
from detect_transfer.core.columns import text_of
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.core.opening import open_regular
from detect_transfer.formats.detections.coco_results import NAME_KEYS, read_coco
from detect_transfer.formats.detections.layout import find_layout
from detect_transfer.formats.detections.names import KnownNames
from detect_transfer.formats.detections.resolve import DetectionOptions, StatedDetections, to_detections
from detect_transfer.formats.detections.text import read_csv, read_texts, read_yolo
from detect_transfer.formats.parsing.tables import table_errors

_HEAD_BYTES = 4096
_FOLDERS = ("yolo", "text")
_OF_PREDICT = ("detections.json", "detections.parquet", "detections.csv")


def read_detections(
    path: Path, truth: AnnotationTable | KnownNames, options: DetectionOptions | None = None
) -> Detections:
    """Read detections of any layout of `DETECTION_FORMATS`, with the ids of the truth.

    Images and classes are known by their names wherever the file has them; else images by id, file name, name without
    suffix or the last parts of it, classes by id or name. Ids that a reader made for a truth without any (see
    `KnownNames`) are not known to others, so that names alone count there.

    Args:
        path: A file, a folder with a text an image, or the folder that `predict` or a run wrote.
        truth: The images and classes that they were made on.
        options: What is known of the file; the rest is recognised by what is in it.

    Raises:
        InputError: The layout is unknown, an image or a class is not of the truth, ids and names contradict each other,
            boxes or class numbers are not what the layout says, or an entry is at fault; the message has file and line.
    """
    options, path = options or DetectionOptions(), file_of(path)
    if not path.exists():
        raise InputError("FILE_MISSING", "detections were expected here", where=path, remedy="check the path")
    names = truth if isinstance(truth, KnownNames) else KnownNames.of(truth)
    layout = options.layout or _recognise(path, names, options)
    if layout not in DETECTION_FORMATS:
        raise InputError(
            *("DETECTIONS_FORMAT", "no layout has this name"),
            field="--detections-format",
            value=layout,
            remedy=did_you_mean(layout, list(DETECTION_FORMATS)),
        )
    if (layout in _FOLDERS) != path.is_dir():
        expected = "a folder with a text an image" if layout in _FOLDERS else "a file"
        raise InputError(
            *("DETECTIONS_FORMAT", f"{expected} was expected for '{layout}'"),
            where=path,
            remedy="check the path, or leave --detections-format out",
        )
    return to_detections(DETECTION_FORMATS[layout](path, names, options), names, options)


def file_of(path: Path) -> Path:
    """Return the detections in the folder that `predict` or a run wrote; any other path as it is."""
    return next((file for name in _OF_PREDICT if (file := path / name).is_file()), path)


def read_results(path: Path) -> Detections:
    """Read a COCO results list by its ids alone, as our own runs write it.

    Raises:
        InputError: It is no list, or entries lack a key, are of the wrong type or not finite; up to twenty at once,
            each with its JSON pointer.

    Source: https://cocodataset.org/#format-results
    """
    rows = read_coco(path, names=False).rows
    corners = xywh_to_xyxy(rows.select(XYXY).to_numpy())
    ids = rows.select("score", image_id=pl.col("image"), category_id=pl.col("category"))
    return Detections.from_columns(
        ids.with_columns(x2=pl.Series(corners[:, 2]), y2=pl.Series(corners[:, 3]), x1=rows["x1"], y1=rows["y1"])
    )


def _coco(path: Path, truth: KnownNames, options: DetectionOptions) -> StatedDetections:
    return read_coco(path)


def _parquet(path: Path, truth: KnownNames, options: DetectionOptions) -> StatedDetections:
    """Read the columns of `Detections`, and where they are there `file_name` and `category_name`."""
    data = io.read_bytes(path)
    with table_errors("PARQUET_DAMAGED", path, remedy="write the table again"):
        rows = pl.read_parquet(BytesIO(data))
    expected = DETECTION_SCHEMA | {name: pl.String for name in NAME_KEYS if name in rows.columns}
    wrong = [c for c, dtype in expected.items() if rows.schema.get(c) != dtype or rows[c].null_count()]
    if wrong:
        what = f"{rows.schema.get(wrong[0], 'nothing')} was found, {expected[wrong[0]]} without null was expected"
        raise InputError(
            *("PARQUET_SCHEMA", what),
            where=path,
            field="column",
            value=wrong[0],
            remedy="write the columns " + ", ".join(DETECTION_SCHEMA),
        )
    Detections(rows.select(*DETECTION_SCHEMA))  # which checks the values
    names = {new: pl.col(name) for name, new in NAME_KEYS.items() if name in rows.columns}
    rows = rows.select(
        *XYXY,
        "score",
        image=pl.col("image_id").cast(pl.String),
        category=pl.col("category_id").cast(pl.String),
        source=text_of("{}:row {}", pl.lit(path.name), pl.int_range(1, pl.len() + 1)),
        **names,
    )
    return StatedDetections(path, rows, BoxForm.XYXY, ids_first=True)


DETECTION_FORMATS: dict[str, Callable[[Path, KnownNames, DetectionOptions], StatedDetections]] = {
    "coco": _coco,
    "csv": read_csv,
    "parquet": _parquet,
    "text": read_texts,
    "yolo": read_yolo,
}


def _recognise(path: Path, truth: KnownNames, options: DetectionOptions) -> str:
    """Tell the layout by the first bytes of a file, or by the first rows of the texts of a folder."""
    if path.is_dir():
        layout = find_layout(path, truth, options)
        return "yolo" if layout.indexed and layout.form.value.endswith("-norm") else "text"
    with open_regular(path) as stream:
        head = stream.read(_HEAD_BYTES)
    if head.startswith(b"PAR1"):
        return "parquet"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start[:1] in (b"[", b"{"):
        return "coco"
    first = start.splitlines()[0] if start else b""
    if any(mark in first for mark in (b",", b";", b"\t")):
        return "csv"
    raise InputError(
        *("DETECTIONS_FORMAT", "neither COCO results, nor a CSV with a header, nor Parquet"),
        where=path,
        remedy="give one of these, a folder with a text an image, or --detections-format",
    )
