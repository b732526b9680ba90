"""XML text as column expressions: escaped, and refused where XML 1.0 has no way to say it."""

from __future__ import annotations

import polars as pl

from detect_transfer.core.errors import InputError

_FORBIDDEN = r"[^\t\n\r\x20-\x{D7FF}\x{E000}-\x{FFFD}\x{10000}-\x{10FFFF}]"
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
_TABLE = {ord(letter): text for letter, text in _ESCAPES.items()}


def escape(text: str) -> str:
    """Return a text as `escaped` does a column."""
    return text.translate(_TABLE)


def escaped(text: pl.Expr) -> pl.Expr:
    """Return text as it stands in an element or in an attribute, where white space would be made one blank."""
    return text.str.replace_many(list(_ESCAPES), list(_ESCAPES.values()))


def element(name: str, text: pl.Expr, *, indent: str) -> pl.Expr:
    """Return a line with an element; an empty text where there is nothing to say."""
    line = pl.concat_str(pl.lit(f"{indent}<{name}>"), text, pl.lit(f"</{name}>\n"))
    return pl.when(text.is_not_null()).then(line).otherwise(pl.lit(""))


def check_text(texts: pl.Series, *, field: str, stripped: bool = False) -> None:
    """Check that XML can hold these texts.

    Args:
        texts: Names of classes or files.
        field: What they are, for the message.
        stripped: Whether readers of the format strip blanks, so that none may stand at either end.

    Raises:
        InputError: One holds a control character, or a blank at an end.
    """
    wrong = texts.filter(texts.str.contains(_FORBIDDEN))
    if wrong.is_empty() and stripped:
        wrong = texts.filter(texts.str.strip_chars() != texts)
    if not wrong.is_empty():
        raise InputError(
            *("EXPORT_TEXT", "XML cannot hold it: it has a control character, or a blank at an end"),
            field=field,
            value=wrong[0],
            remedy="rename it, or leave this format out of --to",
        )
