"""The errors of text that is no JSON, or says one thing twice."""

from __future__ import annotations

from pathlib import Path

from detect_transfer.core.errors import InputError


def too_deep(path: Path) -> InputError:
    """Return the error of JSON that nests deeper than the parser goes."""
    what, remedy = "it nests deeper than 254 levels", "write what is nested as a text, or leave it out"
    return InputError("JSON_DEPTH", what, where=path, remedy=remedy)


def syntax_error(message: str, path: Path, line: int, column: int) -> InputError:
    """Return the error of text that is no JSON."""
    remedy = "the file is cut short or damaged: write or copy it again"
    return InputError("JSON_SYNTAX", f"{message} (column {column})", where=line_of(path, line), remedy=remedy)


def key_twice_error(where: str, key: str) -> InputError:
    """Return the error of an object that has a key twice."""
    what = "one object has this key twice, so half of what it says would be lost"
    return InputError("JSON_KEY_TWICE", what, where=where, field=key, remedy="keep one of them")


def line_of(path: Path, number: int) -> str | Path:
    """Return the place of a line in a file; where the name of the file tells the line already, that."""
    return path if ":" in path.name else f"{path}:{number}"
