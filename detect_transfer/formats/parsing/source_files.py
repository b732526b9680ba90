"""The files of a data set that is being read, and their rows."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from detect_transfer.core import io
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.json_boxes import row_frame
from detect_transfer.formats.parsing.rows import Rows


class SourceFiles:
    """The files below a folder, or one that was given.

    Args:
        root: The folder.
        image_root: The folder of the images.
        file: The one annotation file that was given, relative to `root`.
        errors: Where faults go.
    """

    root: Path
    image_root: Path
    file: str | None
    errors: ErrorCollector

    def files(
        self, *patterns: str, code: str = "FILE_MISSING", missing: str | None = None, remedy: str | None = None
    ) -> list[str]:
        """Return the files whose path ends as a pattern says (``*.json``, ``gt/gt.txt``), or the one that was given.

        Raises:
            InputError: There is none; of `code`, with what is missing and what to do.
        """
        if self.file is not None:
            return [self.file]
        suffixes = {PurePosixPath(pattern).suffix for pattern in patterns}
        names = io.list_files(self.root, tuple(suffixes))
        if set(patterns) != {f"*{suffix}" for suffix in suffixes}:
            fits = re.compile("|".join(f"(?:.*/)?{fnmatch.translate(pattern)}" for pattern in patterns)).match
            names = [name for name in names if fits(name)]
        if not names:
            what = missing or f"it holds no {' or '.join(patterns)}"
            raise InputError(code, what, where=self.root, remedy=remedy or "give the folder that holds it")
        return names

    def image_files(self) -> list[str]:
        """Return the image files below the folder of the images."""
        return io.list_files(self.image_root, IMAGE_SUFFIXES)

    def rows(
        self, names: Iterable[str], fields: Sequence[str], dialect: Dialect, of: Mapping[str, str | None] | None = None
    ) -> Rows:
        """Read the rows of text files; see `read_delimited`.

        Args:
            names: The files.
            fields: The names of the columns in order.
            dialect: How the files are divided.
            of: The image whose rows each file holds; or, where rows name it (`image_field`), the folder that they
                name it relative to.
        """
        files = {name: (of or {}).get(name) for name in names}
        return Rows(read_delimited(self.root, files, fields, dialect, self.errors), self.root, self.errors)

    def lines(self, name: str) -> Iterator[tuple[str, str]]:
        """Give the lines of a text that hold something, stripped, each with its place."""
        path = self.root / name
        for number, line in enumerate(native.lines_of(native.read_text(self.root, path)), start=1):
            if text := line.strip():
                yield text, f"{path}:{number}"

    def rows_of(self, values: Sequence[Sequence[Any]], columns: Sequence[str]) -> Rows:
        """Make rows of values; `image` and columns that the table of boxes does not have are strings."""
        return Rows(row_frame(values, columns), self.root, self.errors)
