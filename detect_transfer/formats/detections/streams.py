"""Detections written as they come, an image at a time: JSON lines, COCO results, CSV, Parquet and YOLO texts.

A file but for the JSON lines and the texts is written under another name and renamed when it is whole.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import orjson
import polars as pl

from detect_transfer.core.annotations import DETECTION_SCHEMA
from detect_transfer.core.arrays import BoolArray, FloatArray, IntArray
from detect_transfer.core.boxes import xyxy_to_cxcywh_norm, xyxy_to_xywh
from detect_transfer.core.csv_cells import harmless
from detect_transfer.core.image_sources import free_path, output_stem
from detect_transfer.core.io import write_atomic
from detect_transfer.formats.detections.layout import CLASS_LIST

_COLUMNS: dict[str, Any] = {
    "image_id": pl.Int64,
    "file_name": pl.String,
    "category_id": pl.Int64,
    "category_name": pl.String,
    **{name: dtype for name, dtype in DETECTION_SCHEMA.items() if not name.endswith("_id")},
    "drawn": pl.Boolean,
}


@dataclass(frozen=True)
class Classes:
    """The classes of a detector in order: their ids in the data that it was trained on, and their names."""

    ids: Sequence[int]
    names: Sequence[str]


@dataclass(frozen=True)
class DetectedImage:
    """An image and what was detected in it.

    Args:
        image_id: Its number, from 1.
        file_name: Its name, with forward slashes.
        size_wh: Width and height in pixels.
        xyxy: (N, 4) pixels.
        scores: (N,) in [0, 1].
        labels: (N,) class indices.
        drawn: (N,) which of them reach the score from which they are drawn.
        error: Why the image could not be read; "" where it was.
    """

    image_id: int
    file_name: str
    size_wh: tuple[int, int]
    xyxy: FloatArray
    scores: FloatArray
    labels: IntArray
    drawn: BoolArray
    error: str = ""


class DetectionWriter(Protocol):
    """Writes detections to one file or folder."""

    def write(self, image: DetectedImage) -> None:
        """Write what was detected in an image that was read."""

    def close(self, *, whole: bool) -> None:
        """End the file; one that is not whole is removed where it could be taken for the whole."""


class _Part:
    """A file under another name until it is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.name}.part")
        self.stream: BinaryIO = self._temporary.open("wb")

    def close(self, *, whole: bool) -> None:
        self.stream.close()
        if whole:
            self._temporary.replace(self._path)
        else:
            self._temporary.unlink(missing_ok=True)


class JsonArray:
    """A JSON list, an entry a line."""

    def __init__(self, path: Path) -> None:
        self._part = _Part(path)
        self._is_empty = True

    def write(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Append entries."""
        for entry in entries:
            self._part.stream.write(b"[\n" if self._is_empty else b",\n")
            self._part.stream.write(orjson.dumps(entry, option=orjson.OPT_SERIALIZE_NUMPY))
            self._is_empty = False

    def close(self, *, whole: bool) -> None:
        """End the list."""
        self._part.stream.write(b"[]\n" if self._is_empty else b"\n]\n")
        self._part.close(whole=whole)


class _CocoResults:
    """`detections.json`: a COCO results list whose entries also have `file_name`, `category_name` and `drawn`."""

    def __init__(self, folder: Path, classes: Classes) -> None:
        self._classes = classes
        self._array = JsonArray(folder / "detections.json")

    def write(self, image: DetectedImage) -> None:
        self._array.write(
            [
                {
                    "image_id": image.image_id,
                    "file_name": image.file_name,
                    "category_id": self._classes.ids[label],
                    "category_name": self._classes.names[label],
                    "bbox": box,
                    "score": score,
                    "drawn": drawn,
                }
                for label, box, score, drawn in zip(
                    *(image.labels.tolist(), xyxy_to_xywh(image.xyxy).tolist(), image.scores.tolist()),
                    image.drawn.tolist(),
                    strict=True,
                )
            ]
        )

    def close(self, *, whole: bool) -> None:
        self._array.close(whole=whole)


class _JsonLines:
    """`detections.jsonl`: a line an image, whole at any time; an image that could not be read has `error`."""

    def __init__(self, folder: Path, classes: Classes) -> None:
        self._classes = classes
        self._stream = (folder / "detections.jsonl").open("wb")

    def write(self, image: DetectedImage) -> None:
        line: dict[str, Any] = {"image_id": image.image_id, "file_name": image.file_name}
        if image.error:
            line["error"] = image.error
        else:
            boxes = zip(
                *(image.labels.tolist(), xyxy_to_xywh(image.xyxy).tolist(), image.scores.tolist()),
                image.drawn.tolist(),
                strict=True,
            )
            line |= {"width": image.size_wh[0], "height": image.size_wh[1]}
            line["detections"] = [
                {
                    "category_id": self._classes.ids[label],
                    "category_name": self._classes.names[label],
                    "bbox": box,
                    "score": score,
                    "drawn": drawn,
                }
                for label, box, score, drawn in boxes
            ]
        self._stream.write(orjson.dumps(line) + b"\n")
        self._stream.flush()

    def close(self, *, whole: bool) -> None:
        self._stream.close()


class _Csv:
    """`detections.csv`: a row a detection under a header; names are no formulas unless `plain`."""

    def __init__(self, folder: Path, classes: Classes, *, name: str = "detections.csv", plain: bool = False) -> None:
        self._classes = classes
        self._cell = str if plain else harmless
        self._path = folder / name
        self._temporary = folder / f".{name}.part"
        self._stream = self._temporary.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._stream)
        self._rows.writerow(_COLUMNS)

    def write(self, image: DetectedImage) -> None:
        names = [self._cell(self._classes.names[label]) for label in image.labels]
        ids = [self._classes.ids[label] for label in image.labels]
        file_name = self._cell(image.file_name)
        boxes = zip(ids, names, image.xyxy.tolist(), image.scores.tolist(), image.drawn.tolist(), strict=True)
        for category_id, name, box, score, drawn in boxes:
            row = (image.image_id, file_name, category_id, name, *box, score, str(drawn).lower())
            self._rows.writerow(row)

    def close(self, *, whole: bool) -> None:
        self._stream.close()
        if whole:
            self._temporary.replace(self._path)
        else:
            self._temporary.unlink(missing_ok=True)


class _Parquet:
    """`detections.parquet`: the same columns; polars streams it from rows of text when all are there."""

    def __init__(self, folder: Path, classes: Classes) -> None:
        self._rows = _Csv(folder, classes, name=".detections.rows", plain=True)
        self._text, self._path = folder / ".detections.rows", folder / "detections.parquet"

    def write(self, image: DetectedImage) -> None:
        self._rows.write(image)

    def close(self, *, whole: bool) -> None:
        self._rows.close(whole=whole)
        if whole:
            part = self._path.with_name(f".{self._path.name}.part")
            rows = pl.scan_csv(self._text, schema=_COLUMNS)
            rows.with_columns(pl.col("category_name").fill_null("")).sink_parquet(part)
            part.replace(self._path)
            self._text.unlink()


class _YoloTexts:
    """`labels/`: a text an image with ``index cx cy width height score``, of the detections that are drawn alone."""

    def __init__(self, folder: Path, classes: Classes) -> None:
        self._folder = folder / "labels"
        write_atomic(self._folder / CLASS_LIST, "".join(f"{name}\n" for name in classes.names))

    def write(self, image: DetectedImage) -> None:
        boxes = xyxy_to_cxcywh_norm(image.xyxy, image.size_wh)
        rows = np.column_stack([image.labels, boxes, image.scores])[image.drawn]
        text = "".join(f"{int(row[0])} {' '.join(f'{value:.6f}' for value in row[1:])}\n" for row in rows)
        path = free_path(self._folder, output_stem(image.file_name), ".txt", name=image.file_name)
        write_atomic(path, text, flush=False)

    def close(self, *, whole: bool) -> None:
        pass


DETECTION_WRITERS: dict[str, Callable[[Path, Classes], DetectionWriter]] = {
    "jsonl": _JsonLines,
    "coco": _CocoResults,
    "csv": _Csv,
    "parquet": _Parquet,
    "yolo": _YoloTexts,
}
