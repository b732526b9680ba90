"""Choices that a user makes by name, at the command line and in Python."""

from __future__ import annotations

from enum import StrEnum


class OnError(StrEnum):
    """What becomes of a row or an image of native annotations that is at fault."""

    FAIL = "fail"
    SKIP_ROW = "skip-row"
    SKIP_IMAGE = "skip-image"


class IgnoredRegions(StrEnum):
    """What becomes of ignored and crowd regions in a format that cannot say "ignore"."""

    DROP = "drop"
    KEEP = "keep"
    MASK = "mask"
    DROP_IMAGE = "drop-image"


class ImageMode(StrEnum):
    """How images come into a data folder; `none` writes annotations alone."""

    COPY = "copy"
    LINK = "link"
    NONE = "none"
