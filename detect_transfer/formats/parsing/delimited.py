"""Rows of delimited text as columns of strings.

Files are joined and divided together by polars; every row keeps its file and line, so that each check of `Rows` can
point.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from detect_transfer.core.errors import InputError, InternalError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector

_OWN_COLUMNS = ("file", "line")
_JOINT = "\x1f"  # stands for a blank inside a name, while blanks divide fields


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
        numbers_behind: How many numbers stand at least behind the first field, whose own blanks do not divide it;
            0: they do.
    """

    separator: str
    header: bool | None = False
    comment: str | tuple[str, ...] | None = None
    trailing: bool = False
    quoted: bool = False
    optional: int = 0
    image_field: str | None = None
    numbers_behind: int = 0


def read_delimited(
    root: Path, names: Mapping[str, str | None], fields: Sequence[str], dialect: Dialect, errors: ErrorCollector
) -> pl.DataFrame:
    """Read the rows of text files.

    Args:
        root: The folder of the data set.
        names: The files, relative to `root`, with the image whose rows each holds. Where rows name it
            (`image_field`), the folder that they name it relative to, or None.
        fields: The names of the columns in order.
        dialect: How the files are divided.
        errors: Where faults go.

    Returns:
        A row a row: `file`, `line` (from 1), `image` (null where nothing tells it) and the fields, all stripped
        strings; a field that is absent is null.

    Raises:
        InternalError: A field is named `file` or `line`, which only our own code can cause.
    """
    if reserved := set(fields) & set(_OWN_COLUMNS):
        what = f"the field {', '.join(sorted(reserved))} of a reader has the name of a column that every row has"
        raise InternalError("FIELD_RESERVED", what, remedy="name the field otherwise, such as file_name")
    return _Reader(root, fields, dialect, errors).read(names)


@dataclass(frozen=True)
class _Layout:
    """The index of each field in a row, None for one that the header lacks, and how many fields a row may have."""

    order: tuple[int | None, ...]
    least: int
    most: int


@dataclass(frozen=True)
class _Text:
    """A file: its name, its image or folder, its lines, and how many of these stand above the rows."""

    name: str
    of: str | None
    lines: list[str]
    start: int


@dataclass(frozen=True)
class _Reader:
    """Reads files of one dialect."""

    root: Path
    fields: Sequence[str]
    dialect: Dialect
    errors: ErrorCollector

    def read(self, names: Mapping[str, str | None]) -> pl.DataFrame:
        """Read files; those of one layout without quotes together."""
        plain: dict[_Layout, list[_Text]] = {}
        frames = []
        for name, of in names.items():
            image = None if self.dialect.image_field else of
            try:
                lines = native.lines_of(native.read_text(self.root, self.root / name))
                start, layout = self._layout(self.root / name, lines)
            except InputError as error:
                self.errors.put(error, image=image)
                continue
            text = _Text(name, of, lines, start)
            if self.dialect.quoted and any('"' in line for line in lines):
                frames.append(self._quoted(text, layout))
            else:
                plain.setdefault(layout, []).append(text)
        frames += [self._plain(texts, layout) for layout, texts in plain.items()]
        if not frames:
            return self._frame({}, [], [], [])
        return pl.concat(frames, rechunk=True)  # expressions over groups of several chunks fail in polars 2.1

    def _layout(self, path: Path, lines: Sequence[str]) -> tuple[int, _Layout]:
        """Return how many lines stand above the rows, and where the fields stand in these.

        Raises:
            InputError: There is no header, or it does not name a field.
        """
        fields, n_needed = self.fields, len(self.fields) - self.dialect.optional
        start, heading = self._heading(lines)
        if not heading:
            if self.dialect.header:
                remedy = "restore the file: " + ", ".join(fields)
                raise InputError("CSV_HEADER", "the file is empty, expected a header", where=path, remedy=remedy)
            return 0, _Layout(tuple(range(len(fields))), n_needed, len(fields))
        indices = {name: i for i, name in reversed(list(enumerate(heading)))}
        order = tuple(indices.get(field.casefold()) for field in fields)
        needed = dict(zip(fields[:n_needed], order[:n_needed], strict=True))
        if missing := [field for field, index in needed.items() if index is None]:
            what = f"the header does not name {', '.join(missing)}; it says {self.dialect.separator.join(heading)}"
            remedy = "give the columns: " + ", ".join(needed)
            raise InputError("CSV_HEADER", what, where=f"{path}:{start}", remedy=remedy)
        return start, _Layout(order, max(index or 0 for index in needed.values()) + 1, len(heading))

    def _heading(self, lines: Sequence[str]) -> tuple[int, tuple[str, ...]]:
        """Return how many lines stand above the rows, and the names of the columns where a header gives them."""
        header, comment, separator = self.dialect.header, self.dialect.comment, self.dialect.separator
        for number, text in enumerate(lines if header is not False else (), start=1):
            if not text.strip() or (comment and text.lstrip().startswith(comment)):
                continue
            parts = text.split() if separator == " " else text.split(separator)
            names = tuple(part.strip().strip('"').strip("#% ").casefold() for part in parts)
            return (number, names) if header or names[0] == self.fields[0].casefold() else (0, ())
        return 0, ()

    def _plain(self, texts: Sequence[_Text], layout: _Layout) -> pl.DataFrame:
        """Divide files without quotes, all together."""
        separator, text = self.dialect.separator, pl.col("text")
        counts = [len(each.lines) - each.start for each in texts]
        file = np.repeat(np.arange(len(texts)), counts)
        first = np.cumsum(counts) - counts - [each.start for each in texts]
        lines = [line for each in texts for line in each.lines[each.start :]]
        data = pl.DataFrame(
            {
                "text": pl.Series(lines, dtype=pl.String).str.strip_chars(" \t"),
                "file": pl.Series([each.name for each in texts], dtype=pl.String).gather(file),
                "line": np.arange(len(file)) - np.repeat(first, counts) + 1,
                "of": pl.Series([each.of for each in texts], dtype=pl.String).gather(file),
            }
        ).filter(text != "")
        comment = self.dialect.comment or ()
        for beginning in (comment,) if isinstance(comment, str) else comment:
            data = data.filter(~text.str.starts_with(beginning))
        if separator == " ":
            data = data.with_columns(text.str.replace_all(r"[ \t]+", " "))
        if self.dialect.numbers_behind:
            data = data.with_columns(_joined_name(text, self.dialect))
        if self.dialect.trailing:
            data = data.with_columns(text.str.strip_suffix(separator))
        n_fields = text.str.count_matches(separator, literal=True) + 1
        is_whole = data.select(whole=n_fields.is_between(layout.least, layout.most))["whole"]
        for name, line, of, row in data.filter(~is_whole).select("file", "line", "of", "text").iter_rows():
            self._report(f"{self.root / name}:{line}", row.split(separator), layout, of)
        data = data.filter(is_whole)
        parts = data["text"].str.split_exact(separator, max(layout.most, 2) - 1).struct.unnest()
        columns = {
            field: parts.to_series(index).str.strip_chars()
            for field, index in zip(self.fields, layout.order, strict=True)
            if index is not None
        }
        if self.dialect.numbers_behind:
            columns[self.fields[0]] = columns[self.fields[0]].str.replace_all(_JOINT, " ", literal=True)
        return self._frame(columns, data["file"], data["line"], data["of"])

    def _quoted(self, text: _Text, layout: _Layout) -> pl.DataFrame:
        """Divide one file that has quotes."""
        rows: list[list[str]] = []
        numbers: list[int] = []
        comment, path = self.dialect.comment, self.root / text.name
        lines = (f"{line}\n" for line in text.lines[text.start :])
        reader = csv.reader(lines, delimiter=self.dialect.separator, strict=True)
        try:
            for row in reader:
                number = text.start + reader.line_num
                if not any(part.strip() for part in row) or (comment and row[0].startswith(comment)):
                    continue
                if layout.least <= len(row) <= layout.most:
                    rows.append(row)
                    numbers.append(number)
                else:
                    self._report(f"{path}:{number}", row, layout, text.of)
        except csv.Error as error:
            where, remedy = f"{path}:{text.start + reader.line_num}", "close the quotes, or write the file again"
            self.errors.add("CSV_SYNTAX", str(error), where=where, remedy=remedy)
            return self._frame({}, [], [], [])
        columns = {}
        for field, index in zip(self.fields, layout.order, strict=True):
            if index is not None:
                values = [row[index] if index < len(row) else None for row in rows]
                columns[field] = pl.Series(values, dtype=pl.String).str.strip_chars()
        return self._frame(columns, [text.name] * len(rows), numbers, [text.of] * len(rows))

    def _frame(self, columns: Mapping[str, pl.Series], file: Any, line: Any, of: Any) -> pl.DataFrame:
        data = {field: columns.get(field, [None] * len(file)) for field in self.fields}
        schema = {name: pl.Int64 if name == "line" else pl.String for name in (*_OWN_COLUMNS, "image", *self.fields)}
        rows = pl.DataFrame({"file": file, "line": line, "image": of, **data}, schema=schema)
        if self.dialect.image_field is None:
            return rows
        folder = pl.lit(pl.Series(of, dtype=pl.String))  # not the column `image`, which may be a field as well
        prefix = pl.when(folder.is_null()).then(pl.lit("")).otherwise(folder + "/")
        return rows.with_columns(image=prefix + pl.col(self.dialect.image_field))

    def _report(self, where: str, parts: Sequence[str], layout: _Layout, of: str | None) -> None:
        """Report a row of too few or too many fields."""
        image, image_field = of, self.dialect.image_field
        if image_field is not None:
            index = layout.order[self.fields.index(image_field)]
            name = parts[index].strip() if index is not None and index < len(parts) else None
            image = f"{of}/{name}" if of and name else name
        expected = str(layout.most) if layout.least == layout.most else f"{layout.least} to {layout.most}"
        separator = self.dialect.separator
        what = f"found {len(parts)} fields, expected {expected}: {separator.join(self.fields)}"
        row, remedy = separator.join(parts), "fix or remove the row"
        self.errors.add("ROW_COLUMNS", what, where=where, field="row", value=row, remedy=remedy, row_of=image or "")


def _joined_name(text: pl.Expr, dialect: Dialect) -> pl.Expr:
    """Return rows whose first field, which ends where as many numbers follow as there may be, has joints for blanks."""
    most = dialect.numbers_behind + dialect.optional
    numbers = rf"^(.*?)((?: [-+]?[0-9][-+.eE0-9]*){{{dialect.numbers_behind},{most}}})$"
    name = text.str.extract(numbers, 1)
    joined = pl.concat_str(name.str.replace_all(" ", _JOINT, literal=True), text.str.extract(numbers, 2))
    return pl.when(name.str.contains(" ", literal=True)).then(joined).otherwise(text).alias("text")
