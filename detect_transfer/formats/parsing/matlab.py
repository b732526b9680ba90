"""One variable of a MATLAB file, level 5.

SciPy reads the values. Before that the variable is walked through by its tags alone, since SciPy trusts them: a damaged
one may ask for any amount of memory, nest until the stack is used up, or name a kind of number that crashes it all.
Places are written as in MATLAB, so that `anno{18}.bbs(4,:)` can be pasted there.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native

Array = NDArray[Any]

_MOST_BYTES = 256 << 20  # of a file once it is inflated; the largest that are published have some 10 MB
_DEEPEST = 32
_HEADER_BYTES = 128
_BYTE_ORDER = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}
_INT8, _INT32, _UINT32, _MATRIX, _COMPRESSED = 1, 5, 6, 14, 15
_CELL, _STRUCT, _CHAR, _OPAQUE = 1, 2, 4, 17
_NUMBERS = range(6, 16)
_KINDS_OF_NUMBERS = (9, 1, 2, 3, 4, 5, 6, 7, 12, 13)  # how values may be stored; SciPy crashes on any other
_KINDS_OF_TEXT = (4, 1, 2, 3, 16, 17, 18)
_LOADING_ERRORS = (  # that SciPy ends with where the values of a file are damaged
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    EOFError,
    RuntimeError,
    SystemError,
    TypeError,
    ValueError,
    Warning,
)
_REMEDY = "the file is cut short or damaged: copy it again"


def read_matlab(root: Path, name: str, variable: str) -> Array:
    """Return a variable of a MATLAB file: cells and structs are arrays of objects, as `scipy.io.loadmat` gives them.

    Raises:
        InputError: The file is missing, of another level, damaged or larger than `_MOST_BYTES`, lacks the variable, or
            the variable holds something other than cells, structs, text and numbers.

    Source: MATLAB, MAT-File Level 5 File Format.
    """
    path = root / name
    data = native.read_bytes(root, path)
    order = _BYTE_ORDER.get(data[124:_HEADER_BYTES])
    if order is None:
        what, remedy = "it does not begin as a MATLAB file of level 5 does", "save it in MATLAB by: save(file, '-v7')"
        raise InputError("MATLAB_VERSION", what, where=path, remedy=remedy)
    elements: dict[str, bytes] = {}
    try:
        for other, element in _variables(data, order):
            if other in elements:
                raise _DamagedError(f"the variable '{other}' is there twice")
            elements[other] = element
        if variable in elements and _Walk(elements[variable], order).matrix(0, 0) != len(elements[variable]):
            raise _DamagedError(f"the variable '{variable}' ends before its bytes do")
    except (_DamagedError, struct.error, zlib.error) as error:
        raise InputError("MATLAB_SYNTAX", str(error), where=path, remedy=_REMEDY) from error
    if variable not in elements:
        what, remedy = (
            f"there is no such variable; there is: {', '.join(elements) or 'none'}",
            "give the file as it was published",
        )
        raise InputError("MATLAB_VARIABLE", what, where=path, field="variable", value=variable, remedy=remedy)
    return _load(path, data[:_HEADER_BYTES] + elements[variable], variable)


def numbers(values: list[Any], width: int) -> NDArray[np.float64]:
    """Return values of `width` numbers each as (N, width); a row of NaN stands for one that is none of the kind."""
    rows = np.full((len(values), width), np.nan)
    good = [i for i, v in enumerate(values) if isinstance(v, np.ndarray) and v.size == width and v.dtype.kind in "iufb"]
    if good and width:
        rows[good] = np.concatenate([values[i].ravel() for i in good]).reshape(-1, width)
    return rows


def text(value: Any) -> str | None:
    """Return the text that a value is, or None."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "U" and value.size == 1:
        return str(value.ravel()[0])
    return None


class _DamagedError(Exception):
    """The tags of a file contradict each other."""


def _variables(data: bytes, order: str) -> Iterator[tuple[str, bytes]]:
    """Give name and bytes of each variable, inflated."""
    at, left = _HEADER_BYTES, _MOST_BYTES
    while at < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        end = at + 8 + size
        if end > len(data):
            raise _DamagedError(f"the variable at byte {at} needs {end - len(data)} bytes more than there are")
        element = data[at:end]
        if kind == _COMPRESSED:
            inflate = zlib.decompressobj()
            element = inflate.decompress(data[at + 8 : end], left)
            if not inflate.eof:
                raise _DamagedError(f"the variable at byte {at} is cut short, or larger than {_MOST_BYTES:,} bytes")
        left -= len(element)
        if left <= 0:
            raise _DamagedError(f"it holds more than {_MOST_BYTES:,} bytes")
        yield _Walk(element, order).name(), element
        at = end


class _Walk:
    """The tags of one variable."""

    def __init__(self, data: bytes, order: str) -> None:
        self.data = data
        self.pair = struct.Struct(f"{order}II").unpack_from
        self.head = struct.Struct(f"{order}6I").unpack_from
        self.order = order

    def tag(self, at: int, kinds: tuple[int, ...]) -> tuple[int, int, int]:
        """Return where the data of an element begins, its size, and where the next element begins."""
        kind, size = self.pair(self.data, at)
        if kind >> 16:  # up to four bytes stand in the tag itself
            kind, size, start, after = kind & 0xFFFF, kind >> 16, at + 4, at + 8
            if size > 4:
                raise _DamagedError(f"the short element at byte {at} has {size} bytes")
        else:
            start = at + 8
            after = start + size + (-size % 8)
        if kind not in kinds:
            raise _DamagedError(f"an element of kind {kind} at byte {at}, where kind {kinds[0]} belongs")
        if start + size > len(self.data):
            raise _DamagedError(f"the element at byte {at} has {size} bytes, more than there are")
        return start, size, after

    def integers(self, at: int) -> tuple[tuple[int, ...], int]:
        """Return the integers of an element, none below 0, and where the next element begins."""
        start, size, after = self.tag(at, (_INT32,))
        if size % 4 or not 0 < size <= 4 * _DEEPEST:
            raise _DamagedError(f"{size} bytes of sizes at byte {at}")
        values = struct.unpack_from(f"{self.order}{size // 4}i", self.data, start)
        if min(values) < 0:
            raise _DamagedError(f"a negative size at byte {at}")
        return values, after

    def name(self) -> str:
        """Return the name of the variable; objects of MATLAB's classes have none that matters here."""
        if self.head(self.data, 0)[4] & 0xFF == _OPAQUE:
            return ""
        _, after = self.integers(24)
        start, size, _ = self.tag(after, (_INT8,))
        return self.data[start : start + size].decode("latin-1")

    def matrix(self, at: int, depth: int) -> int:
        """Check an array with all that is in it; return where the next one begins."""
        start, size, end = self.tag(at, (_MATRIX,))
        if size == 0:
            return end
        _, _, flags_kind, flags_size, flags, _ = self.head(self.data, at)
        if (flags_kind, flags_size) != (_UINT32, 8) or depth > _DEEPEST:
            raise _DamagedError(f"the array at byte {at} has no flags, or is nested more than {_DEEPEST} times")
        sizes, at = self.integers(start + 16)
        _, _, at = self.tag(at, (_INT8,))
        kind, n_parts = flags & 0xFF, math.prod(sizes)
        if kind == _CHAR or kind in _NUMBERS:
            for _ in range(2 if flags & 0x0800 else 1):  # the imaginary part follows the real one
                _, _, at = self.tag(at, _KINDS_OF_TEXT if kind == _CHAR else _KINDS_OF_NUMBERS)
        elif kind in (_CELL, _STRUCT):
            if kind == _STRUCT:
                n_fields, at = self.fields(at)
                n_parts *= n_fields
            if n_parts * 8 > end - at:
                raise _DamagedError(f"an array of {n_parts:,} parts at byte {start}, more than there are bytes for")
            for _ in range(n_parts):
                at = self.matrix(at, depth + 1)
        else:
            raise _DamagedError(
                f"an array of class {kind} at byte {start}; only cells, structs, text and numbers are read"
            )
        if at != end:
            raise _DamagedError(f"the array at byte {start} ends at byte {at} instead of {end}")
        return end

    def fields(self, at: int) -> tuple[int, int]:
        """Return the number of fields of a struct, and where its values begin."""
        lengths, at = self.integers(at)
        _, size, after = self.tag(at, (_INT8,))
        if len(lengths) != 1 or not 0 < lengths[0] <= size or size % lengths[0]:
            raise _DamagedError(f"a struct without names of fields at byte {at}")
        return size // lengths[0], after


def _load(path: Path, data: bytes, variable: str) -> Array:
    from scipy.io import loadmat  # type: ignore[import-untyped]  # late: it takes a while to import
    from scipy.io.matlab import MatReadError  # type: ignore[import-untyped]

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return np.asarray(loadmat(io.BytesIO(data), variable_names=[variable])[variable])
    except (MatReadError, *_LOADING_ERRORS) as error:
        what = f"the variable '{variable}' cannot be read: {error}"
        raise InputError("MATLAB_SYNTAX", what, where=path, remedy=_REMEDY) from error
