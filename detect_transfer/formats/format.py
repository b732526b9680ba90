"""What the registry says of a native format."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_type_hints

from detect_transfer.core.annotations import AnnotationTable

BOTH, CLASSES, ORDER = frozenset({"images", "classes"}), frozenset({"classes"}), frozenset({"order of classes"})


@dataclass(frozen=True)
class Option:
    """An option of a reader: the type of its values, as annotated, and its default."""

    type: Any
    default: Any


@dataclass(frozen=True)
class Format:
    """A native format.

    Args:
        read: Its reader: the folder or file, then options by keyword.
        summary: What it is, in a line.
        proof: Glob patterns, divided by blanks, of what lies only in a folder of this format.
        hints: Glob patterns of what lies in most folders of this format, and may lie elsewhere.
        not_recognised: Why there is neither proof nor hint.
        numbers: What its files number themselves, so that ids in detections can mean it: `images`, `classes`, or
            only the `order of classes`. Elsewhere the reader counts.
    """

    read: Callable[..., AnnotationTable]
    summary: str
    proof: str = ""
    hints: str = ""
    not_recognised: str = ""
    numbers: frozenset[str] = frozenset()

    @property
    def options(self) -> dict[str, Option]:
        """The options of the reader by name."""
        types = get_type_hints(self.read)
        parameters = inspect.signature(self.read).parameters.values()
        return {p.name: Option(types.get(p.name), p.default) for p in parameters if p.kind is p.KEYWORD_ONLY}
