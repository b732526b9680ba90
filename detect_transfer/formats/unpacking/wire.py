"""The wire format of protocol buffers, as far as messages without a schema need it.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Give number and value of the fields of a message: integers, or bytes of what has a length or a fixed size.

    Raises:
        ValueError: It is no message.
        IndexError: It ends within an integer.
    """
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = varint(data, at)
            yield key >> 3, value
            continue
        if wire == 2:
            size, at = varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if at + size > len(data):
            raise ValueError("a field is longer than the message")
        yield key >> 3, data[at : at + size]
        at += size


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the integer that begins at a byte, and where the next field begins."""
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return number, at
        shift += 7
        if shift > 63:
            raise ValueError("an integer has too many bytes")


def signed(number: int) -> int:
    """Return the integer of 64 bits that a varint means."""
    return number - (1 << 64) if number >= 1 << 63 else number


def as_bytes(value: int | bytes) -> bytes:
    """Return the value of a field that is no integer.

    Raises:
        ValueError: It is one.
    """
    if isinstance(value, int):
        raise ValueError("bytes were expected")
    return value
