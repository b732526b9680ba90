"""Reading a native data set by the words of a command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detect_transfer import formats
from detect_transfer.config import parse_value
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError, did_you_mean


def read_source(
    format: str,
    source: Path,
    *,
    words: Sequence[str] = (),
    on_error: str = "fail",
    verify: bool = False,
    need_images: bool = True,
) -> AnnotationTable:
    """Read a data set by the name of its format.

    Args:
        format: A key of `READERS`.
        source: The folder or file that holds it.
        words: Options of the reader as `key=value`.
        on_error: What becomes of a fault: `fail`, `skip-row` or `skip-image`.
        verify: Hold a data folder to its manifest.
        need_images: Without, a reader that can do so goes on where images are not there.

    Raises:
        InputError: There is no such format or option, or as the reader says.
    """
    form = formats.get_format(format)
    options = reader_options(form.options, words)
    if "on_error" in form.options:
        options["on_error"] = on_error
    elif on_error != "fail":
        raise InputError(
            *("OPTION_UNKNOWN", "the reader of this format cannot skip what is at fault"),
            field="--on-error",
            value=on_error,
            remedy="fix the faults, or leave the option out",
        )
    if verify and "verify" in form.options:
        options.setdefault("verify", True)
    if not need_images and "missing_images" in form.options:
        options.setdefault("missing_images", "keep")
    return form.read(source, **options)


def reader_options(known: dict[str, formats.Option], words: Sequence[str]) -> dict[str, Any]:
    """Return the options of a reader that words such as `key=value` give.

    Args:
        known: The options that it has.
        words: What is given.

    Raises:
        InputError: It has no such option, or a value cannot be parsed.
    """
    options: dict[str, Any] = {}
    for word in words:
        key, _, value = word.partition("=")
        if key not in known:
            raise InputError(
                "OPTION_UNKNOWN",
                "the reader has no such option",
                field="--option",
                value=word,
                remedy=did_you_mean(key, list(known)),
            )
        # a word stays one, even if it looks like a number
        options[key] = value if isinstance(known[key].default, str) else parse_value(value, key)
        if key == "images" and options[key] is not None:
            options[key] = Path(value)
    return options
