"""Arrow files, checked before polars reads them: it trusts the sizes of buffers, and an absurd one ends the process.

A file is a row of messages, each a header in the form of flatbuffers and a body; a header of rows says where in the
body each buffer lies. A footer, where there is one, says where the messages lie.

Source: https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc
"""

from __future__ import annotations

import io
import struct
from pathlib import Path

import polars as pl

from detect_transfer.core.io import read_bytes

_MAGIC = b"ARROW1\0\0"
_TAIL = 10  # bytes: the size of the footer, and the magic word again
_NEXT = b"\xff\xff\xff\xff"  # what each message begins with
_DICTIONARY, _ROWS = 2, 3  # kinds of headers
_MOST_INFLATED = 1 << 32  # bytes of a buffer
_DAMAGED = "the sizes in it contradict each other"


def read_arrow(path: Path) -> pl.DataFrame:
    """Read an Arrow file: a stream of messages, or one with a footer that says where they lie.

    Raises:
        ValueError: Its sizes contradict each other.
        PolarsError: It cannot be parsed.
    """
    data = memoryview(read_bytes(path))
    has_footer = data[: len(_MAGIC)] == _MAGIC
    try:
        parts = _blocks(data) if has_footer else [data]
        for part in parts:
            _check(part)
    except (struct.error, IndexError) as error:
        raise ValueError(_DAMAGED) from error
    return pl.read_ipc(io.BytesIO(data)) if has_footer else pl.read_ipc_stream(io.BytesIO(data))


def _blocks(data: memoryview) -> list[memoryview]:
    """Return the messages that a footer names."""
    size = struct.unpack_from("<i", data, len(data) - _TAIL)[0]
    end = len(data) - _TAIL - size
    _require(size > 0 and end >= len(_MAGIC))
    footer = _Table(data[end : end + size], _u32(data, end))
    blocks = []
    for number in (2, 3):  # dictionaries, rows
        for start, header, body in footer.structs(number, "qi4xq"):
            _require(start >= 0 and header >= 0 and 0 <= body <= end - start - header)
            blocks.append(data[start : start + header + body])
    return blocks


def _check(data: memoryview) -> None:
    """Check the messages, up to the one that ends them."""
    at = 0
    while at < len(data):
        _require(data[at : at + 4] == _NEXT)
        size = struct.unpack_from("<i", data, at + 4)[0]
        if size == 0:
            return
        header = data[at + 8 : at + 8 + size]
        _require(0 < size == len(header))
        message = _Table(header, _u32(header, 0))
        body = message.int64(3)
        at += 8 + size
        _require(0 <= body <= len(data) - at)
        kind = message.byte(1)
        if kind in (_DICTIONARY, _ROWS):
            rows = message.table(2) if kind == _ROWS else message.table(2).table(1)
            _check_rows(rows, data[at : at + body])
        at += body


def _check_rows(rows: _Table, body: memoryview) -> None:
    """Check that the columns are no longer than their bytes allow, and that each buffer lies in the body."""
    most = 8 * len(body) + 64  # a bit a row
    _require(0 <= rows.int64(0) <= most)
    _require(all(0 <= length <= most for length, _ in rows.structs(1, "qq")))
    for start, size in rows.structs(2, "qq"):
        _require(start >= 0 and 0 <= size <= len(body) - start)
        if rows.has(3) and size >= 8:  # compressed: the size behind it comes first, -1 where it is not
            _require(-1 <= struct.unpack_from("<q", body, start)[0] <= _MOST_INFLATED)


def _require(is_so: bool) -> None:
    if not is_so:
        raise ValueError(_DAMAGED)


def _u32(data: memoryview, at: int) -> int:
    _require(at >= 0)
    return int(struct.unpack_from("<I", data, at)[0])


class _Table:
    """A table of a flatbuffer: its fields by number."""

    def __init__(self, data: memoryview, at: int) -> None:
        self.data, self.at = data, at
        self.fields = at - struct.unpack_from("<i", data, at)[0]
        _require(self.fields >= 0)
        self.end = self.fields + struct.unpack_from("<H", data, self.fields)[0]

    def place(self, number: int) -> int:
        """Return where a field lies, 0 where it is left out."""
        at = self.fields + 4 + 2 * number
        offset = struct.unpack_from("<H", self.data, at)[0] if at + 2 <= self.end else 0
        return self.at + offset if offset else 0

    def has(self, number: int) -> bool:
        """Tell whether a field is there."""
        return self.place(number) > 0

    def byte(self, number: int) -> int:
        """Return a field of one byte."""
        return self.data[self.place(number)] if self.has(number) else 0

    def int64(self, number: int) -> int:
        """Return a field of eight bytes."""
        return int(struct.unpack_from("<q", self.data, self.place(number))[0]) if self.has(number) else 0

    def table(self, number: int) -> _Table:
        """Return a field that is a table."""
        _require(self.has(number))
        at = self.place(number)
        return _Table(self.data, at + _u32(self.data, at))

    def structs(self, number: int, form: str) -> list[tuple[int, ...]]:
        """Return a field that is a list of structs, whose numbers are of a form of `struct`."""
        if not self.has(number):
            return []
        at = self.place(number)
        at += _u32(self.data, at)
        each, count = struct.Struct(f"<{form}"), _u32(self.data, at)
        _require(at + 4 + each.size * count <= len(self.data))
        return list(each.iter_unpack(self.data[at + 4 : at + 4 + each.size * count]))
