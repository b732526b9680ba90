"""Files with a JSON object in each line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.json_nodes import Node, parse_json


def read_json_lines(root: Path, name: str, errors: ErrorCollector) -> Iterator[Node]:
    """Give the object of each line; a line that is none is a fault of the image that it would be of."""
    data = b""
    with errors.file():
        data = native.read_bytes(root, root / name)
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if line.strip():
            with errors.image(f"{name}:{number}"):
                yield parse_json(line, root, f"{name}:{number}").as_object()
