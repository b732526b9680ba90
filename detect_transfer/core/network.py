"""Addresses of images and streams; nothing here is reached unless the user allows it."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

from detect_transfer.core.arrays import RgbArray
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import read_rgb
from detect_transfer.core.intake import Intake

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_SCHEMES = ("http", "https", "rtsp", "rtsps", "rtmp")
_TIMEOUT_S = 30
_MOST_BYTES = 256 << 20


def is_address(word: str) -> bool:
    """Tell whether a word is an address such as `https://...` and no path."""
    return _ADDRESS.match(word) is not None


def require_address(word: str, *, allowed: bool) -> None:
    """Refuse an address where the network is not allowed, or of a kind that is not opened.

    Raises:
        InputError: As above.
    """
    match = _ADDRESS.match(word)
    scheme = "" if match is None else match[1].lower()
    if scheme not in _SCHEMES:
        what, remedy = "addresses of this kind are not opened", f"give a path, or one of {', '.join(_SCHEMES)}"
        raise InputError("ADDRESS_KIND", what, where=word, remedy=remedy)
    if not allowed:
        what, remedy = "the network is used only where it is allowed", "add --allow-network, or give a file"
        raise InputError("NETWORK", what, where=word, remedy=remedy)


def fetch_image(address: str, intake: Intake | None = None) -> RgbArray:
    """Fetch an image and decode it, values of more than 8 bits by an intake.

    Raises:
        InputError: It cannot be fetched, is too large, or is no image.
    """
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as answer:  # the scheme was checked
            data: bytes = answer.read(_MOST_BYTES + 1)
    except (urllib.error.URLError, HTTPException, OSError, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it is the answer, too
        reason = " ".join(str(error).split())  # a server that is none answers whole lines
        raise InputError(
            "ADDRESS_UNREACHABLE", f"it cannot be fetched ({reason})", where=address, remedy="check the address"
        ) from error
    if not data or len(data) > _MOST_BYTES:
        what = "it is empty" if not data else f"it has more than {_MOST_BYTES:,} bytes"
        raise InputError("ADDRESS_CONTENT", what, where=address, remedy="give the address of an image")
    try:
        return read_rgb(Path(address), data, intake=intake)
    except InputError as error:
        raise InputError(error.code, error.what, where=address, remedy="give the address of an image") from error
