"""Detections of anybody: COCO results, YOLO or plain texts an image, CSV, Parquet.

To add a layout: a function from the path and the truth to rows, and a line in `DETECTION_FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from itertools import islice
from pathlib import Path

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import DETECTION_SCHEMA, AnnotationTable, Detections
from detect_transfer.core.columns import text_of
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.formats.detections.coco_results import read_entries
from detect_transfer.formats.detections.names import KnownNames as KnownNames
from detect_transfer.formats.detections.text import read_csv, read_texts, read_yolo, resolved
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.numbers import parse_integer, parse_number

_LOOKED_AT = 200  # texts of a folder, until one tells its layout
_HEAD_BYTES = 4096


def read_detections(path: Path, truth: AnnotationTable | KnownNames, *, kind: str | None = None) -> Detections:
    """Read detections of any layout of `DETECTION_FORMATS`, with the ids of the truth.

    Images are known by id, file name, name without suffix or its last part; classes by id or name. Ids that a reader
    made for a truth without any (see `KnownNames`) are not known to others, so that names alone count there.

    Args:
        path: A file, or a folder with a text an image.
        truth: The images and classes that they were made on.
        kind: The layout; None recognises it by what is in it.

    Raises:
        InputError: The layout is unknown, an image or a class is not of the truth, or an entry is at fault; the message
            has file and line.
    """
    if not path.exists():
        raise InputError("FILE_MISSING", "detections were expected here", where=path, remedy="check the path")
    if kind is None:
        kind = _recognise(path)
    elif kind not in DETECTION_FORMATS:
        raise InputError(
            *("DETECTIONS_FORMAT", "no layout has this name"),
            field="--detections-format",
            value=kind,
            remedy=did_you_mean(kind, list(DETECTION_FORMATS)),
        )
    wants_folder = kind in ("yolo", "text")
    if wants_folder != path.is_dir():
        expected = "a folder with a text an image" if wants_folder else "a file"
        raise InputError(
            *("DETECTIONS_FORMAT", f"{expected} was expected for '{kind}'"),
            where=path,
            remedy="check the path, or leave --detections-format out",
        )
    named = truth if isinstance(truth, KnownNames) else KnownNames(truth)
    return Detections.from_columns(DETECTION_FORMATS[kind](path, named))


def read_results(path: Path) -> Detections:
    """Read a COCO results list whose ids are numbers, as our own runs write it.

    Raises:
        InputError: It is no list, or entries lack a key, are of the wrong type or not finite; up to twenty at once,
            each with its JSON pointer.

    Source: https://cocodataset.org/#format-results
    """
    rows = read_entries(path, names=False)
    return Detections.from_columns(
        rows.select(pl.exclude("image", "category", "source"), image_id=pl.col("image"), category_id=pl.col("category"))
    )


def _coco(path: Path, named: KnownNames) -> pl.DataFrame:
    return resolved(read_entries(path, names=True), named, path.parent, ids_first=True)


def _parquet(path: Path, named: KnownNames) -> pl.DataFrame:
    """Read the columns of `Detections` as they are; values are checked by it."""
    try:
        rows = pl.read_parquet(BytesIO(io.read_bytes(path)))
    except (pl.exceptions.PolarsError, OSError) as error:
        what = f"it cannot be parsed ({str(error).splitlines()[0]})"
        raise InputError("PARQUET_DAMAGED", what, where=path, remedy="write the table again") from error
    wrong = [c for c, dtype in DETECTION_SCHEMA.items() if rows.schema.get(c) != dtype or rows[c].null_count()]
    if wrong:
        what = (
            f"{rows.schema.get(wrong[0], 'nothing')} was found, {DETECTION_SCHEMA[wrong[0]]} without null was expected"
        )
        raise InputError(
            *("PARQUET_SCHEMA", what),
            where=path,
            field="column",
            value=wrong[0],
            remedy="write the columns " + ", ".join(DETECTION_SCHEMA),
        )
    told = rows.select(*DETECTION_SCHEMA).with_columns(
        image=pl.col("image_id").cast(pl.String),
        category=pl.col("category_id").cast(pl.String),
        source=text_of("{}:row {}", pl.lit(path.name), pl.int_range(1, pl.len() + 1)),
    )
    return resolved(told, named, path.parent, ids_first=True)


DETECTION_FORMATS: dict[str, Callable[[Path, KnownNames], pl.DataFrame]] = {
    "coco": _coco,
    "csv": read_csv,
    "parquet": _parquet,
    "text": read_texts,
    "yolo": read_yolo,
}


def _recognise(path: Path) -> str:
    """Tell the layout by the first bytes of a file, or by the first rows of the texts of a folder."""
    if path.is_dir():
        return _recognise_texts(path)
    with path.open("rb") as stream:
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


def _recognise_texts(folder: Path) -> str:
    for name in islice(io.list_files(folder, (".txt",)), _LOOKED_AT):
        for line in native.lines_of(native.read_text(folder, folder / name)):
            parts = line.split()
            numbers = [parse_number(part) for part in parts[1:]]
            shares = [number is not None and -1 <= number <= 2 for number in numbers]  # boxes may reach out a little
            if parts and parse_integer(parts[0]) is not None and len(parts) in (5, 6) and all(shares):
                return "yolo"
            if len(parts) == 6 and None not in numbers:
                return "text"
    return "yolo"  # all are empty, or a fault that its reader tells best
