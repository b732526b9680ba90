"""The checksum of TFRecord files: CRC-32C (Castagnoli), by numpy, since Python's own is of another polynomial.

A CRC is linear: the pieces of a text, one below the other, are taken a column at a time, and their remainders are then
moved on past each other. A megabyte takes some ten milliseconds.

Source: RFC 3720, appendix B.4; https://www.tensorflow.org/tutorials/load_data/tfrecord for the masking.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL = 0x82F63B78  # its bits in reverse
_MASK_DELTA = 0xA282EAD8
Words = NDArray[np.uint32]


def masked_crc32c(data: bytes) -> int:
    """Return the checksum of bytes as TFRecord files state it, masked so that one of a text with one in it is sound."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of bytes."""
    length = max(8, int(len(data) ** 0.5))
    n_pieces = len(data) // length
    table, rest = _table(), data[n_pieces * length :]
    crc = 0xFFFFFFFF
    if n_pieces:
        columns = np.frombuffer(data, np.uint8, n_pieces * length).reshape(n_pieces, length).T
        crcs = np.zeros(n_pieces, np.uint32)
        for column in np.ascontiguousarray(columns):
            crcs = table[(crcs ^ column) & 0xFF] ^ (crcs >> np.uint32(8))
        past = _past(length)
        for piece in crcs.tolist():
            crc = past[0][crc & 255] ^ past[1][crc >> 8 & 255] ^ past[2][crc >> 16 & 255] ^ past[3][crc >> 24] ^ piece
    plain = table.tolist()
    for byte in rest:
        crc = plain[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


@lru_cache(maxsize=1)
def _table() -> Words:
    """Return what each byte leaves (256)."""
    words = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        words = np.where(words & 1, (words >> np.uint32(1)) ^ np.uint32(_POLYNOMIAL), words >> np.uint32(1))
    return words.astype(np.uint32)


@lru_cache(maxsize=64)
def _past(length: int) -> list[list[int]]:
    """Return what each of the four bytes of a remainder becomes after so many zero bytes (4, 256)."""
    bits = np.uint32(1) << np.arange(32, dtype=np.uint32)  # a remainder is the sum of its bits
    table = _table()
    for _ in range(length):
        bits = table[bits & 0xFF] ^ (bits >> np.uint32(8))
    bytes_ = np.arange(256)[:, None] >> np.arange(8)[None] & 1  # (256, 8)
    parts = [np.bitwise_xor.reduce(np.where(bytes_, bits[8 * i : 8 * i + 8], np.uint32(0)), axis=1) for i in range(4)]
    return [part.tolist() for part in parts]
