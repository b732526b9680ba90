"""Walking through a COCO file whose lists do not fit into memory: a portion of a list at a time.

orjson parses each portion. Where one may end is guessed first, between two objects: text that parses as whole values of
the list can only end there. Where the guess was wrong, as at the end of the list, the parser of the standard library
steps from value to value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from detect_transfer.core import io
from detect_transfer.core.errors import InputError
from detect_transfer.core.json_errors import key_twice_error, syntax_error, too_deep
from detect_transfer.core.json_keys import key_twice
from detect_transfer.formats.coco.load import not_an_object

PORTION = 16_000_000  # bytes
_BLANKS = b" \t\r\n"
_BETWEEN = re.compile(rb"\}(?=[ \t\r\n]*,[ \t\r\n]*\{)")
_TAIL = 1 << 16
_CUT_SHORT = ("unexpected end of data", "failed to allocate memory")  # the second where much is open at the end
_BOM = b"\xef\xbb\xbf"
_decode = json.JSONDecoder(parse_int=str, parse_float=str, strict=False).raw_decode


class JsonWalk:
    """The object that a JSON file holds, from its first key to its last.

    Args:
        stream: The file, at its beginning.
        path: Its name, for messages.
        portion: How many bytes of a list are parsed at once.
    """

    def __init__(self, stream: BinaryIO, path: Path, *, portion: int) -> None:
        self.stream = stream
        self.path = path
        self.portion = portion
        self.data = b""  # what is read and not yet done with
        self.offset = 0  # of `data` in the file
        self.has_ended = False

    def steps(self) -> Iterator[str]:
        """Yield each key; before the next one, `value` or `items` must have gone through what it has.

        Raises:
            InputError: As for `io.parse_json`, or the file holds no object.
        """
        self._read(max(self.portion, len(_BOM)))
        if self.data.startswith(_BOM):
            self._drop(len(_BOM))
        if self._next() != b"{":
            raise not_an_object(self.path, self.data)
        seen: set[str] = set()
        mark = self._step(b"}")
        while mark != b"}":
            key = self.value("")
            if not isinstance(key, str):
                raise self._wrong("unexpected character, expected a string key")
            if key in seen:
                raise key_twice_error(f"{self.path}#/", key)
            seen.add(key)
            if self._next() != b":":
                raise self._wrong("unexpected character, expected ':'")
            self._drop(1)
            yield key
            if (mark := self._next()) not in (b",", b"}"):
                raise self._wrong("unexpected character, expected ',' or '}'")
            if mark == b"," and self._step(b"}") == b"}":
                raise self._wrong("trailing comma is not allowed")
        self._drop(1)
        if self._next():
            raise self._wrong("unexpected content after document")

    def is_list(self) -> bool:
        """Tell whether the value that comes next is a list."""
        return self._next() == b"["

    def value(self, name: str) -> Any:
        """Return the next value, whole, which is that of a key.

        Raises:
            InputError: As for `io.parse_json`.
        """
        before = b"{" + orjson.dumps(name) + b":"
        while not (ends := self._ends(most=1)):
            self._grow(before)
        document = self._parsed(before, ends[0], b"}")
        return self._taken(before, ends[0], b"}", document)[name]

    def items(self, name: str) -> Iterator[tuple[int, list[Any]]]:
        """Yield the values of the next value, which is a list, in portions, with the index of the first of each.

        Raises:
            InputError: As for `io.parse_json`.
        """
        first, mark = 0, self._step(b"]")
        while mark != b"]":
            items = self._portion(name, first)
            yield first, items
            first += len(items)
            if (mark := self._next()) not in (b",", b"]"):
                raise self._wrong("unexpected character, expected ',' or ']'")
            if mark == b"," and self._step(b"]") == b"]":
                raise self._wrong("trailing comma is not allowed")
        self._drop(1)

    def _portion(self, name: str, first: int) -> list[Any]:
        """Return the next values of a list, at least one."""
        before, after = b"{" + orjson.dumps(name) + b":[", b"]}"
        self._read(self.portion)
        guess, document = self._guess(), None
        if guess:
            with suppress(orjson.JSONDecodeError, RecursionError):
                document = orjson.loads(before + self.data[:guess] + after)
        if document is None or len(document) > 1:  # it is cut elsewhere, or holds the end of the list
            while not (ends := self._ends()):
                self._grow(before)
            guess = ends[-1]
            document = self._parsed(before, guess, after)
        values: list[Any] = self._taken(before, guess, after, document, first)[name]
        return values

    def _guess(self) -> int:
        """Return where an object of the list may end, near the end of what is read; zero where that is all there is."""
        if self.has_ended:
            return 0
        guesses = list(_BETWEEN.finditer(self.data, max(len(self.data) - _TAIL, 0)))
        return guesses[-1].end() if guesses else 0

    def _parsed(self, before: bytes, end: int, after: bytes) -> dict[str, Any]:
        """Parse what ends there."""
        data = before + self.data[:end] + after
        try:
            document: dict[str, Any] = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise self._wrong(error.msg, data[: _byte(data, error.pos)], before) from error
        except RecursionError as error:
            raise too_deep(self.path) from error
        return document

    def _taken(self, before: bytes, end: int, after: bytes, document: dict[str, Any], first: int = 0) -> dict[str, Any]:
        """Check that no key is there twice, and go on behind what was parsed."""
        try:
            twice = key_twice(before + self.data[:end] + after, document)
        except RecursionError as error:
            raise too_deep(self.path) from error
        if twice is not None:
            pointer = twice[0].split("/")
            if before.endswith(b"[") and len(pointer) > 2:
                pointer[2] = str(int(pointer[2]) + first)
            raise key_twice_error(f"{self.path}#{'/'.join(pointer) or '/'}", twice[1])
        self._drop(end)
        return document

    def _ends(self, most: int | None = None) -> list[int]:
        """Return where the next values end, those that commas divide; none where the first may go on."""
        text = _text(self.data)
        ends: list[int] = []
        place = _past_blanks(text, 0)
        while place < len(text) and (most is None or len(ends) < most):
            try:
                _, end = _decode(text, place)
            except ValueError:
                break
            except RecursionError as error:
                raise too_deep(self.path) from error
            place = _past_blanks(text, end)
            if place == len(text) and not self.has_ended:
                break  # a number may go on
            ends.append(end)
            if text[place : place + 1] != ",":
                break
            place = _past_blanks(text, place + 1)
        if text.isascii():
            return ends
        return [len(text[:end].encode("utf-8", "surrogateescape")) for end in (ends if most else ends[-1:])]

    def _grow(self, before: bytes) -> None:
        """Read more of a value that is not whole.

        Raises:
            InputError: More would not help: it is at fault, or the file ends.
        """
        data = before + (self.data if self.has_ended else _whole_characters(self.data))
        try:
            orjson.loads(data)
        except orjson.JSONDecodeError as error:
            if self.has_ended or error.msg not in _CUT_SHORT:
                raise self._wrong(error.msg, data[: _byte(data, error.pos)], before) from error
        except RecursionError as error:
            raise too_deep(self.path) from error
        self._read(2 * max(len(self.data), self.portion))

    def _next(self) -> bytes:
        """Skip blanks and return the byte that follows, none at the end."""
        self.data, n_before = self.data.lstrip(_BLANKS), len(self.data)
        self.offset += n_before - len(self.data)
        while not self.data and not self.has_ended:
            self._read(self.portion)
            self.data, n_before = self.data.lstrip(_BLANKS), len(self.data)
            self.offset += n_before - len(self.data)
        return self.data[:1]

    def _step(self, closing: bytes) -> bytes:
        """Go past a byte and return the next one where it is `closing`, else nothing."""
        self._drop(1)
        mark = self._next()
        return mark if mark == closing else b""

    def _drop(self, count: int) -> None:
        self.data = self.data[count:]
        self.offset += count

    def _read(self, size: int) -> None:
        """Read until there are so many bytes, or the file ends."""
        with io.read_errors(self.path):
            while len(self.data) < size and not self.has_ended:
                more = self.stream.read(size - len(self.data))
                self.data += more
                self.has_ended = not more

    def _wrong(self, message: str, data: bytes = b"", before: bytes = b"") -> InputError:
        """Return the error of the next character, or of the one behind `data`, which `before` was put before."""
        if message.startswith("str is not valid UTF-8"):
            return syntax_error(message, self.path, 1, 1)  # as of a whole file, whose place orjson does not tell
        place, line, last = self.offset + max(len(data) - len(before), 0), 1, b""
        with io.read_errors(self.path):
            self.stream.seek(0)
            while place and (block := self.stream.read(min(place, PORTION))):
                place -= len(block)
                line += block.count(b"\n")
                last = block.rpartition(b"\n")[2] if b"\n" in block else last + block
        column = len(last.removeprefix(_BOM).decode("utf-8", "replace")) + 1
        return syntax_error(message, self.path, line, column)


def _byte(data: bytes, character: int) -> int:
    """Return the place in bytes of a character, which is there or just behind."""
    return character if data.isascii() else len(_text(data)[:character].encode("utf-8", "surrogateescape"))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _past_blanks(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    return place


def _whole_characters(data: bytes) -> bytes:
    """Return bytes without those of a character that is cut at their end."""
    for count in range(1, min(4, len(data)) + 1):
        if data[-count] & 0xC0 == 0xC0:
            needed = 2 + (data[-count] >= 0xE0) + (data[-count] >= 0xF0)
            return data[:-count] if count < needed else data
        if data[-count] < 0x80:
            break
    return data
