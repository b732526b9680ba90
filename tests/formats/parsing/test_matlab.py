"""MATLAB files: as SciPy writes them, by hand in both byte orders, and damaged so that SciPy alone would crash."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from detect_transfer.formats.parsing import matlab
from detect_transfer.formats.parsing.matlab import numbers, read_matlab, text

DOUBLE, CELL, STRUCT, SPARSE, OPAQUE = 6, 1, 2, 5, 17
INT8, INT32, UINT32, FLOAT64, MATRIX, COMPRESSED = 1, 5, 6, 9, 14, 15


def element(kind: int, data: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}II", kind, len(data)) + data + bytes(-len(data) % 8)


def array(kind: int, sizes: tuple[int, ...], body: bytes, name: str = "", order: str = "<") -> bytes:
    flags = element(UINT32, struct.pack(f"{order}II", kind, 0), order)
    shape = element(INT32, struct.pack(f"{order}{len(sizes)}i", *sizes), order)
    return element(MATRIX, flags + shape + element(INT8, name.encode(), order) + body, order)


def doubles(*values: float, name: str = "", order: str = "<", kind: int = FLOAT64) -> bytes:
    data = struct.pack(f"{order}{len(values)}d", *values)
    return array(DOUBLE, (1, len(values)), element(kind, data, order), name, order)


def mat(*variables: bytes, order: str = "<") -> bytes:
    return b"MATLAB 5.0 MAT-file".ljust(124) + (b"\x00\x01IM" if order == "<" else b"\x01\x00MI") + b"".join(variables)


@pytest.mark.parametrize("compressed", [False, True])
def test_read__gives_what_scipy_wrote(tmp_path: Path, compressed: bool) -> None:
    cell = np.empty((1, 2), object)
    cell[0, 0], cell[0, 1] = "frankfurt", np.array([[1, -2]], np.int16)
    savemat(tmp_path / "a.mat", {"other": 1.5, "x": {"held": cell}}, do_compression=compressed)
    found = read_matlab(tmp_path, "a.mat", "x")["held"][0, 0]
    assert text(found[0, 0]) == "frankfurt"
    assert found[0, 1].tolist() == [[1, -2]]


@pytest.mark.parametrize("order", ["<", ">"])
def test_read__takes_both_byte_orders(write: Any, tmp_path: Path, order: str) -> None:
    inside = array(CELL, (1, 1), doubles(1.5, -2, order=order), "x", order)
    write("a.mat", mat(inside, order=order))
    assert read_matlab(tmp_path, "a.mat", "x")[0, 0].tolist() == [[1.5, -2.0]]


def nested(depth: int) -> bytes:
    inside = doubles(1.0)
    for _ in range(depth):
        inside = array(CELL, (1, 1), inside)
    return array(CELL, (1, 1), inside, "x")


FIELDS = element(INT32, struct.pack("<i", 8)) + element(INT8, b"id\0\0\0\0\0\0")
DAMAGED = [
    pytest.param(mat(doubles(1.0, name="x", kind=0x7FFF)), "kind 32767", id="stored-as-nothing"),
    pytest.param(mat(array(CELL, (1, 2**31 - 1), b"", "x")), "2,147,483,647 parts", id="more-cells-than-bytes"),
    pytest.param(mat(array(STRUCT, (2**20, 2**10), FIELDS, "x")), "1,073,741,824 parts", id="more-structs-than-bytes"),
    pytest.param(
        mat(array(STRUCT, (1, 1), element(INT32, bytes(4)) + FIELDS[16:], "x")), "names", id="fields-of-no-length"
    ),
    pytest.param(mat(array(CELL, (-1, 1), b"", "x")), "negative size", id="negative-size"),
    pytest.param(mat(array(CELL, (1,) * 40, doubles(1.0), "x")), "160 bytes of sizes", id="forty-dimensions"),
    pytest.param(mat(nested(5000)), "nested more than 32", id="nested"),
    pytest.param(mat(array(SPARSE, (1, 1), doubles(1.0), "x")), "class 5", id="sparse"),
    pytest.param(mat(array(CELL, (1, 1), doubles(1.0) + doubles(1.0), "x")), "instead of", id="one-part-too-many"),
    pytest.param(mat(doubles(1.0, name="x"), doubles(2.0, name="x")), "there twice", id="twice"),
    pytest.param(mat(doubles(1.0, name="x"))[:-9], "bytes more than there are", id="cut"),
    pytest.param(mat(doubles(1.0, name="x")) + b"\0\0", "", id="two-bytes-more"),
    pytest.param(mat(struct.pack("<II", COMPRESSED, 4) + b"abcd"), "", id="no-zlib"),
    pytest.param(mat(array(DOUBLE, (1, 3), element(FLOAT64, bytes(8)), "x")), "cannot be read", id="too-few-values"),
    pytest.param(mat(element(MATRIX, bytes(48))), "", id="zeros"),
]


@pytest.mark.parametrize(("data", "part"), DAMAGED)
def test_damaged__is_one_error_of_ours(write: Any, tmp_path: Path, check_error: Any, data: bytes, part: str) -> None:
    path = write("a.mat", data)
    check_error(lambda: read_matlab(tmp_path, "a.mat", "x"), "MATLAB_SYNTAX", f"{path} ", part, "copy it again")


def test_bomb__is_not_inflated(write: Any, tmp_path: Path, check_error: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matlab, "_MOST_BYTES", 1 << 20)
    packed = zlib.compress(doubles(*[0.0] * (1 << 18), name="x"))
    write("a.mat", mat(struct.pack("<II", COMPRESSED, len(packed)) + packed))
    check_error(lambda: read_matlab(tmp_path, "a.mat", "x"), "MATLAB_SYNTAX", "larger than 1,048,576 bytes")
    write("a.mat", mat(*[doubles(*[0.0] * (1 << 16), name=f"x{i}") for i in range(3)]))
    check_error(lambda: read_matlab(tmp_path, "a.mat", "x"), "MATLAB_SYNTAX", "more than 1,048,576 bytes")


@pytest.mark.parametrize("data", [b"", b"\x89HDF\r\n", b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM", bytes(200)])
def test_level__other_than_five_tells_how_to_save(write: Any, tmp_path: Path, check_error: Any, data: bytes) -> None:
    write("a.mat", data)
    check_error(lambda: read_matlab(tmp_path, "a.mat", "x"), "MATLAB_VERSION", "a.mat", "'-v7'")


def test_variable__that_is_not_there(write: Any, tmp_path: Path, check_error: Any) -> None:
    write("a.mat", mat(doubles(1.0, name="y"), array(OPAQUE, (1, 1), b"")))
    check_error(lambda: read_matlab(tmp_path, "a.mat", "x"), "MATLAB_VARIABLE", "variable=x", "there is: y")
    check_error(lambda: read_matlab(tmp_path, "b.mat", "x"), "FILE_MISSING", "b.mat")


def test_values__of_other_kinds_are_distinguished() -> None:
    odd = [np.array([[1, 2]], np.uint16), np.array([[1.5]]), np.array(["a"]), None, np.empty((0, 0)), np.array([1j, 2])]
    assert np.isnan(numbers(odd, 2)).tolist() == [[False] * 2] + [[True] * 2] * 5
    assert numbers([], 4).shape == (0, 4)
    assert [text(value) for value in odd] == [None, None, "a", None, None, None]
