"""The rows of label files as columns, in one pass over many files.

Files are read as bytes, joined, and parsed together by polars. A row that is not as it must be is then looked at by
itself, for a message that says what it looks like.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from detect_transfer.core import io
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.numbers import NUMBER_PATTERN, parse_integer, parse_number
from detect_transfer.formats.yolo.files import Sample

FIELDS = ("class", "cx", "cy", "width", "height")
_CHUNK_BYTES = 64_000_000
_START = rf"^[0-9]{{1,9}}(?: {NUMBER_PATTERN})"
_BOX_ROW = _START + "{4}$"
_POLYGON_ROW = _START + "{6,}$"
_SCORED_ROW = _START + "{5}$"
_BOM = b"\xef\xbb\xbf"
_REMEDY = "fix or remove the row"
_NO_LINES = pl.DataFrame(schema={"file": pl.Int64, "line": pl.Int64, "text": pl.String})


@dataclass
class _Chunk:
    """Label files that are parsed together: their indices and their bytes."""

    files: list[int] = field(default_factory=list)
    blobs: list[bytes] = field(default_factory=list)
    size: int = 0


def read_rows(
    root: Path, samples: Sequence[Sample], *, n_classes: int, scores: bool = False, errors: ErrorCollector
) -> pl.DataFrame:
    """Read label files into a row a box.

    Args:
        root: The folder that the labels are relative to.
        samples: The images with their labels.
        n_classes: How many classes there are.
        scores: Whether rows of 6 columns end in the score of a prediction; otherwise they are faults.
        errors: Where faults go; rows that have one are left out.

    Returns:
        The columns `file` (index of the sample), `line`, `class`, `polygon`, `score` (null: none), `cx`, `cy`, `width`
        and `height`.
    """
    frames = []
    for chunk in _chunks(root, samples):
        lines = _lines(chunk, root, samples, errors)
        frames.append(_parse(lines, (root, samples), n_classes=n_classes, scores=scores, errors=errors))
    return pl.concat(frames)


def _chunks(root: Path, samples: Sequence[Sample]) -> Iterator[_Chunk]:
    """Read the files in portions that bound the memory; there is always at least one."""
    chunk, base = _Chunk(), str(root)
    for index, sample in enumerate(samples):
        try:
            with open(f"{base}/{sample.label}", "rb") as stream:  # noqa: PTH123 - a Path for each would cost as much as reading
                data = stream.read().removeprefix(_BOM)
        except OSError:
            data = io.read_bytes(root / sample.label)  # raises the error that tells
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        chunk.files.append(index)
        chunk.blobs.append(data)
        chunk.size += len(data)
        if chunk.size > _CHUNK_BYTES:
            yield chunk
            chunk = _Chunk()
    yield chunk


def _lines(chunk: _Chunk, root: Path, samples: Sequence[Sample], errors: ErrorCollector) -> pl.DataFrame:
    """Return the lines that are not blank: `file`, `line` (from 1) and `text`."""
    joined = b"\n".join(chunk.blobs)
    try:
        text = joined.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        chunk = _only_text(chunk, root, samples, errors)
        text = b"\n".join(chunk.blobs).decode("utf-8")
    if not chunk.blobs:
        return _NO_LINES
    counts = np.array([blob.count(b"\n") + 1 for blob in chunk.blobs], dtype=np.int64)
    starts = np.cumsum(counts) - counts
    every = pl.Series("text", [text]).str.split("\n").explode().str.strip_chars(" \t")
    if "\t" in text or "  " in text:
        every = every.str.replace_all(r"[ \t]+", " ")
    return pl.DataFrame(
        {
            "file": np.repeat(np.array(chunk.files, dtype=np.int64), counts),
            "line": np.arange(len(every)) - np.repeat(starts, counts) + 1,
            "text": every,
        }
    ).filter(pl.col("text") != "")


def _only_text(chunk: _Chunk, root: Path, samples: Sequence[Sample], errors: ErrorCollector) -> _Chunk:
    """Report the files that are no UTF-8 text and return the others."""
    good = _Chunk()
    for index, blob in zip(chunk.files, chunk.blobs, strict=True):
        sample = samples[index]
        before = errors.total
        with errors.image(sample.image):
            io.read_text(root / sample.label)
        if errors.total == before:
            good.files.append(index)
            good.blobs.append(blob)
    return good


def _parse(
    lines: pl.DataFrame, at: tuple[Path, Sequence[Sample]], *, n_classes: int, scores: bool, errors: ErrorCollector
) -> pl.DataFrame:
    """Turn lines into numbers; lines that are no good row are reported."""
    text = pl.col("text")
    odd_columns = text.str.count_matches(" ", literal=True) % 2 == 0
    kinds = lines.with_columns(
        box=text.str.contains(_BOX_ROW) | (text.str.contains(_SCORED_ROW) if scores else False),
        polygon=text.str.contains(_POLYGON_ROW) & odd_columns,
    )
    rows = pl.concat([_box_rows(kinds.filter("box")), _polygon_rows(kinds.filter("polygon"))])
    if rows["polygon"].any():
        rows = rows.sort("file", "line")
    size = pl.col("width", "height")
    inside = pl.all_horizontal(pl.col("cx", "cy", "width", "height").is_between(-1, 2).fill_null(False))
    likely = pl.col("score").is_null() | pl.col("score").is_between(0, 1)
    fits = inside & (pl.col("class") < n_classes) & pl.all_horizontal(size >= 0) & likely
    misfits = kinds.join(rows.filter(~fits), on=["file", "line"], how="semi")
    wrong = pl.concat([kinds.filter(~pl.col("box") & ~pl.col("polygon")), misfits]).sort("file", "line")
    for file, line, row in wrong.select("file", "line", "text").iter_rows():
        if errors.full:
            errors.count(1)
        else:
            (root, samples), (code, what, name, value) = at, explain(row, n_classes, scores=scores)
            where, image = f"{root / samples[file].label}:{line}", samples[file].image
            errors.add(code, what, where=where, field=name, value=value, remedy=_REMEDY, row_of=image)
    return rows.filter(fits)


def _box_rows(lines: pl.DataFrame) -> pl.DataFrame:
    parts = lines["text"].str.split_exact(" ", 5).struct.unnest()
    parts.columns = [*FIELDS, "score"]
    return pl.concat([lines.select("file", "line"), parts], how="horizontal").select(
        "file",
        "line",
        pl.col("class").cast(pl.Int64),
        pl.lit(False).alias("polygon"),
        *[pl.col(name).cast(pl.Float64, strict=False) for name in ("score", *FIELDS[1:])],
    )


def _polygon_rows(lines: pl.DataFrame) -> pl.DataFrame:
    """Return the extent of each polygon as a box."""
    numbers = pl.col("text").str.split(" ").list.slice(1).cast(pl.List(pl.Float64), strict=False)
    x, y = numbers.list.gather_every(2, 0), numbers.list.gather_every(2, 1)
    finite = numbers.list.eval(pl.element().is_finite().fill_null(False)).list.all()
    centres = {"cx": (x.list.min() + x.list.max()) / 2, "cy": (y.list.min() + y.list.max()) / 2}
    sizes = {"width": x.list.max() - x.list.min(), "height": y.list.max() - y.list.min()}
    return lines.select(
        "file",
        "line",
        pl.col("text").str.split(" ").list.first().cast(pl.Int64).alias("class"),
        pl.lit(True).alias("polygon"),
        pl.lit(None, dtype=pl.Float64).alias("score"),
        *[pl.when(finite).then(value).alias(name) for name, value in (centres | sizes).items()],
    )


def explain(text: str, n_classes: int, *, scores: bool = False) -> tuple[str, str, str, str]:
    """Return code, what, field and value for a row that is not as it must be."""
    parts = text.split(" ")
    if "," in text or ";" in text:
        return "LABEL_COLUMNS", "fields are separated by blanks, not by commas or semicolons", "row", text
    if len(parts) == 6 and not scores:
        what = "found 6 columns, expected 5: it looks like a prediction; predictions=keep-score or drop-score reads it"
        return "LABEL_COLUMNS", what, "row", text
    if len(parts) < 5 or (len(parts) % 2 == 0 and len(parts) > 6):
        what = f"found {len(parts)} columns, expected 5 (class cx cy width height) or a class and at least 3 points"
        return "LABEL_COLUMNS", what, "row", text
    allowed = f"expected a class from 0 to {n_classes - 1}"
    number = parse_integer(parts[0])
    if number is None or not 0 <= number < n_classes:
        return "LABEL_CLASS", allowed if number is not None else f"{allowed}, as an integer", "class", parts[0]
    points = [f"{'xy'[i % 2]}{i // 2 + 1}" for i in range(len(parts) - 1)]
    names = [*FIELDS[1:], "score"][: len(parts) - 1] if len(parts) < 7 else points
    for name, part in zip(names, parts[1:], strict=True):
        value = parse_number(part)
        if value is None:
            return "LABEL_NUMBER", "expected a finite number from 0 to 1, of the digits 0-9", name, part
        if name in ("width", "height") and value < 0:
            return "BOX_INVALID", "expected a size from 0 to 1", name, part
        if name == "score" and not 0 <= value <= 1:
            return "LABEL_SCORE", "expected a score from 0 to 1", name, part
        if not -1 <= value <= 2:
            return "LABEL_PIXELS", "expected a share of the image from 0 to 1; it looks like pixels", name, part
    return "LABEL_NUMBER", "the extent of these points is more than the image", "row", text
