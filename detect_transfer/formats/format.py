"""What the registry says of a native format."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from detect_transfer.core.annotations import Annotations, AnnotationTable
from detect_transfer.core.opening import is_special, not_regular
from detect_transfer.core.written_links import links_within

BOTH, CLASSES, ORDER = frozenset({"images", "classes"}), frozenset({"classes"}), frozenset({"order of classes"})


_T = TypeVar("_T")


@dataclass(frozen=True)
class Option:
    """An option of a reader: the type of its values, as annotated, and its default."""

    type: Any
    default: Any


@dataclass(frozen=True)
class Format:
    """A native format.

    Args:
        reader: The folder or file, then options by keyword.
        summary: What it is, in a line.
        proof: Glob patterns, divided by blanks, of what lies only in a folder of this format.
        hints: Glob patterns of what lies in most folders of this format, and may lie elsewhere.
        not_recognised: Why there is neither proof nor hint.
        scanner: As `reader`, leaving the boxes in their file, or in files in the folder `spill`; None where they come
            into memory.
        numbers: What its files number themselves, so that ids in detections can mean it: `images`, `classes`, or
            only the `order of classes`. Elsewhere the reader counts.
    """

    reader: Callable[..., AnnotationTable]
    summary: str
    proof: str = ""
    hints: str = ""
    not_recognised: str = ""
    numbers: frozenset[str] = frozenset()
    scanner: Callable[..., Annotations] | None = None

    def read(self, path: Path, **options: Any) -> AnnotationTable:
        """Read a data set; links in it are followed as far as they stay in its folder.

        Raises:
            InputError: As the reader says, or there is a pipe, a device or a socket.
        """
        return self._call(self.reader, path, options)

    def scan(self, path: Path, *, spill: Path, **options: Any) -> Annotations:
        """Read a data set as `read` does, but for boxes that can stay in their file, or in files made for them.

        Args:
            path: As for `read`.
            spill: A folder for such files; whoever calls removes it once the table is not used.
            options: As for `read`.

        Raises:
            InputError: As for `read`.
            ResourceError: The disk is full or does not let us write.
        """
        if self.scanner is None:
            return self.read(path, **options)
        return self._call(self.scanner, path, {**options, "spill": spill})

    @staticmethod
    def _call(reader: Callable[..., _T], path: Path, options: Mapping[str, Any]) -> _T:
        if is_special(path):
            raise not_regular(path)
        with links_within(path if path.is_dir() else path.parent):
            return reader(path, **options)

    @property
    def options(self) -> dict[str, Option]:
        """The options of the reader by name."""
        types = get_type_hints(self.reader)
        parameters = inspect.signature(self.reader).parameters.values()
        return {p.name: Option(types.get(p.name), p.default) for p in parameters if p.kind is p.KEYWORD_ONLY}
