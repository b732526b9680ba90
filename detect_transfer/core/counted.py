"""Numbers of things in words."""

from __future__ import annotations


def counted(number: int, thing: str, things: str = "") -> str:
    """Return ``1 image``, ``1,024 images`` or, with `things`, ``2 boxes``."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"
