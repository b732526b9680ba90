"""The rows of label files as columns, in one pass over many files.

Files are read as bytes, joined, and divided together by polars; `parse` turns them into numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from detect_transfer.core import io
from detect_transfer.core.columns import AnyFrame, collected, spilt
from detect_transfer.core.opening import open_regular
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.yolo.evidence import Evidence
from detect_transfer.formats.yolo.image_finder import Sample
from detect_transfer.formats.yolo.parse import RowRules, parse_rows

_CHUNK_BYTES = 16_000_000
_BOM = b"\xef\xbb\xbf"
_NO_LINES = pl.DataFrame(schema={"file": pl.Int64, "line": pl.Int64, "text": pl.String})


@dataclass
class _Chunk:
    """Label files that are parsed together: their indices and their bytes."""

    files: list[int] = field(default_factory=list)
    blobs: list[bytes] = field(default_factory=list)
    size: int = 0


@dataclass
class _FileEnds:
    """How label files end: one that was cut short may still end in a number.

    Tools that write no line break at the end write none anywhere, so a file without one is doubtful beside files with
    one, or where its last number has fewer decimals than all others of its row.
    """

    with_break: int = 0
    without_break: list[int] = field(default_factory=list)
    shortened: list[int] = field(default_factory=list)

    def look(self, chunk: _Chunk) -> None:
        """Look at the ends of more files."""
        for index, blob in zip(chunk.files, chunk.blobs, strict=True):
            if blob.endswith(b"\n"):
                self.with_break += 1
            elif blob:
                self.without_break.append(index)
                n_decimals = [len(word.partition(b".")[2]) for word in blob[blob.rfind(b"\n") + 1 :].split()[1:]]
                if len(n_decimals) > 1 and n_decimals[-1] < min(n_decimals[:-1]):
                    self.shortened.append(index)

    def remark(self, samples: Sequence[Sample], errors: ErrorCollector) -> None:
        """Note the files that may have been cut short."""
        doubtful = self.without_break if self.with_break else self.shortened
        names = tuple(samples[i].label for i in doubtful if samples[i].image not in errors.skipped_images)
        errors.remark(
            "label without a line break at its end: its last number may be cut", len(names), names, kind="image"
        )


def _remark_mixed(rows: AnyFrame, samples: Sequence[Sample], errors: ErrorCollector) -> None:
    """Note the files that hold boxes and polygons, which tools read as the one or the other."""
    kinds = rows.filter(pl.col("kind").is_in(["box", "shape"])).group_by("file")
    counts = kinds.agg(pl.col("kind").min().alias("first"), pl.col("kind").max().alias("last"))
    mixed_files = collected(counts.filter(pl.col("first") != pl.col("last")).select("file"))["file"].sort()
    mixed = tuple(samples[i].label for i in mixed_files)
    errors.remark("label with boxes and polygons: each row was read as what it is", len(mixed), mixed, kind="image")


def read_rows(
    root: Path, samples: Sequence[Sample], rules: RowRules, errors: ErrorCollector, *, spill: Path | None = None
) -> AnyFrame:
    """Read label files into a row a box.

    Args:
        root: The folder that the labels are relative to.
        samples: The images with their labels.
        rules: What rows may be.
        errors: Where faults go; rows that have one are left out.
        spill: A folder for rows that need not all be in memory; whoever calls removes it once they are not used.

    Returns:
        The columns `file` (index of the sample), `line`, and those of `parse_rows`.
    """
    frames: list[Any] = []
    evidence, ends = Evidence(rules), _FileEnds()
    for chunk in _chunks(root, samples):
        ends.look(chunk)
        lines = _lines(chunk, root, samples, errors)
        rows, wrong = parse_rows(lines, rules, evidence.look)
        for file, line, text in wrong.iter_rows():
            if errors.full:
                errors.count(1)
            else:
                code, what, name, value, remedy = rules.explain(text)
                where, image = f"{root / samples[file].label}:{line}", samples[file].image
                errors.add(code, what, where=where, field=name, value=value, remedy=remedy, row_of=image)
        frames.append(rows if spill is None else spilt(rows, spill / f"{len(frames):06}.parquet"))
    if evidence.is_open:
        file, line = evidence.first
        what, remedy = evidence.question
        errors.add("LABEL_COLUMNS", what, where=f"{root / samples[file].label}:{line}", field="row", remedy=remedy)
    ends.remark(samples, errors)
    every: AnyFrame = pl.concat(frames)
    if isinstance(every, pl.DataFrame):
        every = every.rechunk()  # else every step that adds a column copies all
    _remark_mixed(every, samples, errors)
    return every


def _chunks(root: Path, samples: Sequence[Sample]) -> Iterator[_Chunk]:
    """Read the files in portions that bound the memory; there is always at least one."""
    chunk, base = _Chunk(), str(root)
    for index, sample in enumerate(samples):
        try:
            with open_regular(f"{base}/{sample.label}") as stream:  # a Path for each would cost as much as reading
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
