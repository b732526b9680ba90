"""What a file really is that cannot be read as what its name says, by its first bytes."""

from __future__ import annotations

_ARCHIVE = "unpack it, and give what it holds"
_TEXT = "save it as UTF-8"
_KINDS = {
    b"PK\x03\x04": ("a ZIP archive", _ARCHIVE),
    b"\x1f\x8b": ("a gzip archive", _ARCHIVE),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", _ARCHIVE),
    b"Rar!": ("a RAR archive", _ARCHIVE),
    b"<!doctype html": ("a web page", "download the file itself"),
    b"<html": ("a web page", "download the file itself"),
    b"version https://git-lfs": ("a pointer of Git LFS", "fetch the file itself: git lfs pull"),
    b"\xff\xfe": ("UTF-16 text", _TEXT),
    b"\xfe\xff": ("UTF-16 text", _TEXT),
}


def file_kind(data: bytes) -> tuple[str, str] | None:
    """Return what a file is that begins with `data`, and what to do about it; None where that is unknown."""
    if not data:
        return "empty", "copy it again"
    head = data[:64].lstrip().lower() if data[:1].isspace() or data[:1] == b"<" else data
    return next((kind for start, kind in _KINDS.items() if head.startswith(start)), None)
