"""Rows of delimited text as columns of strings.

Files are joined and divided together by polars; every row keeps its file and line, so that each check of `_checks` can
point.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector

_REMEDY = "fix or remove the row"


@dataclass(frozen=True)
class Dialect:
    """How a text file is divided.

    Args:
        separator: What stands between two fields; a blank stands for any run of blanks and tabs.
        header: Whether the first row names the columns (then they are found by name in any order, further ones are
            left aside), does not, or may (None: it does where it names the first field).
        comment: What a line begins with that is no row; several such beginnings may be given.
        trailing: Whether a separator may stand after the last field.
        quoted: Whether fields may be put in double quotes.
        optional: How many of the last fields may be absent.
        image_field: The field that names the image, for files that hold the rows of many.
    """

    separator: str
    header: bool | None = False
    comment: str | tuple[str, ...] | None = None
    trailing: bool = False
    quoted: bool = False
    optional: int = 0
    image_field: str | None = None


def read_delimited(
    root: Path, names: Mapping[str, str | None], fields: Sequence[str], dialect: Dialect, problems: ErrorCollector
) -> pl.DataFrame:
    """Read the rows of text files.

    Args:
        root: The folder of the data set.
        names: The files, relative to `root`, with the image whose rows each holds. Where rows name it
            (`image_field`), the folder that they name it relative to, or None.
        fields: The names of the columns in order.
        dialect: How the files are divided.
        problems: Where faults go.

    Returns:
        A row a row: `file`, `line` (from 1), `image` (null where nothing tells it) and the fields, all stripped
        strings; a field that is absent is null.
    """
    groups: dict[tuple[str, ...], _Group] = {}
    frames = []
    for name, image in names.items():
        given = None if dialect.image_field else image
        try:
            lines = native.lines_of(native.read_text(root, root / name))
        except InputError as error:
            problems.put(error, image=given)
            continue
        start, heading = _heading(lines, fields, dialect)
        if dialect.header and not heading:
            what, remedy = "the file is empty, expected a header", "restore the file: " + ", ".join(fields)
            problems.add("CSV_HEADER", what, where=root / name, remedy=remedy, image=given)
            continue
        order = _order(root / name, start, heading, (fields, dialect), problems) if heading else range(len(fields))
        if order is None:
            continue
        group = groups.setdefault(heading, _Group(tuple(order), len(heading)))
        if dialect.quoted and any('"' in line for line in lines):
            frames.append(_quoted(root, (name, image), (start, lines), (fields, dialect, group), problems))
        else:
            group.put(name, image, start, lines)
    frames += [_plain(root, group, fields, dialect, problems) for group in groups.values() if group.names]
    if not frames:
        return _frame({}, [], [], [], fields)
    return pl.concat(frames, rechunk=True)  # expressions over groups of several chunks fail in polars 2.1


@dataclass
class _Group:
    """Files whose columns stand in one order: their names, images, lines, and the number of their first line."""

    order: tuple[int | None, ...]  # where each field stands in a row
    width: int  # how many columns the header names; 0: there is none
    names: list[str] = field(default_factory=list)
    images: list[str | None] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    blocks: list[list[str]] = field(default_factory=list)

    def put(self, name: str, image: str | None, start: int, lines: list[str]) -> None:
        """Add a file; `start` lines of it are above the rows."""
        self.names.append(name)
        self.images.append(image)
        self.starts.append(start)
        self.blocks.append(lines[start:])

    def fits(self, dialect: Dialect) -> tuple[int, int]:
        """Return the least and the greatest number of fields that a row may have."""
        if self.width:
            needed = [place for place in self.order[: len(self.order) - dialect.optional] if place is not None]
            return max(needed) + 1, self.width
        return len(self.order) - dialect.optional, len(self.order)


def _heading(lines: Sequence[str], fields: Sequence[str], dialect: Dialect) -> tuple[int, tuple[str, ...]]:
    """Return how many lines stand above the rows, and the names of the columns where a header gives them."""
    if dialect.header is False:
        return 0, ()
    for number, text in enumerate(lines, start=1):
        if not text.strip() or (dialect.comment and text.lstrip().startswith(dialect.comment)):
            continue
        parts = text.split() if dialect.separator == " " else text.split(dialect.separator)
        named = tuple(part.strip().strip('"').strip("#% ").casefold() for part in parts)
        return (number, named) if dialect.header or named[0] == fields[0].casefold() else (0, ())
    return 0, ()


def _order(
    path: Path, line: int, named: Sequence[str], wanted: tuple[Sequence[str], Dialect], problems: ErrorCollector
) -> list[int | None] | None:
    """Return where each field stands in the rows; None after reporting that one is not named."""
    fields, dialect = wanted
    places = {name: i for i, name in reversed(list(enumerate(named)))}
    order = [places.get(one.casefold()) for one in fields]
    needed = fields[: len(fields) - dialect.optional]
    missing = [one for one, place in zip(needed, order, strict=False) if place is None]
    if not missing:
        return order
    what = f"the header does not name {', '.join(missing)}; it says {dialect.separator.join(named)}"
    problems.add("CSV_HEADER", what, where=f"{path}:{line}", remedy="give the columns: " + ", ".join(needed))
    return None


def _plain(
    root: Path, group: _Group, fields: Sequence[str], dialect: Dialect, problems: ErrorCollector
) -> pl.DataFrame:
    """Divide files without quotes, all together."""
    mark, text = dialect.separator, pl.col("text")
    counts = [len(block) for block in group.blocks]
    file = np.repeat(np.arange(len(counts)), counts)
    first = np.cumsum(counts) - counts
    lines = pl.DataFrame(
        {
            "text": pl.Series([one for block in group.blocks for one in block], dtype=pl.String).str.strip_chars(" \t"),
            "file": pl.Series(group.names, dtype=pl.String).gather(file),
            "line": np.arange(len(file)) - np.repeat(first, counts) + np.repeat(group.starts, counts) + 1,
            "given": pl.Series(group.images, dtype=pl.String).gather(file),
        }
    ).filter(text != "")
    for beginning in (dialect.comment,) if isinstance(dialect.comment, str) else dialect.comment or ():
        lines = lines.filter(~text.str.starts_with(beginning))
    if mark == " ":
        lines = lines.with_columns(text.str.replace_all(r"[ \t]+", " "))
    if dialect.trailing:
        lines = lines.with_columns(text.str.strip_suffix(mark))
    least, most = group.fits(dialect)
    found = text.str.count_matches(mark, literal=True) + 1
    good = lines.select(keep=found.is_between(least, most))["keep"]
    for name, line, given, row in lines.filter(~good).select("file", "line", "given", "text").iter_rows():
        _report_columns((root / name, line), row.split(mark), (fields, dialect, group), given, problems)
    kept = lines.filter(good)
    parts = kept["text"].str.split_exact(mark, max(most, 2) - 1).struct.unnest()
    columns = {
        one: parts.to_series(place).str.strip_chars() if place is not None else None
        for one, place in zip(fields, group.order, strict=True)
    }
    return _frame(columns, kept["file"], kept["line"], kept["given"], fields, dialect.image_field)


def _quoted(
    root: Path, file: tuple[str, str | None], text: tuple[int, Sequence[str]],
    kind: tuple[Sequence[str], Dialect, _Group], problems: ErrorCollector,
) -> pl.DataFrame:  # fmt: skip
    """Divide one file that has quotes."""
    (name, image), (start, lines), (fields, dialect, group) = file, text, kind
    rows: list[list[str]] = []
    places: list[int] = []
    least, most = group.fits(dialect)
    reader = csv.reader((f"{one}\n" for one in lines[start:]), delimiter=dialect.separator, strict=True)
    try:
        for row in reader:
            if not any(part.strip() for part in row) or (dialect.comment and row[0].startswith(dialect.comment)):
                continue
            if least <= len(row) <= most:
                rows.append(row)
                places.append(start + reader.line_num)
            else:
                _report_columns((root / name, start + reader.line_num), row, kind, image, problems)
    except csv.Error as error:
        where = f"{root / name}:{start + reader.line_num}"
        problems.add("CSV_SYNTAX", str(error), where=where, remedy="close the quotes, or write the file again")
        return _frame({}, [], [], [], fields)
    columns = {
        one: None
        if place is None
        else pl.Series([row[place] if place < len(row) else None for row in rows], dtype=pl.String).str.strip_chars()
        for one, place in zip(fields, group.order, strict=True)
    }
    return _frame(columns, [name] * len(rows), places, [image] * len(rows), fields, dialect.image_field)


def _frame(
    columns: Mapping[str, pl.Series | None], file: Any, line: Any, given: Any, fields: Sequence[str],
    image_field: str | None = None,
) -> pl.DataFrame:  # fmt: skip
    data = {name: [None] * len(file) if columns.get(name) is None else columns[name] for name in fields}
    schema = {name: pl.Int64 if name == "line" else pl.String for name in ("file", "line", "image", *fields)}
    rows = pl.DataFrame({"file": file, "line": line, "image": given, **data}, schema=schema)
    if image_field is None:
        return rows
    folder = pl.when(pl.col("image").is_null()).then(pl.lit("")).otherwise(pl.col("image") + "/")
    return rows.with_columns(image=folder + pl.col(image_field))


def _report_columns(
    at: tuple[Path, int], parts: Sequence[str], kind: tuple[Sequence[str], Dialect, _Group], image: str | None,
    problems: ErrorCollector,
) -> None:  # fmt: skip
    (path, line), (fields, dialect, group) = at, kind
    least, most = group.fits(dialect)
    expected = str(most) if least == most else f"{least} to {most}"
    place = group.order[fields.index(dialect.image_field)] if dialect.image_field else None
    of = image if place is None else parts[place].strip() if place < len(parts) else None
    if of and image and place is not None:
        of = f"{image}/{of}"
    row = dialect.separator.join(parts)
    what = f"found {len(parts)} fields, expected {expected}: {dialect.separator.join(fields)}"
    problems.add("ROW_COLUMNS", what, where=f"{path}:{line}", field="row", value=row, remedy=_REMEDY, row_of=of or "")
