"""Which images weights learned from and were chosen by, so that a score on these is not taken for one on new images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from detect_transfer.core.images import read_image_bytes

_HEAD_BYTES = 1 << 16
_MEANING = {"train": "the weights were trained on", "val": "the weights were chosen by"}


def head_digest(data: bytes) -> str:
    """Return the hash of an image file by its length and its first bytes."""
    return hashlib.sha256(str(len(data)).encode() + data[:_HEAD_BYTES]).hexdigest()


def n_used(used: Mapping[str, Sequence[str]], paths: Iterable[Path]) -> dict[str, int]:
    """Return how many of the images weights were trained on (`train`) and chosen by (`val`).

    Args:
        used: As for `used_images_warning`.
        paths: The files that are scored.
    """
    digests = [head_digest(read_image_bytes(path)) for path in paths] if any(used.values()) else []
    return {part: sum(map(set(used.get(part, ())).__contains__, digests)) for part in _MEANING}


def used_images_warning(used: Mapping[str, Sequence[str]], paths: Sequence[Path]) -> str:
    """Return how many of the images are no new ones to the weights, in words; "" where all are.

    Args:
        used: Hashes of the images by what they were used for: `train` and `val`.
        paths: The files that are scored.
    """
    sentences = [
        f"{count:,} of {len(paths):,} images {_MEANING[part]}" for part, count in n_used(used, paths).items() if count
    ]
    return f"{', '.join(sentences)}: on new images expect lower scores" if sentences else ""
